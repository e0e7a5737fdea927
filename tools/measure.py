"""Many cold starts of a function under the emulator, with one call each, and after the last of them warm calls."""

import contextlib
import dataclasses
import re
import statistics
from pathlib import Path

from emulator import call, emulator
from steps import LOCAL, Problem, step

DIRECTORY = LOCAL / "bench"
WARM_CALLS = 100
WARM_UP_CALLS = 5  # not counted: the first ones still fill caches

# The time from the start of the process until it asks for its first event. (The `Init Duration` of the
# emulator's own report is not: it is 0.0x ms, and the init is in the first call's duration.)
INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
REPORT = re.compile(r"^REPORT RequestId: .*?\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms", re.MULTILINE)


@dataclasses.dataclass
class Function:
    name: str
    arguments: list  # the program first
    configuration: dict  # the deployed function's
    variables: dict = dataclasses.field(default_factory=dict)  # besides those


@dataclasses.dataclass
class Start:
    """A start and its calls; milliseconds, of which the first call's have the init in them."""

    init: float
    durations: list
    billed: list
    processor: list  # what the process had used after each call
    memory: float  # MB


def measure(function, event, wanted, starts, addresses):
    """Figures by name, each a list of what was seen."""
    with step(f"measure {function.name}"):
        # Without the very first: it finds nothing in the machine's file cache, and the local cloud asleep.
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
    """One start. Every answer has to hold what is wanted."""
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
    """The function's process, as the directory that /proc has of it."""
    for entry in Path("/proc").iterdir():
        # Processes of others and those that end while we look are not ours to see.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"\nPPid:\t{emulator.pid}\n" in (entry / "status").read_text():
                return entry
    raise Problem(f"the emulator ({emulator.pid}) runs no function")


def peak_memory(process):
    """The most that the function has held, in MB. (The emulator reports the configured size instead.)"""
    return int(re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())[1]) * 1024 / 1e6


def processor_ms(process):
    """What all its threads have used so far; the kernel counts nanoseconds."""
    return sum(int(each.read_text().split()[0]) for each in process.glob("task/*/schedstat")) / 1e6


def reported(log, calls):
    """The init, and duration and billed duration of each call."""
    text = log.read_text(errors="replace")
    inits, reports = INIT.findall(text), REPORT.findall(text)
    if len(inits) != 1 or len(reports) != calls:
        raise Problem(f"the emulator reported {len(inits)} inits (not 1) and {len(reports)} calls (not {calls})", log)
    return float(inits[0]), [float(duration) for duration, _ in reports], [int(billed) for _, billed in reports]


def spread(values, digits):
    """Least, median and most."""
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), statistics.median(values), max(values)))
