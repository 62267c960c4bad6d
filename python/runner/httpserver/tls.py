"""The certificate of a server: from files that are rotated, or made by ourselves where there are none.

`context()` is asked for each connection, so a rotation counts from the next connection on, without a timer. Promises:
what was good stays in use while new files cannot be read. TLS 1.2 and newer, HTTP/1.1 only. Does not listen.
"""

import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from runner.clock import Clock
from runner.logs import fields

__all__ = ["CertificateError", "CertificateFiles", "Certificates", "OwnCertificate"]

logger = logging.getLogger(__name__)

_VALID = timedelta(days=365)
_RENEW = timedelta(days=240)
"""Age at which our own certificate is replaced."""
_SKEW = timedelta(hours=1)
"""How far a client's clock may be behind ours."""


class CertificateError(Exception):
    """There is no usable certificate; the message names the files and what is wrong with them."""


class Certificates(Protocol):
    """Where a server gets its certificate from."""

    def context(self) -> ssl.SSLContext:
        """What the next connection is to use."""


_Stamp = tuple[tuple[int, int, int], ...]
"""Of each file: inode, time of change in nanoseconds, size. A rotated Secret is another inode behind the same link."""


class CertificateFiles:
    """A pair of PEM files that somebody rotates: a mounted Secret, or what cert-manager writes."""

    def __init__(self, certificate: Path, key: Path, *, read: Callable[[bool], None] = lambda _well: None) -> None:
        """Load them.

        Args:
            certificate: with the chain.
            read: told of each attempt to read the files whether it went well, for metrics.

        Raises:
            CertificateError: they are missing, unreadable or no pair.
        """
        self._certificate = certificate
        self._key = key
        self._read = read
        self._complained: _Stamp | None = None
        try:
            self._stamp = self._look()
            self._context = self._load()
        except OSError as error:  # ssl.SSLError is one
            raise CertificateError(f"{certificate}, {key}: {_words(error)}") from error

    def context(self) -> ssl.SSLContext:
        """The files as they are now; while they cannot be used, as they were."""
        stamp: _Stamp = ()
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._context = self._load()
                # The files' state before they were read: had they changed meanwhile, the next look sees it.
                self._stamp = stamp
                logger.info("certificate changed", extra=fields(file=str(self._certificate)))
        except OSError as error:
            self._complain(stamp, error)
        return self._context

    def _look(self) -> _Stamp:
        stats = (os.stat(path) for path in (self._certificate, self._key))  # noqa: PTH116 - one way for both
        return tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in stats)

    def _load(self) -> ssl.SSLContext:
        context = _server_context()
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except OSError:
            self._read(False)
            raise
        self._read(True)
        return context

    def _complain(self, stamp: _Stamp, error: OSError) -> None:
        if stamp != self._complained:
            self._complained = stamp
            logger.warning(
                "new certificate cannot be used, so the old one still is",
                extra=fields(file=str(self._certificate), error=_words(error)),
            )


class OwnCertificate:
    """A certificate that we make and sign ourselves, in memory, and replace before it ends.

    It encrypts, and proves nothing: nobody can check who signed it.
    """

    def __init__(self, *, clock: Clock, host: str | None = None) -> None:
        """Args:
        host: our name; `None`: the machine's, which in a Pod is the Pod's.
        """
        self._clock = clock
        self._host = host or socket.gethostname()
        self._renew_at = datetime.min.replace(tzinfo=UTC)
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        now = self._clock.now()
        if self._context is None or now >= self._renew_at:
            pem = _make(self._host, now)
            context = _server_context()
            with _in_memory(pem) as path:
                context.load_cert_chain(path)
            self._context, self._renew_at = context, now + _RENEW
        return self._context


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    # Without this, OpenSSL would ask for the password on the terminal.
    raise OSError("the key is encrypted, and there is nobody to ask for its password")


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).lower().replace("_", " ")
        return f"no usable pair of certificate and key: {reason}"
    return error.strerror or str(error)


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A file on no disk, because the library takes keys from files only."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _make(host: str, now: datetime) -> bytes:
    """Return certificate and key for ourselves, as PEM."""
    # 11 MB of memory, for those who need it only.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    names = [x509.DNSName(each) for each in dict.fromkeys((host, "localhost"))]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
