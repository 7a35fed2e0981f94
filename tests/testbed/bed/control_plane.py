"""etcd, kube-apiserver and kube-controller-manager: how each is started and
what must be true before it counts as ready."""

import base64
import json
import secrets
import ssl
import urllib.error
import urllib.request

from .processes import Process, wait_until
from .settings import TESTBED, child_environment

READY_SECONDS = 90

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: testbed
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: testbed
  context: {{cluster: testbed, user: {user}}}
current-context: testbed
"""


class ApiServer:
    """A client of the bed's API server, for probes only: as the controller
    manager, whose reads are not in the audit log, unless it may not read what is asked for."""

    def __init__(self, state, port, user="controller-manager"):
        pki = state / "pki"
        self.url = f"https://127.0.0.1:{port}"
        context = ssl.create_default_context(cafile=pki / "ca.crt")
        certificate = pki / f"{user}.crt"
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def answers(self, path):
        try:
            with self.opener.open(self.url + path, timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def read(self, path):
        """The object at the path; None if there is none."""
        try:
            with self.opener.open(self.url + path, timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError, ValueError):
            return None


def start_etcd(state, program, port, peer_port):
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    argv = [
        program,
        "--name=testbed",
        f"--data-dir={state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=testbed={peer}",
        "--unsafe-no-fsync",  # nothing here must survive a power cut
        "--log-level=warn",
    ]
    return Process.start(state, "etcd", argv, child_environment())


def wait_etcd(process, port):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def healthy():
        try:
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return json.load(answer).get("health") == "true"
        except (OSError, ValueError):
            return False

    wait_until(lambda: process.has(port) and healthy(), process, "not healthy", READY_SECONDS)


def start_api_server(state, program, port, etcd_port, place):
    pki = state / "pki"
    issuer = f"https://oidc.eks.us-east-1.amazonaws.com/id/{secrets.token_hex(16).upper()}"
    argv = [
        program,
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--bind-address={place.bind}",
        *place.api_flags(),
        f"--secure-port={port}",
        f"--cert-dir={pki}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--service-account-issuer={issuer}",
        f"--service-account-jwks-uri=https://127.0.0.1:{port}/openid/v1/jwks",
        "--api-audiences=https://kubernetes.default.svc,sts.amazonaws.com",
        "--authorization-mode=Node,RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        # A loopback address can't be an endpoint, and nothing here needs one.
        "--endpoint-reconciler-type=none",
        f"--audit-policy-file={TESTBED / 'audit-policy.yaml'}",
        f"--audit-log-path={state / 'audit.log'}",
        "--audit-log-format=json",
        "--audit-log-mode=blocking",  # a line is there when its answer is
        "--audit-log-maxsize=10000",  # MB: one file, never rotated under a reader
    ]
    return Process.start(state, "kube-apiserver", argv, child_environment())


def wait_api_server(process, port, client):
    def ready():
        return process.has(port) and client.answers("/readyz")

    wait_until(ready, process, "/readyz is not ok", READY_SECONDS)


def start_controller_manager(state, program):
    pki = state / "pki"
    argv = [
        program,
        f"--kubeconfig={state / 'controller-manager.kubeconfig'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--kube-api-qps=500",  # its start is some hundred requests, paced by this
        "--kube-api-burst=1000",
        "--concurrent-namespace-syncs=20",  # each test has a namespace of its own
        "--secure-port=0",  # seen to be ready by what it does, see below
    ]
    return Process.start(state, "kube-controller-manager", argv, child_environment())


def wait_controller_manager(process, client):
    made = "/api/v1/namespaces/default/serviceaccounts/default"
    wait_until(lambda: client.answers(made), process, "no ServiceAccount", READY_SECONDS)


def write_kubeconfig(state, path, user, certificate, server):
    def embedded(name):
        return base64.b64encode((state / "pki" / name).read_bytes()).decode()

    path.touch(mode=0o600)
    path.write_text(
        KUBECONFIG.format(
            server=server,
            user=user,
            ca=embedded("ca.crt"),
            certificate=embedded(f"{certificate}.crt"),
            key=embedded(f"{certificate}.key"),
        )
    )
