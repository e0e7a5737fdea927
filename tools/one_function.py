"""Runs one function against a running stack, in Docker or compiled anew on every change.

Both ways need the variables of the deployed functions, and events with the stack's secret. `write_settings` writes them to
the directory of a stack when that starts.
"""

import contextlib
import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from aws import architecture, configuration_of, deployed_functions, processor
from build import DOCKER_TEMPLATE, built, code_uri_of, with_tools
from events import answer_of, event_of
from image import check_docker
from processes import clean_environment, listens, mark, spawn, until
from steps import ROOT, Problem, say, step, write_private

BASE_IMAGE = "public.ecr.aws/lambda/provided:al2023-"  # and the processor
DOCKER_BRIDGE = "docker0"
SIOCGIFADDR = 0x8915  # linux/sockios.h: the address of a network interface


def sam_invoke(name, path, directory, addresses):
    """The answer of a function in Docker to the event in a file; its log lines go to standard error."""
    check_docker()
    if "DOCKER_ENDPOINT_URL" not in addresses:
        raise Problem("Docker was not running when the stack started: run `make down`, then `make up`")
    code_uri_of(name)  # a better message than that of the SAM CLI for a wrong name
    event = event_of(path, addresses["CALLBACK_SECRET"])
    sam = ["sam", "local", "invoke", name, "--event", "-", "--template-file", built(DOCKER_TEMPLATE, "make build")]
    sam += ["--env-vars", directory / "functions.json", "--parameter-overrides", architecture()]
    if subprocess.run(["docker", "image", "inspect", BASE_IMAGE + processor()], capture_output=True).returncode == 0:
        sam.append("--skip-pull-image")
    # The SAM CLI asks for the account's number; without this address it would ask AWS.
    env = with_tools() | {"AWS_ENDPOINT_URL": addresses["AWS_ENDPOINT_URL"]}
    result = subprocess.run(sam, cwd=ROOT, env=env, input=json.dumps(event), stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise Problem(f"`sam local invoke {name}` ended with exit code {result.returncode}")
    return answer_of(name, result.stdout.strip())


def watch(name, directory):
    """Serves a function, compiled by `cargo lambda watch` on every change, until it is interrupted."""
    package = Path(code_uri_of(name)).name
    settings = directory / "functions" / f"{name}.env"
    url = f"http://127.0.0.1:9000/2015-03-31/functions/{package}/invocations"
    say(f"call it in another terminal: curl --data @{directory / 'events'}/FILE.json {url}")
    cargo = ["cargo", "lambda", "watch", "--wait", "--package", package, "--env-file", settings]
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run([*cargo, "--invoke-address", "127.0.0.1"], cwd=ROOT, env=with_tools())


def write_settings(directory, addresses):
    """Writes functions.json (for `sam local invoke`), functions/NAME.env (for `cargo lambda watch`) and events/."""
    cloud = addresses["AWS_ENDPOINT_URL"]
    variables = {name: configuration_of(name, cloud)["Environment"]["Variables"] for name in deployed_functions(cloud)}
    relayed = {"AWS_ENDPOINT_URL": addresses.get("DOCKER_ENDPOINT_URL", ""), "HTTP_PROXY": addresses.get("DOCKER_PROXY", "")}
    in_docker = {name: own | relayed for name, own in variables.items()}
    write_private(directory / "functions.json", json.dumps(in_docker, indent=2))
    aws = {key: value for key, value in addresses.items() if key.startswith("AWS_")}
    for name, own in variables.items():
        lines = "".join(f"{key}={value}\n" for key, value in (aws | own).items())
        write_private(directory / "functions" / f"{name}.env", lines)
    for path in sorted((ROOT / "events").glob("*.json")):
        event = event_of(path, addresses["CALLBACK_SECRET"])
        write_private(directory / "events" / path.name, json.dumps(event, indent=2))


def start_relay(directory, cloud, sigfox_api, log):
    """Lets containers reach the local cloud and the Sigfox API; does nothing without Docker."""
    if not (host := address_of(DOCKER_BRIDGE)):
        return {}
    cloud_port, sigfox_port = urlsplit(cloud).port, urlsplit(sigfox_api).port
    with step("let containers reach the local cloud", log):
        env = clean_environment(directory) | mark(directory, "relay")
        relay = [sys.executable, ROOT / "tools" / "relay.py", host, str(cloud_port), str(sigfox_port)]
        process = spawn(relay, log, env)
        until(lambda: listens(host, sigfox_port), 10, process, log, "the relay")
    return {"DOCKER_ENDPOINT_URL": f"http://{host}:{cloud_port}", "DOCKER_PROXY": f"http://{host}:{sigfox_port}"}


def address_of(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface.encode()))
        except OSError:
            return None
        return socket.inet_ntoa(answer[20:24])
