"""Where things are kept, and how the bed talks to whoever started it."""

import os
import sys
import time
from pathlib import Path

TESTBED = Path(__file__).resolve().parent.parent
CHECKOUT = TESTBED.parent.parent


class Failure(Exception):
    """Ends the command with a message and no traceback."""


def say(message):
    """Stdout is only for lines to eval: everything else is said here."""
    print(f"testbed: {message}", file=sys.stderr, flush=True)


class Timed:
    """Says how long something took, when it went well."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            say(f"{self.what}: {time.monotonic() - self.began:.1f} s")


def directory(variable, default):
    return Path(os.path.abspath(os.environ.get(variable) or default))


def state_directory(default):
    return directory("MLSERVICEROLE_TESTBED_DIR", CHECKOUT / default)


def cache_directory():
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return directory("MLSERVICEROLE_TESTBED_CACHE", Path(shared) / "mlservicerole-testbed")


def child_environment(**more):
    """What a process of the bed inherits: nothing that points it elsewhere."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.update(more)
    return environment
