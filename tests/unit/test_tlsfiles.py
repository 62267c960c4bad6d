"""Certificates of servers: rotation is noticed, a bad one is not taken, our own is made and replaced."""

import logging
import os
import shutil
import ssl

import pytest
from cryptography import x509

from certificates import write_pair
from fakes import FakeClock
from runner.httpserver import tls as tlsfiles
from runner.httpserver.tls import CertificateError, CertificateFiles, OwnCertificate


def shown(context):
    """The certificate that a client sees, and what it agreed upon. The handshake is in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_alpn_protocols(["h2", "http/1.1"])
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return x509.load_der_x509_certificate(ends[0].getpeercert(binary_form=True)), ends[0]


def name_of(context):
    return shown(context)[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


class TestFiles:
    def test_are_loaded(self, tmp_path):
        assert name_of(CertificateFiles(*write_pair(tmp_path, "one")).context()) == "one"

    def test_rotation_counts_from_the_next_connection_on(self, tmp_path):
        """cert-manager renews a certificate long before it ends; nobody restarts the operator for it."""
        files = CertificateFiles(*write_pair(tmp_path, "one"))
        write_pair(tmp_path, "two")

        assert name_of(files.context()) == "two"

    def test_rotation_of_a_mounted_secret_is_another_target_of_a_link(self, tmp_path):
        """The kubelet replaces one link; the files' own paths stay as they are."""
        write_pair(tmp_path / "first", "one")
        write_pair(tmp_path / "second", "two")
        (tmp_path / "..data").symlink_to("first")
        for file in ("tls.crt", "tls.key"):
            (tmp_path / file).symlink_to(f"..data/{file}")
        files = CertificateFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
        (tmp_path / "..new").symlink_to("second")
        (tmp_path / "..new").replace(tmp_path / "..data")

        assert name_of(files.context()) == "two"

    def test_unchanged_files_are_not_read_again(self, tmp_path):
        read = []
        files = CertificateFiles(*write_pair(tmp_path, "one"), read=read.append)

        assert files.context() is files.context()
        assert read == [True]

    def test_half_a_rotation_leaves_the_old_pair_in_use_until_it_is_whole(self, tmp_path, caplog):
        """A new certificate with the old key is no pair; a connection may well come in between."""
        read = []
        files = CertificateFiles(*write_pair(tmp_path, "one"), read=read.append)
        write_pair(tmp_path / "next", "two")
        shutil.copy(tmp_path / "next" / "tls.crt", tmp_path / "tls.crt")
        with caplog.at_level(logging.WARNING):
            names = [name_of(files.context()) for _ in range(3)]
        assert names == ["one"] * 3
        assert [record.fields["error"] for record in caplog.records] == [
            "no usable pair of certificate and key: key values mismatch"
        ]
        shutil.copy(tmp_path / "next" / "tls.key", tmp_path / "tls.key")

        assert name_of(files.context()) == "two"
        assert read == [True, False, False, False, True]

    def test_files_that_vanish_leave_the_old_pair_in_use(self, tmp_path, caplog):
        certificate, key = write_pair(tmp_path, "one")
        files = CertificateFiles(certificate, key)
        key.unlink()
        with caplog.at_level(logging.WARNING):
            assert [name_of(files.context()) for _ in range(2)] == ["one", "one"]

        assert len(caplog.records) == 1

    @pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "locked", "foreign"])
    def test_unusable_at_the_start_is_an_error_that_names_them(self, tmp_path, damage):
        certificate, key = write_pair(tmp_path, "one", password=b"secret" if damage == "locked" else None)
        match damage:
            case "missing":
                key.unlink()
            case "empty":
                key.write_bytes(b"")
            case "garbage":
                certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nnot this\n-----END CERTIFICATE-----\n")
            case "foreign":
                key = write_pair(tmp_path / "other", "two")[1]

        with pytest.raises(CertificateError, match=str(certificate)):
            CertificateFiles(certificate, key)


class TestOwn:
    def test_names_this_machine_and_localhost(self):
        certificate, _ = shown(OwnCertificate(clock=FakeClock(), host="pod-1").context())

        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["pod-1", "localhost"]
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    def test_long_host_name_fits(self):
        """A common name has at most 64 characters, a Pod's name more."""
        assert name_of(OwnCertificate(clock=FakeClock(), host="x" * 63 + ".y" * 60).context()) == "x" * 63 + "."

    def test_is_valid_now_and_replaced_before_it_ends(self):
        """Operators run for years."""
        clock = FakeClock()
        own = OwnCertificate(clock=clock, host="pod-1")
        first, _ = shown(own.context())
        assert first.not_valid_before_utc < clock.now() < first.not_valid_after_utc
        assert own.context() is own.context()
        clock.jump_wall(tlsfiles._RENEW.total_seconds())
        second, _ = shown(own.context())

        assert second.serial_number != first.serial_number
        assert second.not_valid_after_utc > first.not_valid_after_utc > clock.now()

    def test_http_1_is_agreed_upon_and_tls_1_1_is_not(self):
        """HTTP/2 is what floods of reset streams came through."""
        context = OwnCertificate(clock=FakeClock(), host="pod-1").context()
        _, client = shown(context)

        assert client.selected_alpn_protocol() == "http/1.1"
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert client.version() == "TLSv1.3"

    def test_no_descriptor_is_left(self):
        """The key is in a file without a name for a moment."""
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        OwnCertificate(clock=FakeClock(), host="pod-1").context()

        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
