"""A network namespace for one bed: an address for the node, one that this machine reaches it by, and the address of the
Kubernetes API as pods know it. Nothing leads out of it."""

import ipaddress
import json
import subprocess

from .settings import Failure

SERVICE_ADDRESS = "10.0.0.1"
# Two addresses a bed, of the block that RFC 2544 sets aside for tests.
SUBNETS = ipaddress.ip_network("198.18.0.0/16")


def ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Failure(f"ip {' '.join(words)} failed: {done.stderr.strip()}")
    return done


class Network:
    def __init__(self, token):
        """`token`: eight hexadecimal digits that tell this bed from others on the machine."""
        self.name = f"mlsr-{token}"
        self.outside, self.inside = f"ms{token}", f"mi{token}"
        subnets = list(SUBNETS.subnets(new_prefix=30))
        self.host, self.node = subnets[int(token, 16) % len(subnets)].hosts()
        self.path = f"/run/netns/{self.name}"

    def exists(self):
        listed = json.loads(ip("-json", "netns", "list").stdout or "[]")
        return any(entry["name"] == self.name for entry in listed)

    def make(self):
        if self.exists():
            return
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.outside, "type", "veth", "peer", "name", self.inside, "netns", self.name)
            ip("address", "add", f"{self.host}/30", "dev", self.outside)
            ip("link", "set", self.outside, "up")
            within = ("-n", self.name)
            ip(*within, "link", "set", "lo", "up")
            # Where pods find the API server: there is no kube-proxy.
            ip(*within, "address", "add", f"{SERVICE_ADDRESS}/32", "dev", "lo")
            ip(*within, "address", "add", f"{self.node}/30", "dev", self.inside)
            ip(*within, "link", "set", self.inside, "up")
            ip(*within, "route", "add", "default", "via", str(self.host))
        except Failure:
            self.remove()
            raise

    def remove(self):
        ip("link", "delete", self.outside, check=False)
        ip("netns", "delete", self.name, check=False)
