"""TLS of the installed server: it brings its own library (docs/decisions/0008)."""

import datetime
import ipaddress
import socket
import ssl

import pytest
from conftest import Server

pytest.importorskip("cryptography")  # only to make the certificates

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402

KEYS = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.fixture(scope="module", params=sorted(KEYS))
def certified(request, bin_dir, tmp_path_factory):
    """(server, path of its certificate)"""
    folder = tmp_path_factory.mktemp("tls")
    key = KEYS[request.param]()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, open_key = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "chain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, open_key))
    flags = ["--tls-cert", str(folder / "chain.pem"), "--tls-key", str(folder / "key.pem")]
    server = Server(folder / "data", bin_dir, flags, trust=folder / "chain.pem").start()
    yield server, folder / "chain.pem"
    assert server.stop() == 0


def answer(server, context):
    """(version of TLS, first line of the answer) to a request for /health."""
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return tls.version(), tls.makefile("rb").readline().decode()


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_both_versions_answer(certified, version):
    server, certificate = certified
    assert server.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(certificate))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    assert answer(server, context) == (version.replace("_", "."), "HTTP/1.1 200 OK\r\n")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_older_version_is_refused(certified):
    server, _ = certified
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    # It just hangs up. What a client that cannot do 1.1 itself says does not match.
    with pytest.raises((ssl.SSLError, ConnectionError), match="EOF|reset|alert protocol version"):
        answer(server, context)
