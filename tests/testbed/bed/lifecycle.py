"""Bringing a bed up and taking it down."""

import json
import shlex
import shutil
import sys
import time

from . import binaries, certificates, control_plane, emulator
from .place import NODE_MARK, Loopback
from .processes import Interrupted, Interruption, PortTaken, Process, free_ports, lock, stop
from .settings import Failure, Timed, say, state_directory

MARK = "This directory belongs to the test bed (tests/testbed); `down` empties it.\n"
START_ATTEMPTS = 5
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager")

# Without etcd the API server hangs in its shutdown and keeps its port.
STOP_ORDER = (("kube-controller-manager", "emulator"), ("kube-apiserver",), ("etcd",))

# Removed by `down`; the logs and the audit log stay to be read.
REMOVED = ("run", "pki", "etcd", "emulator", "bin", "kubeconfig", "controller-manager.kubeconfig",
           "ports.json", "env")


def main(command, default_directory=".testbed"):
    Interruption.install()
    try:
        command(state_directory(default_directory))
    except Failure as failure:
        say(f"FAILED: {failure}")
        return 1
    except Interrupted as interruption:
        say("interrupted")
        return 128 + interruption.number
    return 0


def up(state):
    up_at(Loopback(state))


def up_at(place):
    state = place.state
    began = time.monotonic()
    with state_lock(state):
        if healthy(place):
            say(f"already up: {state}")
            print_exports(state)
            return
    programs = {**binaries.find(), **place.find()}
    aws = emulator.find()
    with state_lock(state):
        if not healthy(place):
            if Process.recorded(state):
                say("a bed is here, but not all of it is alive: started afresh")
            place.claim()
            start_with_retries(place, programs, aws)
        say(f"up after {time.monotonic() - began:.1f} s: {state}")
        print_exports(state)


def down(state):
    if not (state / "testbed").exists():
        say(f"no bed in {state}")
        return
    with state_lock(state), Timed(f"down ({state})"):
        place = place_of(state)
        clear(place)
        place.abandon()


def place_of(state):
    """Where the bed in this directory is."""
    if not (state / NODE_MARK).exists():
        return Loopback(state)
    from .node import Node  # only where there is one: it needs Linux

    return Node(state)


def state_lock(state):
    claim(state)
    return lock(state / "testbed", f"waiting for another command at work in {state}")


def claim(state):
    """Makes the directory ours, unless it holds somebody else's files."""
    mark = state / "testbed"
    if mark.exists():
        return
    if state.exists() and any(state.iterdir()):
        raise Failure(f"{state} is neither empty nor a test bed: choose another directory")
    state.mkdir(parents=True, exist_ok=True)
    mark.write_text(MARK)


def healthy(place):
    state = place.state
    recorded = Process.recorded(state)
    try:
        ports = json.loads((state / "ports.json").read_text())
    except (OSError, ValueError):
        return False
    return (
        (state / "env").exists()
        and recorded.keys() == {*CONTROL_PLANE, "emulator", *place.processes}
        and all(process.alive() for process in recorded.values())
        and control_plane.ApiServer(state, ports["api"]).answers("/readyz")
        and emulator.answers(ports["aws"])
    )


def start_with_retries(place, programs, aws):
    for attempt in range(1, START_ATTEMPTS + 1):
        clear(place)
        try:
            start(place, programs, aws)
            return
        except BaseException as error:
            say("stopping what was started")
            clear(place)
            if not isinstance(error, PortTaken) or attempt == START_ATTEMPTS:
                raise
            say(f"{error}\nsomebody took a port: trying others")


def start(place, programs, aws):
    state = place.state
    for name in ("log", "run", "bin"):
        shutil.rmtree(state / name, ignore_errors=True)
        (state / name).mkdir()
    (state / "audit.log").unlink(missing_ok=True)
    certificates.make(state / "pki", place.address)
    etcd_port, peer_port, api_port, aws_port = free_ports(4)
    api_port = place.api_port or api_port
    (state / "ports.json").write_text(json.dumps({"api": api_port, "aws": aws_port}))

    client = control_plane.ApiServer(state, api_port)
    for name, user, server in (("kubeconfig", "admin", f"https://{place.address}:{api_port}"),
                               ("controller-manager.kubeconfig", "controller-manager", client.url)):
        control_plane.write_kubeconfig(state, state / name, user, user, server)

    with Timed("control plane and emulator ready"):
        etcd = control_plane.start_etcd(state, programs["etcd"], etcd_port, peer_port)
        aws_process = aws.start(state, place.bind, aws_port)
        control_plane.wait_etcd(etcd, etcd_port)
        api = control_plane.start_api_server(state, programs["kube-apiserver"], api_port, etcd_port, place)
        control_plane.wait_api_server(api, api_port, client)
        manager = control_plane.start_controller_manager(state, programs["kube-controller-manager"])
        control_plane.wait_controller_manager(manager, client)
        emulator.wait_ready(aws_process, aws_port)
        place.start(programs)

    write_kubectl(state, programs["kubectl"])
    write_exports(state, f"http://{place.address}:{aws_port}", place.exports())


def write_kubectl(state, program):
    """A kubectl that keeps what it learns of this cluster in the state directory."""
    script = state / "bin" / "kubectl"
    cache = shlex.quote(str(state / "bin" / "cache"))
    script.write_text(
        f"#!/bin/sh\nKUBECACHEDIR=${{KUBECACHEDIR:-{cache}}} "
        f'exec {shlex.quote(str(program))} "$@"\n'
    )
    script.chmod(0o755)


def write_exports(state, endpoint, besides):
    quoted = shlex.quote
    (state / "env").write_text(
        f"export KUBECONFIG={quoted(str(state / 'kubeconfig'))}\n"
        f"export AWS_ENDPOINT_URL={endpoint}\n"
        "export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n"
        f'export PATH={quoted(str(state / "bin"))}:"$PATH"\n'
        + "".join(f"export {name}={quoted(value)}\n" for name, value in besides.items())
    )


def print_exports(state):
    sys.stdout.write((state / "env").read_text())
    sys.stdout.flush()


def clear(place):
    """Stops every recorded process, then removes what only a live bed needs."""
    state = place.state
    with Interruption.deferred():
        recorded = Process.recorded(state)
        place.stop(recorded)
        for names in STOP_ORDER:
            stop([recorded[name] for name in names if name in recorded])
        place.leave()
        for name in REMOVED:
            path = state / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
