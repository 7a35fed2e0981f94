"""A certificate authority of one bed and what it signs, made by openssl."""

import subprocess

from .settings import Failure

SERVER_NAMES = "IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"

# Who has a client certificate, and under which name.
CLIENTS = {
    "admin": "/O=system:masters/CN=testbed-admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "node": "/O=system:nodes/CN=system:node:testbed-node",
}

CONFIGURATION = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def openssl(directory, *words):
    try:
        done = subprocess.run(["openssl", *words], cwd=directory, capture_output=True, text=True)
    except FileNotFoundError:
        raise Failure("openssl is missing: install the package of that name") from None
    if done.returncode != 0:
        raise Failure(f"openssl {words[0]} failed: {done.stderr.strip()}")


def make(directory, address):
    """Writes ca, server and one for each client (.crt, .key), and sa.key, sa.pub. `address` is one more of the server."""
    directory.mkdir(mode=0o700)
    (directory / "openssl.cnf").write_text(CONFIGURATION.format(names=f"{SERVER_NAMES},IP:{address}"))
    key(directory, "ca")
    request = ["-key", "ca.key", "-subj", "/CN=testbed", "-days", "365"]
    openssl(directory, "req", "-x509", "-new", "-config", "openssl.cnf",
            "-extensions", "authority", *request, "-out", "ca.crt")
    sign(directory, "server", "server", "/CN=kube-apiserver")
    for name, subject in CLIENTS.items():
        sign(directory, name, "client", subject)
    # ServiceAccount tokens are signed with RSA, as on EKS.
    openssl(directory, "genrsa", "-out", "sa.key", "2048")
    openssl(directory, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")


def key(directory, name):
    openssl(directory, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.ec")
    # PKCS #8 is what every TLS library reads.
    openssl(directory, "pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.ec", "-out", f"{name}.key")


def sign(directory, name, kind, subject):
    key(directory, name)
    openssl(directory, "req", "-new", "-config", "openssl.cnf", "-key", f"{name}.key",
            "-subj", subject, "-out", f"{name}.csr")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "365", "-extfile", "openssl.cnf", "-extensions", kind,
            "-out", f"{name}.crt")
