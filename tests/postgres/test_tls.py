"""The TLS modes, against a server with a certificate of a CA made here."""

import datetime as dt
import ipaddress
import json
import os

import pg as server
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from peer import table
from pg_fixtures import need_postgresql


class Authority:
    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.made = self._sign(self.name, self.key, [], True)
        self.pem = self.made.public_bytes(serialization.Encoding.PEM).decode()

    def _sign(self, name, key, names, ca):
        now = dt.datetime.now(dt.timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def certify(self, name, names=()):
        """(certificate, key), both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, list(names), False)  # fmt: skip
        return (
            made.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption()).decode(),
        )  # fmt: skip


class Secure(server.Cluster):
    """A server for TLS only; the role `carded` logs in with a client certificate."""

    def __init__(self, ca):
        self.ca = ca
        super().__init__(ssl="on", ssl_cert_file="server.crt", ssl_key_file="server.key", ssl_ca_file="ca.crt")  # fmt: skip

    def _make(self):
        super()._make()
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate, key = self.ca.certify("server", names)
        for name, text in (("server.crt", certificate), ("server.key", key), ("ca.crt", self.ca.pem),
                           ("pg_hba.conf", HBA)):  # fmt: skip
            path = os.path.join(self.data, name)
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, 0o600)
            if self._as:
                os.chown(path, self._as["user"], self._as["group"])


HBA = """
hostssl all carded 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
"""
ORDERS = [table("orders", key=["id"])]


@pytest.fixture(scope="module")
def ca():
    return Authority("the tests' own CA")


@pytest.fixture(scope="module")
def secure(ca):
    need_postgresql()
    with Secure(ca) as made:
        made.execute("CREATE ROLE carded LOGIN SUPERUSER")
        yield made


def run(pro, options):
    path = os.path.join(pro.path, "dest.json")
    with open(path, "w") as f:
        json.dump(options, f)
    sync = pro.sync(env={"SLUICE_DESTINATION_FILE": path}, schema=ORDERS)
    if sync.start is not None:
        sync.upsert("orders", {"id": 1})
        sync.checkpoint({})
    return sync.done()


def file(pro, name, text):
    """As an option of the destination file has it."""
    with open(os.path.join(pro.path, name), "w") as f:
        f.write(text)
    return "@" + name


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full", "prefer"])
def test_a_certificate_that_is_right(pro, secure, ca, mode):
    more = {"sslrootcert": file(pro, "ca.pem", ca.pem)} if mode.startswith("verify") else {}
    run(pro, secure.options(sslmode=mode, schema=mode.replace("-", "_"), **more)).ok()


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_of_someone_else(pro, secure, mode):
    other = file(pro, "ca.pem", Authority("another CA").pem)
    result = run(pro, secure.options(sslmode=mode, sslrootcert=other))
    result.failed("was not signed by one that is trusted", "give sslrootcert", code=2)


def test_a_certificate_that_the_system_does_not_know(pro, secure):
    result = run(pro, secure.options(sslmode="verify-full"))
    result.failed("certificate", "give sslrootcert", code=2)


def test_a_certificate_for_another_name(pro, secure, ca):
    options = secure.options(sslrootcert=file(pro, "ca.pem", ca.pem), host="localhost")
    result = run(pro, {**options, "sslmode": "verify-full"})
    result.failed("the certificate is for another name", "verify-ca", code=2)
    run(pro, {**options, "sslmode": "verify-ca", "schema": "by_ca"}).ok()


def test_without_tls_where_it_is_wanted(pro, secure):
    result = run(pro, secure.options(sslmode="disable"))
    result.failed("pg_hba.conf does not let this user in", code=2)


def test_a_client_certificate(pro, secure, ca):
    certificate, key = ca.certify("carded")
    options = {k: v for k, v in secure.options(user="carded", schema="carded").items() if k != "password"}  # fmt: skip
    run(pro, options).failed("connection requires a valid client certificate", code=2)
    options.update(sslcert=file(pro, "c.pem", certificate), sslkey=file(pro, "k.pem", key))
    run(pro, options).ok()
    certificate, key = ca.certify("someone else")
    options.update(sslcert=file(pro, "c.pem", certificate), sslkey=file(pro, "k.pem", key))
    run(pro, options).failed("authentication failed", code=2)
