"""A node beside the control plane: containerd, runc and kubelet, so that pods run. Needs root.

Everything of the bed runs in a network namespace of its own (`network`), which `up` enters before it starts anything.
Pods have a bridge network, no DNS and no way out.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from . import binaries, cgroups, control_plane, emulator, images, lifecycle
from .network import SERVICE_ADDRESS, Network, ip
from .place import NODE_MARK, Loopback
from .processes import Process, stop, wait_until
from .settings import Failure, child_environment

NAME = "testbed-node"
READY_SECONDS = 120
CNI_PLUGINS = ("/opt/cni/bin", "/usr/lib/cni")
POD_SUBNET = "10.88.0.0/16"

CONTAINERD = """\
version = 3
root = "{state}/containerd"
state = "{run}/containerd"

[grpc]
address = "{socket}"

[ttrpc]
address = "{socket}.ttrpc"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{pause}"

[plugins.'io.containerd.cri.v1.runtime']
# Without CAP_SYS_RESOURCE no process may lower its own score, which sandboxes ask for.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{cni}"]
conf_dir = "{state}/cni"
"""

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "healthzBindAddress": "127.0.0.1",
    "readOnlyPort": 0,
    "cgroupDriver": "cgroupfs",
    "failCgroupV1": False,
    "failSwapOn": False,
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},  # for whoever has a certificate of the bed
    # The machine's disk is not the bed's to judge.
    "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,
}


# Set in what runs inside the bed's network.
INSIDE = "MLSERVICEROLE_TESTBED_INSIDE"

# What the place adds to the state directory.
FILES = ("kubelet", "containerd", "cni", "images", "containerd.toml", "kubelet.json", "resolv.conf",
         "scheduler.kubeconfig", "node.kubeconfig")


def up(state):
    """Brings up a bed with a node: outside its network what has to be downloaded and compiled, inside it the rest."""
    node = Node(state)
    if os.environ.get(INSIDE) == node.network.name:
        try:
            lifecycle.up_at(node)
        except BaseException:
            if not Process.recorded(state):
                node.abandon()
            raise
        return
    if lacks := missing():
        raise Failure(f"no node can be run here: this machine lacks {', '.join(lacks)}")
    binaries.find()
    node.find()
    emulator.find()
    node.network.make()
    os.environ[INSIDE] = node.network.name
    # Not `ip netns exec`: it mounts another /sys, without control groups.
    os.execvp("nsenter", ["nsenter", f"--net={node.network.path}", sys.executable, *sys.argv])


def missing():
    """What this machine lacks for a node; empty if it has everything."""
    lacks = []
    if os.geteuid() != 0:
        lacks.append("root")
    lacks += [program for program in ("runc", "ip", "nsenter", "mount", "umount") if not shutil.which(program)]
    if not cni_plugins():
        lacks.append("the CNI plugins (Debian: apt install containernetworking-plugins)")
    # Root of a container is often refused what a node does: it is tried, not asked for.
    return lacks or refused()


def refused():
    """What of a node's deeds this machine doesn't let us do."""
    lacks, name = [], f"mlsr-probe-{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "probe", "type", "bridge")
        ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "other")
        ip("-n", name, "link", "set", "one", "master", "probe")
    except Failure as why:
        lacks.append(f"the right to make networks ({why})")
    finally:
        ip("netns", "delete", name, check=False)
    try:
        cgroups.make(name)
        cgroups.remove(name)
    except OSError as why:
        lacks.append(f"control groups that can be written ({why})")
    with tempfile.TemporaryDirectory(prefix=f"{name}.") as scratch:
        below, above, work, merged = (Path(scratch) / part for part in ("below", "above", "work", "merged"))
        for directory in (below, above, work, merged):
            directory.mkdir()
        layers = f"lowerdir={below},upperdir={above},workdir={work}"
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, merged], capture_output=True, text=True)
        if mounted.returncode == 0:
            subprocess.run(["umount", merged], check=True)
        else:
            lacks.append(f"overlay file systems ({mounted.stderr.strip()})")
    return lacks


def cni_plugins():
    return next((path for path in CNI_PLUGINS if (Path(path) / "bridge").exists()), None)


class Node(Loopback):
    bind = "0.0.0.0"
    api_port = 443  # of the service address, which is the machine's own here
    processes = ("kube-scheduler", "containerd", "kubelet")
    mark = NODE_MARK

    def __init__(self, state):
        super().__init__(state)
        self.network = Network(hashlib.sha256(str(state).encode()).hexdigest()[:8])
        self.address = str(self.network.node)
        # Short, for sockets: their paths may have 107 characters.
        self.run = Path("/run") / self.network.name
        self.socket = self.run / "containerd.sock"

    def find(self):
        return binaries.find_node()

    def exports(self):
        """The network, for what must be reached by pods, and this machine's address in it."""
        return {"MLSERVICEROLE_TESTBED_NETWORK": self.network.path, "MLSERVICEROLE_TESTBED_ADDRESS": self.address}

    def api_flags(self):
        pki = self.state / "pki"
        return [
            f"--advertise-address={SERVICE_ADDRESS}",
            f"--external-hostname={self.address}",
            "--allow-privileged=true",
            # For logs, which Helm asks for when a hook fails.
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={pki / 'admin.crt'}",
            f"--kubelet-client-key={pki / 'admin.key'}",
        ]

    def start(self, programs):
        self.run.mkdir(exist_ok=True)
        cgroups.make(self.network.name)
        self.start_scheduler(programs)
        self.start_containerd(programs)
        for name, program in ((images.PAUSE, "pause"), (images.WORKLOAD, "workload")):
            images.load(self.ctr(programs), images.of(self.state / "images", name, programs[program]))
        self.start_kubelet(programs)

    def kubeconfig(self, name):
        path = self.state / f"{name}.kubeconfig"
        control_plane.write_kubeconfig(self.state, path, name, name, f"https://127.0.0.1:{self.api_port}")
        return path

    def start_scheduler(self, programs):
        argv = [programs["kube-scheduler"], f"--kubeconfig={self.kubeconfig('scheduler')}", "--leader-elect=false",
                "--secure-port=0"]
        Process.start(self.state, "kube-scheduler", argv, child_environment())

    def start_containerd(self, programs):
        cni = self.state / "cni"
        cni.mkdir()
        bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True,
                  "ipam": {"type": "host-local", "dataDir": str(self.run / "addresses"),
                           "ranges": [[{"subnet": POD_SUBNET}]], "routes": [{"dst": "0.0.0.0/0"}]}}
        plugins = {"cniVersion": "1.0.0", "name": "testbed", "plugins": [bridge]}
        (cni / "10-testbed.conflist").write_text(json.dumps(plugins))
        (self.state / "containerd.toml").write_text(CONTAINERD.format(
            state=self.state, run=self.run, socket=self.socket, pause=images.PAUSE,
            runc=shutil.which("runc"), cni=cni_plugins()))
        tool = self.state / "bin" / "ctr"
        tool.write_text(f'#!/bin/sh\nexec {shlex.join(self.ctr(programs))} "$@"\n')
        tool.chmod(0o755)
        # It finds its shim on PATH.
        path = f"{programs['containerd'].parent}:{os.environ['PATH']}"
        argv = [programs["containerd"], "--config", self.state / "containerd.toml"]
        process = Process.start(self.state, "containerd", argv, child_environment(PATH=path))
        version = [*self.ctr(programs), "version"]

        def answers():
            return subprocess.run(version, capture_output=True).returncode == 0

        wait_until(answers, process, "no answer", READY_SECONDS)

    def ctr(self, programs):
        return [str(programs["ctr"]), "--address", str(self.socket), "--namespace", "k8s.io"]

    def start_kubelet(self, programs):
        root = self.state / "kubelet"
        root.mkdir()
        (self.state / "resolv.conf").write_text("")
        settings = {**KUBELET, "address": self.address, "resolvConf": str(self.state / "resolv.conf"),
                    "containerRuntimeEndpoint": f"unix://{self.socket}", "cgroupRoot": f"/{self.network.name}"}
        settings["authentication"]["x509"] = {"clientCAFile": str(self.state / "pki" / "ca.crt")}
        (self.state / "kubelet.json").write_text(json.dumps(settings))
        argv = [programs["kubelet"], f"--config={self.state / 'kubelet.json'}",
                f"--kubeconfig={self.kubeconfig('node')}", f"--root-dir={root}", f"--cert-dir={root / 'pki'}",
                f"--node-ip={self.address}", f"--hostname-override={NAME}"]
        process = Process.start(self.state, "kubelet", argv, child_environment())
        client = control_plane.ApiServer(self.state, self.api_port, "admin")

        def ready():
            node = client.read(f"/api/v1/nodes/{NAME}") or {}
            conditions = node.get("status", {}).get("conditions", [])
            # The taint goes a moment after the condition comes, and pods wait for that.
            return ("Ready", "True") in {(c["type"], c["status"]) for c in conditions} and not node["spec"].get("taints")

        wait_until(ready, process, "the node is not ready", READY_SECONDS)

    def stop(self, recorded):
        stop([recorded[name] for name in ("kubelet", "kube-scheduler") if name in recorded])
        containerd = recorded.get("containerd")
        if containerd and containerd.alive():
            self.end_containers()
            stop([containerd])

    def end_containers(self):
        """Ends every container; its shim ends with it."""
        ctr = str(self.state / "bin" / "ctr")
        with contextlib.suppress(FileNotFoundError):  # then there are none yet
            listed = subprocess.run([ctr, "tasks", "list", "--quiet"], capture_output=True, text=True)
            for task in listed.stdout.split():
                subprocess.run([ctr, "tasks", "delete", "--force", task], capture_output=True)

    def leave(self):
        for pid in shims(str(self.socket)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        cgroups.remove(self.network.name)
        for mount in mounts_under(self.state, self.run):
            subprocess.run(["umount", "--lazy", mount], capture_output=True)
        for path in (self.run, *(self.state / name for name in FILES)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def abandon(self):
        super().abandon()
        self.network.remove()


def shims(socket):
    """Shims that a killed containerd left, known by its socket in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"containerd-shim-runc-v2") and socket.encode() in words:
                found.append(int(entry.name))
    return found


def mounts_under(*directories):
    """The mount points below directories, the innermost first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return sorted((p for p in points if p.startswith(tuple(f"{d}/" for d in directories))), reverse=True)
