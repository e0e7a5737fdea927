"""Builds the container image of the UDP bridge.

The program is built outside of Docker, with the compiler that ran the tests; an image with a compiler would have to be
pulled. The image contains only the program and certificates, so the program has to be static.
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
    say(f"the image is {IMAGE}; docs/deploy-bridge.md describes how to push it")


def check_docker():
    if not shutil.which("docker"):
        raise Problem("docker is missing: install a Docker engine, e.g. apt-get install docker.io")
    engine = subprocess.run(["docker", "info"], stdin=subprocess.DEVNULL, capture_output=True)
    if engine.returncode:
        raise Problem("no Docker engine answers `docker info`: start dockerd, or join the group docker")


def build_static_bridge(log):
    target = f"{platform.machine()}-unknown-linux-gnu"
    # With a target named, even this machine's own, cargo keeps what it builds with these flags apart.
    cargo = ["cargo", "build", "--release", "--locked", "--target", target, "--package", "udp-bridge"]
    command(cargo, log, os.environ | {"RUSTFLAGS": "-C target-feature=+crt-static"})
    bridge = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / target / "release" / "udp-bridge"
    # readelf comes with the C compiler, which is a prerequisite.
    headers = subprocess.run(["readelf", "--program-headers", bridge], capture_output=True, text=True, check=True)
    if "INTERP" in headers.stdout:
        raise Problem(f"{bridge} is not static; the image has no loader for it")
    return bridge


def certificates():
    for path in map(Path, CERTIFICATES):
        if path.exists():
            return path
    raise Problem("root certificates are missing: install them, e.g. apt-get install ca-certificates")
