"""The tree of control groups that one bed's pods are in, so that nothing of them outlives it."""

import contextlib
import os
import signal
import time
from pathlib import Path

from .processes import GRACE_SECONDS
from .settings import Failure

ROOT = Path("/sys/fs/cgroup")


def hierarchies():
    """One for each controller in version 1, the whole in version 2."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in ROOT.iterdir() if (path / "cgroup.procs").exists()]


def make(name):
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
    if hierarchies() == [ROOT]:
        # What the kubelet asks for must be handed down to the tree.
        wanted = (ROOT / "cgroup.controllers").read_text().split()
        (ROOT / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in wanted))


def remove(name):
    """Kills what is left in the trees, and removes them."""
    deadline = time.monotonic() + GRACE_SECONDS
    while left := processes(name):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise Failure(f"could not be killed: the processes {sorted(left)} of the bed's pods")
        time.sleep(0.1)
    for tree in trees(name):
        # Those at the end of the tree first.
        below = sorted((p for p in tree.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True)
        for directory in (*below, tree):
            directory.rmdir()


def trees(name):
    return [hierarchy / name for hierarchy in hierarchies() if (hierarchy / name).exists()]


def processes(name):
    return {int(pid) for tree in trees(name) for file in tree.rglob("cgroup.procs") for pid in file.read_text().split()}
