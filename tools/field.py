"""What stands for the devices in the field, in the tests: the library of the client in C, and CoAP clients of others.

What the machine has is used. What it lacks is taken from Debian's own packages, or those of a system made from it,
without root and without installing anything: they are unpacked into .local/tools/debian. The release of the system
is the pin (a release only ever gets corrections, and its mirrors hold no older ones), and apt checks signatures.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stack import TOOLS
from steps import LOCAL, Problem, command, say, step

HOME = TOOLS / "debian"
LOG = LOCAL / "logs" / "tools-debian.log"

# apt in a directory of its own: with the machine's sources and keys, and nothing that writes elsewhere.
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
        # Who develops may do without, and the tests say what they skip. Who decides what goes in may not.
        if os.environ.get("CI") == "true":
            raise
        say(f"{problem}\nthe tests that need it are skipped; what lacks is called {', '.join(packages)} on Debian")


def install(packages):
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Problem("clients for the tests are taken from Debian's packages, which needs apt-get and dpkg")
    stamp = HOME / "installed"
    wanted = " ".join([*packages, system(), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    with step(f"unpack Debian's {', '.join(packages)}", LOG):
        unpack(packages)
    stamp.write_text(wanted)


def missing():
    """The Debian packages of what this machine does not have."""
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
    # It names what they need besides, under the names of this release; without root it could not install them.
    download = ["install", "--download-only", "--no-install-recommends", "--yes", *packages]
    command([*apt, *download], LOG, os.environ, append=True)
    for archive in sorted((HOME / "cache" / "archives").glob("*.deb")):
        command(["dpkg", "-x", archive, HOME / "unpacked"], LOG, os.environ, append=True)
    for folder in ("state", "cache"):
        shutil.rmtree(HOME / folder)
