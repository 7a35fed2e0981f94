"""The AWS emulator: LocalStack, or ministack where Python 3.13 is missing.

LocalStack's own launcher asks for a licence; its runtime, started as a module,
does not. This release works on Python 3.13 only, whatever its metadata says.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from .processes import Process, lock, run, wait_until
from .settings import TESTBED, Failure, Timed, cache_directory, child_environment, say

READY_SECONDS = 90
COMPLETE = "complete"

# Both emulators accept any signature, but want to see the service's name in it.
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


class Emulator:
    def __init__(self, name, python):
        self.name, self.python = name, python
        self.requirements = TESTBED / "requirements" / f"{name}.txt"

    def command(self):
        module = {"localstack": "localstack.runtime.main", "ministack": "ministack"}[self.name]
        return [self.python, "-m", module]

    def environment(self, bind, port, home):
        if self.name == "ministack":
            return child_environment(HOME=str(home), BIND_HOST=bind, GATEWAY_PORT=str(port))
        return child_environment(
            HOME=str(home),
            FILESYSTEM_ROOT=str(home),
            GATEWAY_LISTEN=f"{bind}:{port}",
            GATEWAY_SERVER="hypercorn",  # the default server binds every interface
            DNS_ADDRESS="0",
            DISABLE_EVENTS="1",
            SKIP_SSL_CERT_DOWNLOAD="1",
            SERVICES="iam,sts",
            STRICT_SERVICE_LOADING="1",
            EAGER_SERVICE_LOADING="1",
        )

    def start(self, state, bind, port):
        home = state / "emulator"
        home.mkdir()
        return Process.start(state, "emulator", self.command(), self.environment(bind, port, home))


def wait_ready(process, port):
    wait_until(lambda: process.has(port) and answers(port), process, "no answer", READY_SECONDS)


def answers(port):
    """Do IAM and STS answer a real request?"""
    questions = (("sts", "GetCallerIdentity", "2011-06-15"), ("iam", "ListRoles", "2010-05-08"))
    for service, action, version in questions:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/",
            data=f"Action={action}&Version={version}".encode(),
            headers={"Authorization": AUTHORIZATION.format(service)},
        )
        try:
            with DIRECT.open(request, timeout=5) as answer:
                if f"{action}Result".encode() not in answer.read():
                    return False
        except (OSError, urllib.error.URLError):
            return False
    return True


# Never through a proxy: it is on this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def usable(python, *versions):
    """Is this an interpreter that can make environments, of one of the versions?"""
    check = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run([python, "-c", check], capture_output=True, text=True)
    except OSError:
        return False
    return asked.returncode == 0 and (not versions or asked.stdout.strip() in versions)


def python_313():
    pyenv = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    named = os.environ.get("PYTHON313")
    if named and not usable(named, "3.13"):
        say(f"PYTHON313={named} is not a Python 3.13 with venv and ensurepip: not used")
    candidates = [named, shutil.which("python3.13"), sys.executable]
    candidates += sorted(glob.glob(f"{glob.escape(pyenv)}/versions/3.13*/bin/python3.13"))
    return next((c for c in candidates if c and usable(c, "3.13")), None)


def choose():
    """(name, base interpreter) of the emulator to use."""
    wanted = os.environ.get("MLSERVICEROLE_TESTBED_EMULATOR") or "auto"
    if wanted not in ("auto", "localstack", "ministack"):
        raise Failure(f"MLSERVICEROLE_TESTBED_EMULATOR is {wanted}: localstack or ministack")
    if wanted != "ministack":
        found = python_313()
        if found:
            return "localstack", found
        if wanted == "localstack":
            raise Failure("LocalStack needs Python 3.13 (on PATH, under pyenv, or in PYTHON313)")
        say("NO PYTHON 3.13: AWS is emulated by ministack, which is laxer than LocalStack")
    return "ministack", python_for_ministack()


def python_for_ministack():
    versions = [f"3.{minor}" for minor in (14, 13, 12, 11, 10)]
    for python in [sys.executable, *(shutil.which(f"python{version}") for version in versions)]:
        if python and usable(python, *versions):
            return python
    raise Failure("no emulator can be installed: ministack needs Python 3.10 to 3.14 with venv and "
                  "ensurepip (Debian: apt install python3-venv), LocalStack needs 3.13")


def find():
    """The emulator in an environment of its own, installed on first use."""
    name, base = choose()
    identity = subprocess.run([base, "-VV"], capture_output=True, text=True).stdout + base
    content = (TESTBED / "requirements" / f"{name}.txt").read_bytes() + identity.encode()
    cache = cache_directory()
    target = cache / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    emulator = Emulator(name, target / "bin" / "python")
    with lock(cache / f"lock-{target.name}", f"waiting for another start that installs {name}"):
        if (target / COMPLETE).exists() and usable(str(emulator.python)):
            return emulator
        if target.exists():
            say(f"{target} is damaged: installed again")
            shutil.rmtree(target)
        with Timed(f"installed {name}"):
            run([base, "-m", "venv", target], f"python -m venv {target}")
            run([emulator.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
                 "--no-input", "--require-hashes", "--no-deps", "-r", emulator.requirements],
                f"installing {name}")
            (target / COMPLETE).touch()
    return emulator
