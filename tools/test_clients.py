"""Installs what the tests need to act as devices: mbed TLS for the client in C, and the CoAP client of libcoap.

The tests use what this machine has. The rest comes from the packages of Debian or a system made from it, which are
unpacked into .local/tools/debian, without root and without installing them. The release of the system is the pin (a
release only ever gets corrections, and its mirrors hold no older ones), and apt checks signatures.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from build import LOGS, TOOLS
from steps import Problem, command, say, step

HOME = TOOLS / "debian"
LOG = LOGS / "tools-debian.log"

# Runs apt in a directory of its own: with the sources and keys of this machine, writing nowhere else.
APT = """\
Dir::State "{home}/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "{home}/cache";
Debug::NoLocking "true";
APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
"""


def install_clients():
    packages = missing()
    try:
        if packages:
            install(packages)
    except Problem as problem:
        # A developer may go without: the tests report what they skip. CI may not.
        if os.environ.get("CI") == "true":
            raise
        say(f"{problem}\nthe tests that need them are skipped; on Debian, install {', '.join(packages)}")


def install(packages):
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Problem("the test clients come from Debian packages, which need apt-get and dpkg")
    stamp = HOME / "installed"
    wanted = " ".join([*packages, system(), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    with step(f"unpack Debian's {', '.join(packages)}", LOG):
        unpack(packages)
    stamp.write_text(wanted)


def missing():
    """The Debian packages that this machine lacks."""
    packages = []
    if not compiles("#include <mbedtls/hkdf.h>\nint main(void) { return !mbedtls_hkdf; }\n", "-lmbedcrypto"):
        packages.append("libmbedtls-dev")
    if not (shutil.which("coap-client") or shutil.which("coap-client-notls")):
        packages.append("libcoap3-bin")
    return packages


def compiles(program, library):
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ["cc", "-x", "c", "-", "-o", f"{scratch}/program", library]
        return subprocess.run(arguments, input=program.encode(), capture_output=True).returncode == 0


def system():
    lines = Path("/etc/os-release").read_text().splitlines()
    return " ".join(line for line in lines if line.startswith(("ID=", "VERSION_ID=")))


def unpack(packages):
    for folder in ("state/lists/partial", "cache/archives/partial", "unpacked"):
        (HOME / folder).mkdir(parents=True)
    configuration = HOME / "apt.conf"
    configuration.write_text(APT.format(home=HOME))
    apt = ["apt-get", "-q", "--config-file", configuration]
    command([*apt, "update"], LOG, os.environ)
    # apt adds the dependencies under their names in this release. Without root it can download them, not install them.
    download = ["install", "--download-only", "--no-install-recommends", "--yes", *packages]
    command([*apt, *download], LOG, os.environ, append=True)
    for archive in sorted((HOME / "cache" / "archives").glob("*.deb")):
        command(["dpkg", "-x", archive, HOME / "unpacked"], LOG, os.environ, append=True)
    for folder in ("state", "cache"):
        shutil.rmtree(HOME / folder)
