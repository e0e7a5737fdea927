"""Measures a function under the emulator: many cold starts with one call each, then warm calls after the last start."""

import contextlib
import dataclasses
import re
import statistics
from pathlib import Path

from emulator import call, emulator
from steps import LOCAL, Problem, step

DIRECTORY = LOCAL / "bench"
WARM_CALLS = 100
WARM_UP_CALLS = 5  # not counted: the first calls still fill caches

# The time from the start of the process until it asks for its first event. (`Init Duration` in the emulator's REPORT
# line is not: it is 0.0x ms, and the first call's duration includes the init.)
INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
REPORT = re.compile(r"^REPORT RequestId: .*?\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms", re.MULTILINE)


@dataclasses.dataclass
class Function:
    name: str
    arguments: list  # the program first
    configuration: dict  # of the deployed function
    variables: dict = dataclasses.field(default_factory=dict)  # in addition to those


@dataclasses.dataclass
class Start:
    """A start and its calls, in milliseconds. The first call's duration includes the init."""

    init: float
    durations: list
    billed: list
    processor: list  # total of the process after each call
    memory: float  # MB


def measure(function, event, wanted, starts, addresses):
    """The figures by name, each a list of measured values."""
    with step(f"measure {function.name}"):
        # The very first start does not count: the file cache of the machine is cold, and the local cloud asleep.
        cold = [start(function, event, wanted, 1, addresses) for _ in range(starts)][1:]
        last = start(function, event, wanted, 1 + WARM_UP_CALLS + WARM_CALLS, addresses)
    cold.append(last)
    warm = slice(1 + WARM_UP_CALLS, None)
    return {
        "init": [each.init for each in cold],
        "first": [each.durations[0] - each.init for each in cold],
        "cold": [each.durations[0] for each in cold],
        "cold billed": [each.billed[0] for each in cold],
        "cold processor": [each.processor[0] for each in cold],
        "warm": last.durations[warm],
        "warm billed": last.billed[warm],
        "warm processor": [(last.processor[-1] - last.processor[WARM_UP_CALLS]) / WARM_CALLS],
        "memory": [last.memory],
    }


def start(function, event, wanted, calls, addresses):
    """Starts the function once and calls it. Every answer has to contain `wanted`."""
    log = DIRECTORY / "logs" / f"{function.name}.log"
    processor, child = [], None
    settings = (function.configuration, DIRECTORY, addresses, log, function.variables)
    with emulator(function.arguments, *settings) as (url, process):
        for _ in range(calls):
            answer = call(function.name, url, event, function.configuration["Timeout"], log)
            if not wanted.items() <= answer.items():
                raise Problem(f"{function.name} answered: {str(answer)[:500]}", log)
            child = child or child_of(process)
            processor.append(processor_ms(child))
        memory = peak_memory(child)
    init, durations, billed = reported(log, calls)
    return Start(init, durations, billed, processor, memory)


def child_of(emulator):
    """The directory of the function's process in /proc."""
    for entry in Path("/proc").iterdir():
        # Processes of other users cannot be read, nor those that end meanwhile.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"\nPPid:\t{emulator.pid}\n" in (entry / "status").read_text():
                return entry
    raise Problem(f"the emulator (process {emulator.pid}) runs no function")


def peak_memory(process):
    """The peak memory of the function, in MB. (The emulator reports the configured size instead.)"""
    return int(re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())[1]) * 1024 / 1e6


def processor_ms(process):
    """The processor time of all its threads so far; the kernel counts nanoseconds."""
    return sum(int(each.read_text().split()[0]) for each in process.glob("task/*/schedstat")) / 1e6


def reported(log, calls):
    """The duration of the init, and duration and billed duration of each call."""
    text = log.read_text(errors="replace")
    inits, reports = INIT.findall(text), REPORT.findall(text)
    if len(inits) != 1 or len(reports) != calls:
        raise Problem(f"the emulator reported {len(inits)} inits (not 1) and {len(reports)} calls (not {calls})", log)
    return float(inits[0]), [float(duration) for duration, _ in reports], [int(billed) for _, billed in reports]


def spread(values, digits):
    """Minimum, median and maximum."""
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
