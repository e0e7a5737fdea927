#!/usr/bin/env python3
"""Runs all of Pulsegate on this machine: a local cloud, the deployed template and the UDP bridge.

    tools         install the pinned tools into .local/tools, unless they are there
    test-clients  install what the tests need and this machine lacks: CoAP clients, mbed TLS, DuckDB, pyarrow
    build         build the functions, the bridge and the operator's tool for this machine (cargo build)
    release       build the functions as they are deployed to AWS (sam build)
    image         build the bridge's container image
    validate      check the template as AWS does (sam validate --lint)
    up            build, start everything and leave it running; the addresses are in .local/env
    down          end what `up` started
    run           start everything in a directory, print the addresses as one line of JSON, and end
                  everything when standard input ends (the end-to-end tests use this)
    demo          build, start, send messages of real meters, show their pulses, and stop
    kill-bridge   kill the bridge of a running stack, with the datagrams it holds, and start it again
    invoke        run one built function under AWS's emulator with an event, and print its answer
    sam-invoke    the same in a Lambda container (sam local invoke)
    watch         serve one function, compiled on every change (cargo lambda watch)

It cannot reach a real AWS account: everything it starts gets an address on this machine, invalid
credentials, and none of the caller's AWS settings.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
from pathlib import Path

from aws import FIXED, architecture
from build import LOGS, TOOLS, build, build_release, with_tools
from emulator import invoke
from image import build_image
from one_function import sam_invoke, watch
from stack import is_up, kill_bridge, running, stack, start, stop
from steps import LOCAL, ROOT, Problem, command, locked, reported_problems, say, step
from test_clients import install_clients


def main():
    args = arguments()
    forget_callers_account()
    exit_on_signals()
    with reported_problems():
        directory = args.dir.resolve()
        if args.command in ("tools", "test-clients"):
            install_test_clients()
        if args.command not in ("test-clients", "image", "down", "kill-bridge"):
            check_machine()
            install_tools()
        if args.command in ("build", "up", "demo"):
            build()
        match args.command:
            case "release":
                build_release(architecture())
            case "image":
                build_image()
            case "validate":
                validate()
            case "up":
                up(dict(args.parameter))
            case "down":
                down()
            case "kill-bridge":
                kill_bridge(directory)
            case "run":
                run(directory, args.sigfox_api, dict(args.parameter))
            case "demo":
                demo(dict(args.parameter))
            case "invoke":
                print(json.dumps(invoke(args.name, args.event, directory, running(directory))))
            case "sam-invoke":
                print(json.dumps(sam_invoke(args.name, args.event, directory, running(directory))))
            case "watch":
                running(directory)
                watch(args.name, directory)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    of_template = argparse.ArgumentParser(add_help=False)
    of_template.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        type=parameter,
        action="append",
        default=[],
        help="parameter of the template, e.g. PulseTable=false; can be repeated",
    )
    for name in ("tools", "test-clients", "build", "release", "image", "validate", "down"):
        commands.add_parser(name).set_defaults(dir=LOCAL)
    for name in ("up", "demo"):
        commands.add_parser(name, parents=[of_template]).set_defaults(dir=LOCAL)
    run_parser = commands.add_parser("run", parents=[of_template])
    run_parser.add_argument("--dir", type=Path, required=True, help="directory for logs and state")
    run_parser.add_argument("--sigfox-api", metavar="URL", help="Sigfox API to use instead of the stand-in")
    for name in ("kill-bridge", "invoke", "sam-invoke", "watch"):
        of_stack = commands.add_parser(name)
        of_stack.add_argument("--dir", type=Path, default=LOCAL, help="directory of the stack (default: that of `up`)")
        if name != "kill-bridge":
            of_stack.add_argument("name", help="the function's name in the template, e.g. RawSigfox")
        if name.endswith("invoke"):
            of_stack.add_argument("-e", "--event", type=Path, required=True, help="a file of events/, or one like it")
    return parser.parse_args()


def parameter(text):
    """The name and the value of a parameter of the template."""
    name, equals, value = text.partition("=")
    if not (name.isalnum() and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def up(parameters):
    with locked("up"):
        if is_up(LOCAL):
            say("already up; `make down` first to start it again:")
        else:
            stop(LOCAL)  # a stack that broke may have left processes
            start(LOCAL, parameters=parameters)
            say("up:")
        print((LOCAL / "env").read_text(), end="")
        say("these addresses are in .local/env; `make down` ends everything")


def down():
    with locked("up"):
        ended = stop(LOCAL)
        say(f"down: {ended} processes ended" if ended else "nothing is up")


def run(directory, sigfox_api, parameters):
    with stack(directory, sigfox_api, parameters) as addresses:
        print(json.dumps(addresses), flush=True)
        # Ends when the process that started this one closes the pipe, or dies.
        sys.stdin.buffer.read()


def demo(parameters):
    from demo import show  # beside this file; needs boto3

    with locked("demo"), stack(LOCAL / "demo", parameters=parameters) as addresses:
        show(addresses, ROOT / "tools" / "demo.json")


def forget_callers_account():
    """Keeps the caller's settings for the AWS CLI and SAM away from everything that is started here."""
    for key in [key for key in os.environ if key.startswith(("AWS_", "SAM_"))]:
        del os.environ[key]
    os.environ |= FIXED
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = ",".join(filter(None, [exceptions, "127.0.0.1", "localhost"]))


def exit_on_signals():
    """Makes SIGTERM and SIGHUP unwind, so that whatever was started is ended."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def check_machine():
    if not Path("/proc/self/environ").exists():
        raise Problem("this needs Linux: it finds the processes it has started in /proc")


def install_tools(*more):
    with locked("tools"):
        for name in ("cloud", "sam", *more):
            install_requirements(name)

    # Continue in the Python that has boto3.
    python = TOOLS / "sam" / "bin" / "python"
    if Path(sys.executable) != python:
        os.execv(python, [str(python), *sys.argv])


def install_test_clients():
    with locked("tools"):
        install_requirements("test-clients")
        install_requirements("readers")
        install_clients()


def install_requirements(name):
    lock, home = ROOT / "tools" / f"requirements-{name}.txt", TOOLS / name
    stamp = home / "installed"
    # The path counts because a virtual environment stops working when it is moved.
    wanted = hashlib.sha256(lock.read_bytes() + f"{home} {sys.version_info[:2]}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(home, ignore_errors=True)
    log = LOGS / f"tools-{name}.log"
    with step(f"install the tools of {lock.relative_to(ROOT)}", log):
        command([sys.executable, "-m", "venv", home], log, os.environ)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
        # The file lists all dependencies; pip adds none.
        pip += ["--no-deps", "--require-hashes", "--requirement", lock]
        command(pip, log, os.environ, append=True)
    stamp.write_text(wanted)


def validate():
    log = LOGS / "validate.log"
    with step("validate the template", log):
        command(["sam", "validate", "--lint"], log, with_tools())


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        sys.exit(f"{sys.argv[0]} needs Python 3.10 or newer; this is {platform.python_version()}")
    main()
