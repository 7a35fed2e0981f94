"""Processes that outlive the command that started them, and their safe end.

A process is known by its pid *and* its start time, so that a pid which the
kernel has given to somebody else meanwhile is never signalled.
"""

import contextlib
import errno
import fcntl
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from .settings import Failure, say

GRACE_SECONDS = 10
# LocalStack now and then closes its port at SIGTERM and then doesn't end.
GRACE_OF = {"emulator": 2}
POLL_SECONDS = 0.05


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class PortTaken(Failure):
    """Somebody else got a port between our choice and our bind."""


class Interruption:
    """Turns signals into `Interrupted`, never between a start and its record."""

    held = 0
    pending = None

    @classmethod
    def install(cls):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, cls._arrived)

    @classmethod
    def _arrived(cls, number, _frame):
        cls.pending = number
        if not cls.held:
            raise Interrupted(number)

    @classmethod
    @contextlib.contextmanager
    def deferred(cls):
        cls.held += 1
        try:
            yield
        finally:
            cls.held -= 1
            if cls.pending and not cls.held:
                number, cls.pending = cls.pending, None
                raise Interrupted(number)


def start_time(pid):
    """A token that no later process with this pid can have; None if it is gone."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.split()
    return None if not shown or shown[0].startswith("Z") else "_".join(shown[1:])


class Process:
    def __init__(self, name, pid, token, log, child=None):
        self.name, self.pid, self.token, self.log, self.child = name, pid, token, log, child

    @classmethod
    def start(cls, state, name, argv, environment):
        """Starts `argv` in a session of its own and records it in the state directory."""
        log = state / "log" / f"{name}.log"
        with Interruption.deferred(), open(log, "ab") as output:
            child = subprocess.Popen(
                [str(word) for word in argv],
                env=environment,
                cwd=state,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            token = start_time(child.pid) or "gone"
            record = state / "run" / f"{name}.pid"
            record.with_suffix(".new").write_text(f"{child.pid} {token}\n")
            record.with_suffix(".new").rename(record)
            return cls(name, child.pid, token, log, child)

    @classmethod
    def recorded(cls, state):
        """The processes that the state directory knows of, dead ones too."""
        found = {}
        for record in sorted((state / "run").glob("*.pid")):
            words = record.read_text().split()
            if len(words) == 2 and words[0].isdigit():
                log = state / "log" / f"{record.stem}.log"
                found[record.stem] = cls(record.stem, int(words[0]), words[1], log)
        return found

    def alive(self):
        if self.child is not None:
            self.child.poll()  # reaps it, if it has ended
        return start_time(self.pid) == self.token

    def signal(self, number):
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def last_lines(self, count=15):
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    {line}" for line in lines[-count:])

    def has(self, port):
        """Is the port served, and by this process? Not every program ends when it
        can't bind, and a stranger's answer must not be taken for its own."""
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return False
        if self.listens(port):
            return True
        raise PortTaken(f"port {port} was free, but {self.name} did not get it")

    def listens(self, port):
        """Is this process the one that listens on the port? (Assumed without /proc.)"""
        # Whoever listens on every address does so by IPv6, where the kernel has it.
        tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
        if not tables:
            return True
        rows = [row.split() for table in tables for row in table.read_text().splitlines()[1:]]
        wanted = {f"socket:[{row[9]}]" for row in rows
                  if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
        with contextlib.suppress(FileNotFoundError):  # the process ended
            for descriptor in Path(f"/proc/{self.pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # it was closed just now
                    if os.readlink(descriptor) in wanted:
                        return True
        return False


def stop(processes):
    """TERM, a grace, then KILL. Returns when all are gone."""
    began = time.monotonic()
    killed = set()
    for process in processes:
        process.signal(signal.SIGTERM)
    while left := [process for process in processes if process.alive()]:
        waited = time.monotonic() - began
        for process in left:
            grace = GRACE_OF.get(process.name, GRACE_SECONDS)
            if waited > grace and process.pid not in killed:
                say(f"{process.name} (pid {process.pid}) did not end within {grace} s: killed")
                killed.add(process.pid)
                process.signal(signal.SIGKILL)
        if waited > 3 * GRACE_SECONDS:
            names = ", ".join(f"{process.name} (pid {process.pid})" for process in left)
            raise Failure(f"could not be killed: {names}")
        time.sleep(POLL_SECONDS)


def wait_until(condition, process, what, seconds):
    """Polls a real condition; fails at the deadline, or as soon as the process ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        problem = None
        if not process.alive():
            problem = f"{process.name} ended while it was starting"
        elif time.monotonic() > deadline:
            problem = f"{process.name}: {what} not within {seconds} s"
        if problem:
            tail = process.last_lines()
            taken = "address already in use" in tail.lower()
            raise (PortTaken if taken else Failure)(f"{problem}; {process.log} ends with\n{tail}")
        time.sleep(POLL_SECONDS)


def free_ports(count):
    """Ports that are free now, below the range that outgoing connections use."""
    found = set()
    for port in random.sample(range(20000, 32000), 2000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
        found.add(port)
        if len(found) == count:
            return sorted(found)
    raise Failure("no free ports on 127.0.0.1")


@contextlib.contextmanager
def lock(path, waiting):
    """An exclusive lock between processes; the kernel frees it with its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(argv, what, **options):
    """Runs a helper to its end, its output to stderr; an interruption ends all of it."""
    child = None
    try:
        with Interruption.deferred():
            child = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=2,
                start_new_session=True,
                **options,
            )
        if child.wait() != 0:
            raise Failure(f"{what} failed (exit {child.returncode})")
    except BaseException:
        if child is not None and child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        raise
