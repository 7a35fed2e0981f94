"""Images for a node that reaches no registry."""

import hashlib
import io
import json
import platform
import subprocess
import tarfile

from .settings import Failure

PAUSE = "localhost/pause:1"
WORKLOAD = "localhost/workload:1"


def of(directory, name, program):
    """An archive with an image of one static program."""
    directory.mkdir(exist_ok=True)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program, program.name, filter=plain)
    return archive(directory / f"{program.name}.tar", name, layer.getvalue(), [f"/{program.name}"])


def plain(member):
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755
    return member


def archive(path, name, layer, entrypoint):
    """Writes an archive of one layer, as `docker save` does."""
    config = json.dumps({
        "architecture": architecture(), "os": "linux", "config": {"Entrypoint": entrypoint, "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member, content in (("layer.tar", layer), ("config.json", config), ("manifest.json", manifest)):
            about = tarfile.TarInfo(member)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return path


def architecture():
    """As images call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def load(ctr, path):
    done = subprocess.run([*ctr, "images", "import", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"importing {path} failed: {done.stderr.strip()}")
