"""The cluster's certificate authorities, certificates and service account keys.

Promises certificates that strict verifiers (Python 3.13) accept, and private keys only their owner can read.
Keeps an authority that is there already, so that a cluster started again on its data trusts its old clients;
issues the servers' and components' own certificates anew at each start, because addresses change.
"""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=365)
_CLOCK_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its private key, both PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority: signs, nothing else."""

    files: Pair
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def open(cls, directory: Path, name: str) -> "Authority":
        """Load the authority `name` from `directory`, or make it there."""
        files = _pair(directory, name)
        if not (files.certificate.exists() and files.key.exists()):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _self_signed(f"echoperator {name}", key)
            _write(files, key, certificate)
        loaded = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{files.key} holds no elliptic curve key")
        return cls(
            files=files,
            certificate=x509.load_pem_x509_certificate(files.certificate.read_bytes()),
            key=loaded,
        )

    def issue_server(self, name: str, names: Sequence[str], addresses: Sequence[str]) -> Pair:
        """Issue a certificate for a server that is also a client of its own kind (etcd members are)."""
        alternatives = [
            *(x509.DNSName(dns) for dns in names),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
        ]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(name, _subject(name, ()), usages, x509.SubjectAlternativeName(alternatives))

    def issue_client(self, name: str, user: str, groups: Sequence[str] = ()) -> Pair:
        """Issue a client certificate: Kubernetes reads the user from CN and the groups from O.

        Args:
            name: The files' base name.
            user: The user name.
            groups: The groups.
        """
        return self._issue(name, _subject(user, groups), [ExtendedKeyUsageOID.CLIENT_AUTH], None)

    def _issue(
        self,
        name: str,
        subject: x509.Name,
        usages: list[x509.ObjectIdentifier],
        alternatives: x509.SubjectAlternativeName | None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self.certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        files = _pair(self.files.certificate.parent, name)
        _write(files, key, builder.sign(self.key, hashes.SHA256()))
        return files


def service_account_keys(directory: Path) -> Pair:
    """The key pair service account tokens are signed with; `certificate` is the bare public key."""
    files = Pair(certificate=directory / "service-accounts.pub", key=directory / "service-accounts.key")
    if not files.key.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        files.certificate.write_bytes(public)
        write_private(files.key, _private_pem(key))
    return files


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, replacing an older one in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _pair(directory: Path, name: str) -> Pair:
    return Pair(certificate=directory / f"{name}.crt", key=directory / f"{name}.key")


def _write(files: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    write_private(files.key, _private_pem(key))


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(user: str, groups: Sequence[str]) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ]
    )


def _self_signed(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = _subject(name, ())
    return (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
