"""Certificates that strict verifiers accept."""

import ssl
import stat
from pathlib import Path

from cryptography import x509

from cluster import certificates
from cluster.certificates import Authority


def test_authority_may_sign_certificates_and_nothing_else(tmp_path: Path) -> None:
    """Python 3.13 refuses a CA without the key usage."""
    usage = Authority.open(tmp_path, "ca").certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature


def test_authority_is_kept(tmp_path: Path) -> None:
    """A cluster started again on its data must trust the clients it had."""
    first = Authority.open(tmp_path, "ca").certificate
    assert Authority.open(tmp_path, "ca").certificate == first


def test_strict_handshake_succeeds_in_both_directions(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, "ca")
    server = authority.issue_server("server", ["localhost"], ["127.0.0.1"])
    client = authority.issue_client("client", "jane", ["devs", "ops"])
    subject = _handshake(authority, server, client)
    names = [value for entry in subject for _, value in entry]
    assert names == ["devs", "ops", "jane"]


def test_private_keys_are_their_owners_alone(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, "ca")
    pair = authority.issue_client("client", "jane")
    accounts = certificates.service_account_keys(tmp_path)
    for key in (authority.files.key, pair.key, accounts.key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def _handshake(
    authority: Authority, server: certificates.Pair, client: certificates.Pair
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Shake hands in memory; returns the client's subject as the server saw it."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    connecting = ssl.create_default_context(cafile=str(authority.files.certificate))
    for context, pair in ((accepting, server), (connecting, client)):
        context.load_cert_chain(str(pair.certificate), str(pair.key))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    accepting.load_verify_locations(str(authority.files.certificate))
    accepting.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = connecting.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    theirs = accepting.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    seen = theirs.getpeercert()
    assert seen is not None
    return seen["subject"]  # type: ignore[return-value]
