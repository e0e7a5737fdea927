"""The container image of the UDP bridge.

The binary is built out here, with the compiler that the tests ran with; an image to build it in would have
to be pulled. In the image there is nothing but it and certificates, so it has to be static.
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from steps import LOCAL, ROOT, Problem, command, locked, say, step

IMAGE = "pulsegate-udp-bridge"

# Where distributions keep Mozilla's root certificates: Debian and Arch; Fedora; openSUSE.
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


def build_image():
    check_docker()
    logs = LOCAL / "logs"
    with locked("image"):
        with step("build the static bridge", logs / "build-static-bridge.log"):
            bridge = build_static_bridge(logs / "build-static-bridge.log")
        with step("build the image", logs / "build-image.log"):
            context = LOCAL / "image"
            shutil.rmtree(context, ignore_errors=True)
            context.mkdir()
            shutil.copy(bridge, context / "udp-bridge")
            shutil.copy(certificates(), context / "ca-certificates.crt")
            docker = ["docker", "build", "--tag", IMAGE, "--file", ROOT / "udp-bridge" / "Dockerfile", context]
            command(docker, logs / "build-image.log", os.environ)
    say(f"the image is {IMAGE}; docs/deploy-bridge.md tells how to push it")


def check_docker():
    if not shutil.which("docker"):
        raise Problem("docker is missing: install a Docker engine, e.g. apt-get install docker.io")
    engine = subprocess.run(["docker", "info"], stdin=subprocess.DEVNULL, capture_output=True)
    if engine.returncode:
        raise Problem("no Docker engine answers `docker info`: start dockerd, or ask to be let in (group docker)")


def build_static_bridge(log):
    target = f"{platform.machine()}-unknown-linux-gnu"
    # Naming the target, even this machine's own, keeps what is built with these flags apart from all else.
    cargo = ["cargo", "build", "--release", "--locked", "--target", target, "--package", "udp-bridge"]
    command(cargo, log, os.environ | {"RUSTFLAGS": "-C target-feature=+crt-static"})
    bridge = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / target / "release" / "udp-bridge"
    # readelf comes with the C compiler that is needed anyway.
    headers = subprocess.run(["readelf", "--program-headers", bridge], capture_output=True, text=True, check=True)
    if "INTERP" in headers.stdout:
        raise Problem(f"{bridge} is not static, so it would find no loader in the image")
    return bridge


def certificates():
    for path in map(Path, CERTIFICATES):
        if path.exists():
            return path
    raise Problem("there are no root certificates here: install them, e.g. apt-get install ca-certificates")
