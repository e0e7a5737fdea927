#!/usr/bin/env python3
"""The whole of Pulsegate on this machine: a local cloud, the deployed template and the UDP bridge.

    tools     install the pinned tools into .local/tools (nothing to do when they are there)
    field     install the clients that stand for devices in the tests, those that the machine lacks
    build     build the functions (sam build), the bridge and the command-line tool (cargo build)
    image     build the bridge's container image
    validate  check the template as AWS would (sam validate --lint)
    up        build, start everything and leave it running; the addresses are in .local/env
    down      end exactly what `up` started
    run       start everything in a directory of its own, print the addresses as one line of JSON, and
              end it all when standard input ends (this is what the end-to-end tests use)
    demo      build, start, send what real meters sent, show the pulses that came of it, and stop
    kill-bridge  kill the bridge of what `up` started, with whatever it has in hand, and start it again
    invoke    run one built function as Lambda does, hand it an event and print what it answers

Nothing here can reach a real AWS account: what it starts is given an address on this machine,
credentials that are not any, and none of the caller's AWS settings.
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

from emulator import invoke
from field import install_clients
from image import build_image
from stack import FIXED, TOOLS, architecture, is_up, kill_bridge, stack, start, stop
from steps import LOCAL, ROOT, Problem, command, locked, say, step

LOGS = LOCAL / "logs"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in ("tools", "field", "build", "image", "validate", "up", "down", "demo"):
        commands.add_parser(name)
    parser_kill = commands.add_parser("kill-bridge")
    parser_kill.add_argument("--dir", type=Path, default=LOCAL, help="where the stack runs (default: that of `up`)")
    parser_run = commands.add_parser("run")
    parser_run.add_argument("--dir", type=Path, required=True, help="where logs and state go")
    parser_run.add_argument("--sigfox-api", metavar="URL", help="fetch missed callbacks from there, not from a stand-in")
    one = commands.add_parser("invoke")
    one.add_argument("name", help="the function's name in the template, e.g. RawSigfox")
    one.add_argument("-e", "--event", type=Path, required=True, help="a file of events/, or one like them")
    one.add_argument("--dir", type=Path, default=LOCAL, help="where the stack runs (default: that of `up`)")
    args = parser.parse_args()

    forget_callers_account()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        if args.command in ("tools", "field"):
            install_field()
        if args.command not in ("field", "image", "down", "kill-bridge"):
            check_machine()
            install_tools()
        if args.command in ("build", "up", "demo"):
            build()
        if args.command == "image":
            build_image()
        elif args.command == "validate":
            validate()
        elif args.command == "up":
            up()
        elif args.command == "down":
            down()
        elif args.command == "kill-bridge":
            kill_bridge(args.dir.resolve())
        elif args.command == "run":
            run(args.dir.resolve(), args.sigfox_api)
        elif args.command == "demo":
            demo()
        elif args.command == "invoke":
            print(json.dumps(invoke(args.name, args.event, args.dir.resolve())))
    except Problem as problem:
        say(f"\nfailed: {problem}")
        if problem.log:
            say(f"its log: {problem.log}\nthe end of it:")
            lines = problem.log.read_text(errors="replace").splitlines()[-20:]
            say("\n".join("  | " + line for line in lines))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def up():
    with locked("up"):
        if is_up(LOCAL):
            say("already up, and left as it is (`make down` first to start it anew):")
        else:
            stop(LOCAL)  # what may be left of one that broke
            start(LOCAL)
            say("up:")
        print((LOCAL / "env").read_text(), end="")
        say("the same is in .local/env; `make down` ends it")


def down():
    with locked("up"):
        ended = stop(LOCAL)
        say(f"down: {ended} processes ended" if ended else "nothing is up")


def run(directory, sigfox_api):
    with stack(directory, sigfox_api) as addresses:
        print(json.dumps(addresses), flush=True)
        # Ends when whoever started this closes the pipe, or dies.
        sys.stdin.buffer.read()


def demo():
    from demo import show  # beside this file

    with locked("demo"), stack(LOCAL / "demo") as addresses:
        show(addresses, ROOT / "tools" / "demo.json")


def forget_callers_account():
    """What the caller has set for the AWS CLI or for SAM must not get into anything that is started here."""
    for key in [key for key in os.environ if key.startswith(("AWS_", "SAM_"))]:
        del os.environ[key]
    os.environ |= FIXED
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = ",".join(filter(None, [exceptions, "127.0.0.1", "localhost"]))


def check_machine():
    if not Path("/proc/self/environ").exists():
        raise Problem("this needs Linux (it finds the processes it has started in /proc)")


def install_tools(*more):
    with locked("tools"):
        for name in ("cloud", "sam", *more):
            install_requirements(name)

    # From here on in the Python that has boto3.
    python = TOOLS / "sam" / "bin" / "python"
    if Path(sys.executable) != python:
        os.execv(python, [str(python), *sys.argv])


def install_field():
    with locked("tools"):
        install_requirements("field")
        install_clients()


def install_requirements(name):
    lock, home = ROOT / "tools" / f"requirements-{name}.txt", TOOLS / name
    stamp = home / "installed"
    # The path counts because a virtual environment does not work after it was moved.
    wanted = hashlib.sha256(lock.read_bytes() + f"{home} {sys.version_info[:2]}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(home, ignore_errors=True)
    log = LOGS / f"tools-{name}.log"
    with step(f"install the tools of {lock.relative_to(ROOT)}", log):
        command([sys.executable, "-m", "venv", home], log, os.environ)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
        # No dependencies but those in the file, which has them all.
        pip += ["--no-deps", "--require-hashes", "--requirement", lock]
        command(pip, log, os.environ, append=True)
    stamp.write_text(wanted)


def validate():
    log = LOGS / "validate.log"
    with step("validate the template", log):
        command([TOOLS / "sam" / "bin" / "sam", "validate", "--lint"], log, os.environ)


def build():
    # The SAM CLI looks for cargo-lambda on the path.
    env = os.environ | {"PATH": f"{TOOLS / 'sam' / 'bin'}:{os.environ['PATH']}"}
    with locked("build"):
        log = LOGS / "build-functions.log"
        with step("build the functions", log):
            sam = ["sam", "build", "--config-env", "local", "--parameter-overrides", architecture()]
            command(sam, log, env)
        log = LOGS / "build-bridge.log"
        with step("build the bridge and the command-line tool", log):
            packages = ["--package", "udp-bridge", "--package", "pulsegate"]
            command(["cargo", "build", "--release", "--locked", *packages], log, env)


if __name__ == "__main__":
    if sys.version_info < (3, 10):
        sys.exit(f"{sys.argv[0]} needs Python 3.10 or newer; this is {platform.python_version()}")
    main()
