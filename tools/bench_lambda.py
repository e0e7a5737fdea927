#!/usr/bin/env python3
"""Cold start and duration of each function, under AWS's Runtime Interface Emulator.

The functions of `make build` are run as Lambda runs them, one at a time, with the events of events/, against
a local cloud of their own. What comes out is a table in Markdown, on standard output; all else goes to
standard error. It fails when a function answers with anything but success.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import signal
import socket
import statistics
import sys
import urllib.request
from pathlib import Path

from local import check_machine, forget_callers_account, install_tools
from stack import MARK, STACK, architecture, clean_environment, client, free_port, spawn, stack, until
from steps import LOCAL, ROOT, Problem, locked, say, step

# Each has its event in events/, under the same name in lower case with hyphens.
FUNCTIONS = ["SigfoxCallback", "RawSigfox", "RawNbiot", "PulseSigfox", "PulseNbiot"]

DIRECTORY = LOCAL / "bench"
LEAST_STARTS = 10
WARM_CALLS = 100
WARM_UP_CALLS = 5  # not counted: the first ones still fill caches

# What Pulsegate aims at. SigfoxCallback's init includes a request: it reads its secret.
MAX_BINARY_MB = 10
MAX_INIT_MS = 25

# The time from the start of the process until it asks for its first event. (The `Init Duration` of the
# emulator's own report is not: it is 0.0x ms, and the init is in the first call's duration.)
INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
REPORT = re.compile(r"^REPORT RequestId: .*?\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms", re.MULTILINE)


def main():
    args = arguments()
    forget_callers_account()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        check_machine()
        install_tools()
        load = os.getloadavg()[0]
        with locked("bench"), stack(DIRECTORY) as addresses:
            pause_event_sources(addresses)
            rows = [measure(name, args.runs, addresses) for name in args.only or FUNCTIONS]
        print_report(rows, args.runs, load)
    except Problem as problem:
        say(f"\nfailed: {problem}")
        if problem.log:
            say(f"its log: {problem.log}\nthe end of it:")
            lines = problem.log.read_text(errors="replace").splitlines()[-10:]
            say("\n".join("  | " + line for line in lines))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=int, default=20, help=f"fresh starts of each function (default: 20, least: {LEAST_STARTS})"
    )
    parser.add_argument(
        "--only", action="append", choices=FUNCTIONS, metavar="NAME", help=f"one of {', '.join(FUNCTIONS)}; repeatable"
    )
    args = parser.parse_args()
    if args.runs < LEAST_STARTS:
        parser.error(f"--runs {args.runs}: fewer than {LEAST_STARTS} starts say nothing")
    return args


def pause_event_sources(addresses):
    """What the measured function sends must not set the local cloud's own functions to work beside it."""
    functions = client("lambda", addresses["AWS_ENDPOINT_URL"])
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def measure(name, starts, addresses):
    """Many cold starts with one call each; after the last of them the warm calls."""
    program = ROOT / ".aws-sam" / "build" / name / "bootstrap"
    configuration = configuration_of(name, addresses["AWS_ENDPOINT_URL"])
    event = event_of(name, addresses["CALLBACK_SECRET"])
    log = DIRECTORY / "logs" / f"{name}.log"
    inits, firsts = [], []
    with step(f"measure {name}"):
        for number in range(starts + 1):
            calls = 1 + WARM_UP_CALLS + WARM_CALLS if number == starts else 1
            with emulator(program, configuration, addresses, log) as (url, process):
                for _ in range(calls):
                    call(name, url, event, configuration["Timeout"], log)
                memory = peak_memory(process, program)
            init, durations, billed = reported(log, calls)
            inits.append(init)
            firsts.append(durations[0] - init)
        warm = slice(1 + WARM_UP_CALLS, None)
    return {
        "name": name,
        "binary": program.stat().st_size / 1e6,
        "memory": memory,
        # Without the very first: it finds nothing in the machine's file cache, and the local cloud asleep.
        "inits": inits[1:],
        "firsts": firsts[1:],
        "durations": durations[warm],
        "billed": billed[warm],
    }


def configuration_of(name, cloud):
    resource = client("cloudformation", cloud).describe_stack_resource(StackName=STACK, LogicalResourceId=name)
    function = resource["StackResourceDetail"]["PhysicalResourceId"]
    return client("lambda", cloud).get_function_configuration(FunctionName=function)


def event_of(name, secret):
    # The plainest event of each: `raw-sigfox.json`, `sigfox-callback-uplink.json`.
    found = sorted((ROOT / "events").glob(f"{hyphenated(name)}*.json"), key=lambda path: ("uplink" not in path.stem, path))
    event = json.loads(found[0].read_text())
    if "headers" in event:
        event["headers"]["authorization"] = f"Bearer {secret}"
    return json.dumps(event).encode()


def hyphenated(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


@contextlib.contextmanager
def emulator(program, configuration, addresses, log):
    """The function, ready to be started by its first call; it ends with the block."""
    port = free_port()
    env = (
        clean_environment(DIRECTORY)
        | configuration["Environment"]["Variables"]
        | {
            # Should this script be killed, then the next one ends what it left together with its stack.
            MARK: f"{DIRECTORY}:cloud",
            "AWS_ENDPOINT_URL": addresses["AWS_ENDPOINT_URL"],
            "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(configuration["Timeout"]),
            "AWS_LAMBDA_LOG_LEVEL": configuration.get("LoggingConfig", {}).get("ApplicationLogLevel", "INFO"),
        }
    )
    process = spawn(
        [emulator_program(), "--log-level", "info"]  # at this level it tells how long the init took
        + ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        + ["--runtime-api-address", f"127.0.0.1:{free_port()}", program],
        log,
        env,
    )
    try:
        until(lambda: listens(port), 10, process, log, "the Runtime Interface Emulator")
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", process
    finally:
        process.terminate()  # and it ends the function
        process.wait()


def emulator_program():
    """It comes with the SAM CLI."""
    import samcli

    machine = architecture().removeprefix("Architecture=")
    return Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def call(name, url, event, timeout, log):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=event), timeout=timeout + 5) as response:
            answer = response.read().decode(errors="replace")
    except OSError as error:
        raise Problem(f"{name} did not answer: {error}", log) from error
    with contextlib.suppress(ValueError, AttributeError):  # not JSON, or no object
        fields = json.loads(answer)
        if fields.get("statusCode") == 204 or fields.get("batchItemFailures") == []:
            return
    raise Problem(f"{name} answered: {answer[:500] or 'nothing'}", log)


def peak_memory(emulator, program):
    """The most that the function has held, in MB. (The emulator reports the configured size instead.)"""
    for entry in Path("/proc").iterdir():
        # Processes of others and those that end while we look are not ours to see.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "exe").resolve() == program:
                status = (entry / "status").read_text()
                if f"\nPPid:\t{emulator.pid}\n" in status:
                    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6
    raise Problem(f"no process of {program} found below the emulator's ({emulator.pid})")


def reported(log, calls):
    """The init, and duration and billed duration of each call without the first one's share of init."""
    text = log.read_text(errors="replace")
    inits, reports = INIT.findall(text), REPORT.findall(text)
    if len(inits) != 1 or len(reports) != calls:
        raise Problem(f"the emulator reported {len(inits)} inits (not 1) and {len(reports)} calls (not {calls})", log)
    return float(inits[0]), [float(duration) for duration, _ in reports], [int(billed) for _, billed in reports]


def print_report(rows, starts, load):
    version = importlib.metadata.version("aws-sam-cli")
    print(f"Measured on {datetime.date.today()}, on {machine()}; load before: {load:.1f}.")
    print(f"Emulator: the one of aws-sam-cli {version}. {starts} cold starts and {WARM_CALLS} warm calls each.\n")
    print("| Function | Binary, MB | Peak memory, MB | Init, ms | First call, ms | Warm call, ms | Billed, ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        cells = [row["name"], f"{row['binary']:.1f}", f"{row['memory']:.1f}"]
        cells += [spread(row[key], 1) for key in ("inits", "firsts", "durations")] + [spread(row["billed"], 0)]
        print(f"| {' | '.join(cells)} |")
    print("\nThree numbers: least / median / most. First call: the one after the init, without it.\n")
    print(f"- Limits: binary under {MAX_BINARY_MB} MB, median init under {MAX_INIT_MS} ms. {verdict(rows)}")
    print("- The binary is what AWS gets, too; memory there has TLS on top.")
    print("- Times are of this machine and its local cloud, without TLS: only their ratios hold elsewhere.")


def verdict(rows):
    over = [f"{row['name']}'s binary has {row['binary']:.1f} MB" for row in rows if row["binary"] >= MAX_BINARY_MB]
    for row in rows:
        if (init := statistics.median(row["inits"])) >= MAX_INIT_MS:
            over.append(f"{row['name']}'s init takes {init:.1f} ms")
    return f"Not held: {'; '.join(over)}." if over else "Held by all."


def spread(values, digits):
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), statistics.median(values), max(values)))


def machine():
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024 / 1e9
    kernel = ".".join(platform.release().split(".")[:2])
    cores, model = len(os.sched_getaffinity(0)), cpu[1] if cpu else platform.machine()
    return f"{cores} cores of {model}, {memory:.0f} GB of memory, Linux {kernel}"


if __name__ == "__main__":
    main()
