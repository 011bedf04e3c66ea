"""HTTPS: certificates are verified, whatever is answered."""

import datetime
import ipaddress
import ssl

import pytest
from conftest import KEY

pytest.importorskip("cryptography")
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A certificate authority of the test's own; `file` holds its certificate."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named("Test authority")
        self.file = folder / "ca.pem"
        self.write(self.file, self.make(self.name, self.key, True, []))

    def make(self, subject, key, is_authority, names, days=30):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def write(self, path, certificate, key=None):
        text = certificate.public_bytes(serialization.Encoding.PEM)
        if key is not None:
            text += key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        path.write_bytes(text)

    def serve(self, server, names, days=30):
        """Puts the scripted server behind TLS with a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self.folder / "server.pem"
        self.write(path, self.make(named("server"), key, False, names, days), key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
        return f"https://127.0.0.1:{server.port}"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


HERE = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_trusted(project, server, authority, variable):
    url = authority.serve(server, HERE)
    result = project.deploy(
        *("--url", url, "--api-key", KEY, "--connection", "c"), env={variable: str(authority.file)}
    )
    assert result.code == 0, result


def refused(project, server, url, **env):
    result = project.deploy("--url", url, "--api-key", KEY, "--connection", "c", env=env)
    assert result.code == 4, result
    assert f"the certificate of {url[8:]} cannot be trusted" in result.err
    assert "SSL_CERT_FILE" in result.err
    assert "trying again" not in result.err
    assert server.requests == []


def test_unknown_authority(project, server, authority):
    refused(project, server, authority.serve(server, HERE))


def test_other_name(project, server, authority):
    url = authority.serve(server, [x509.DNSName("elsewhere.example")])
    refused(project, server, url, SSL_CERT_FILE=str(authority.file))


def test_expired(project, server, authority):
    url = authority.serve(server, HERE, days=-1)
    refused(project, server, url, SSL_CERT_FILE=str(authority.file))


def test_file_that_is_not_there(project, server, authority):
    url = authority.serve(server, HERE)
    result = project.deploy(
        *("--url", url, "--api-key", KEY, "--connection", "c"),
        env={"SSL_CERT_FILE": "/nowhere.pem"},
    )
    assert result.code == 2
    assert "cannot read the certificates of trusted authorities in /nowhere.pem" in result.err
