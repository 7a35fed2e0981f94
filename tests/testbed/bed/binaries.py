"""The programs of the control plane and of the node, helm, promtool and a Lua: found on the machine, or compiled once.

Compiled ones lie in the cache under a name that is a digest of everything they
depend on, beside a list of their checksums.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .processes import lock, run
from .settings import TESTBED, Failure, Timed, cache_directory, say

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager")
CHECKSUMS = "SHA256SUMS"


class Module:
    """A Go module of the test bed and the commands that are compiled from it."""

    sources = ("go.mod", "go.sum")

    def __init__(self, name, main, *packages):
        self.name, self.packages = name, packages
        self.directory = TESTBED / name
        text = (self.directory / "go.mod").read_text()
        self.version = re.search(rf"^require {re.escape(main)} (\S+)$", text, re.M).group(1)
        self.linker_flags = "-s -w"

    def programs(self):
        return [self.output(package) for package in self.packages]

    @staticmethod
    def output(package):
        words = package.split("/")
        return words[1] if package.startswith("go.etcd.io/") else words[-1]

    def environment(self):
        # GOFLAGS and GOWORK of the user's own projects must not change what is built.
        return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off",
                "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}

    def go(self):
        if not shutil.which("go"):
            raise Failure(f"{self.name} must be compiled, and go is not on PATH: install Go 1.26 "
                          "or newer, or set KUBEBUILDER_ASSETS (see tests/testbed/README.md)")
        command = ["go", "env", "-json", "GOVERSION", "GOOS", "GOARCH"]
        asked = subprocess.run(command, cwd=self.directory, env=self.environment(),
                               capture_output=True, text=True)
        if asked.returncode != 0:
            raise Failure(f"go can't build {self.name}: {asked.stderr.strip()}")
        return json.loads(asked.stdout)

    def key(self):
        """A digest of all that decides the bytes of the result."""
        digest = hashlib.sha256()
        for part in (
            *((self.directory / source).read_bytes() for source in self.sources),
            self.linker_flags.encode(),
            " ".join(self.packages).encode(),
            self.environment()["GOFLAGS"].encode(),
            json.dumps(self.go(), sort_keys=True).encode(),
        ):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:16]

    def build(self, target):
        for package, program in zip(self.packages, self.programs()):
            with Timed(f"compiled {program} {self.version}"):
                run(["go", "build", "-ldflags", self.linker_flags, "-o", target / program, package],
                    f"compiling {program}", cwd=self.directory, env=self.environment())
        sums = [f"{sha256(target / program)}  {program}\n" for program in self.programs()]
        (target / CHECKSUMS).write_text("".join(sums))


class Own(Module):
    """A program of our own, which depends on no other module."""

    sources = ("go.mod", "main.go")

    def __init__(self, name):
        self.name, self.version, self.packages = name, "1", [f"testbed/{name}"]
        self.directory, self.linker_flags = TESTBED / name, "-s -w"


def kubernetes(*commands):
    commands = commands or ("kube-apiserver", "kube-controller-manager", "kubectl")
    packages = [f"k8s.io/kubernetes/cmd/{command}" for command in commands]
    module = Module("kubernetes", "k8s.io/kubernetes", *packages)
    # Without these the programs take themselves for v0.0.0 and refuse features.
    major, minor = module.version.lstrip("v").split(".")[:2]
    package = "k8s.io/component-base/version"
    for name, value in (("Version", module.version), ("Major", major), ("Minor", minor)):
        module.linker_flags += f" -X {package}.git{name}={value}"
    return module


def etcd():
    return Module("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3")


def containerd():
    root = "github.com/containerd/containerd/v2"
    commands = [f"{root}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")]
    module = Module("containerd", root, *commands)
    module.linker_flags += f" -X {root}/version.Version={module.version}"
    return module


def helm():
    root = "helm.sh/helm/v3"
    module = Module("helm", root, f"{root}/cmd/helm")
    module.linker_flags += f" -X {root}/internal/version.version={module.version}"
    # What it takes a cluster for that it can't ask: the release of the client library that it is built with.
    text = (module.directory / "go.mod").read_text()
    minor = re.search(r"^\s*k8s\.io/client-go v0\.(\d+)\.", text, re.M).group(1)
    for package in ("pkg/lint/rules", "pkg/chartutil"):
        module.linker_flags += f" -X {root}/{package}.k8sVersionMajor=1 -X {root}/{package}.k8sVersionMinor={minor}"
    return module


def promtool():
    root = "github.com/prometheus/prometheus"
    module = Module("promtool", root, f"{root}/cmd/promtool")
    module.linker_flags += f" -X github.com/prometheus/common/version.Version={module.version}"
    return module


def lua():
    """The Lua that Argo CD runs health checks with."""
    root = "github.com/yuin/gopher-lua"
    return Module("lua", root, f"{root}/cmd/glua")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def damage(target, programs):
    """What is wrong with a directory of compiled programs; None if nothing is."""
    try:
        lines = (target / CHECKSUMS).read_text().splitlines()
        recorded = {name: value for value, name in (line.split() for line in lines)}
    except (OSError, ValueError):
        return f"{CHECKSUMS} can't be read"
    for program in programs:
        path = target / program
        if not os.access(path, os.X_OK):
            return f"{program} is missing"
        if sha256(path) != recorded.get(program):
            return f"{program} does not have its recorded checksum"
    return None


def compiled(module):
    """The directory with the module's programs, verified; compiles them if need be."""
    cache = cache_directory()
    target = cache / f"{module.name}-{module.version}-{module.key()}"
    # A directory is renamed when complete: what is whole needs no lock, and nobody waits for what others compile.
    if damage(target, module.programs()) is None:
        return target
    with lock(cache / f"lock-{target.name}", f"waiting for another start that compiles {module.name}"):
        if target.exists():
            problem = damage(target, module.programs())
            if problem is None:
                return target
            say(f"{target} is damaged ({problem}): built again")
            shutil.rmtree(target)
        say(f"compiling {', '.join(module.programs())} {module.version} (once; minutes)")
        building = cache / f"building-{target.name}"
        shutil.rmtree(building, ignore_errors=True)  # what a killed start left
        building.mkdir()
        module.build(building)
        building.rename(target)
    return target


def installed():
    """Programs that the user brought: KUBEBUILDER_ASSETS first, then PATH."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for where, path in (("KUBEBUILDER_ASSETS", assets), ("PATH", os.environ.get("PATH"))):
        found = {name: shutil.which(name, path=path) for name in (*SERVERS, "kubectl")} if path else {}
        if all(found.get(name) for name in SERVERS):
            say(f"using {', '.join(SERVERS)} found by {where}")
            return {name: Path(program) for name, program in found.items() if program}
        if where == "KUBEBUILDER_ASSETS" and path:
            missing = ", ".join(name for name in SERVERS if not found.get(name))
            say(f"KUBEBUILDER_ASSETS ({path}) is not used: it lacks {missing}")
    return {}


def find():
    """Maps each program's name to its path."""
    programs = installed()
    needed = []
    if "kubectl" not in programs:
        needed.append(kubernetes())
    if "etcd" not in programs:
        needed.append(etcd())
    for module in needed:
        directory = compiled(module)
        for program in module.programs():
            programs.setdefault(program, directory / program)
    return programs


def on_this_machine(name):
    """The path of a program that the user brought: what its variable (HELM for helm) names, or what is on PATH."""
    named = os.environ.get(name.upper())
    if named and not shutil.which(named):
        raise Failure(f"{name.upper()}={named} is not a program")
    found = shutil.which(named or name)
    return Path(found) if found else None


def find_helm():
    return on_this_machine("helm") or compiled(helm()) / "helm"


def find_promtool():
    return on_this_machine("promtool") or debians_promtool() or compiled(promtool()) / "promtool"


def debians_promtool():
    """That of Debian's package, which is taken apart and not installed: that would start a Prometheus. Compiling takes
    many minutes. None where there is no such package."""
    target = cache_directory() / "promtool-debian"
    program = target / "usr" / "bin" / "promtool"
    if os.access(program, os.X_OK):
        return program
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    with lock(cache_directory() / "lock-promtool-debian", "waiting for another that fetches promtool"):
        if os.access(program, os.X_OK):
            return program
        taken = cache_directory() / "building-promtool-debian"
        shutil.rmtree(taken, ignore_errors=True)
        taken.mkdir()
        try:
            run(["apt-get", "download", "-qq", "prometheus"], "fetching Debian's package prometheus", cwd=taken)
            [package] = taken.glob("prometheus_*.deb")
            run(["dpkg-deb", "--extract", package, taken], "taking Debian's package prometheus apart", cwd=taken)
        except (Failure, ValueError) as problem:
            say(f"{problem}: promtool is compiled")
            return None
        package.unlink()
        shutil.rmtree(target, ignore_errors=True)
        taken.rename(target)
    return program


def find_lua():
    """Always compiled: another Lua than Argo CD's would prove nothing."""
    return compiled(lua()) / "glua"


def find_node():
    """Maps the programs that make a node, and the scheduler, to their paths. Always compiled: kubelet and
    containerd from elsewhere come with versions and defaults of their own."""
    programs = {}
    for module in (kubernetes("kubelet", "kube-scheduler"), containerd(), Own("pause"), Own("workload")):
        directory = compiled(module)
        programs.update({program: directory / program for program in module.programs()})
    return programs
