"""Compares SigfoxCallback with the same function in Python (bench/python_callback.py): same emulator, local cloud and events."""

import base64
import json
import statistics
from urllib.parse import quote

from aws import client, configuration_of
from build import TOOLS, release_function
from events import event_of
from measure import Function, measure, spread, start
from steps import ROOT, Problem, step

MEMORY_MB = 128
LINES = 500
AIM = 10
TAKEN, REFUSED = {"statusCode": 204}, {"statusCode": 401}

# The costs of a callback, by their names in `measure`.
COSTS = {
    "cold": ("cold: init and first call, ms", 1),
    "cold billed": ("cold, billed, ms", 0),
    "cold processor": ("cold, processor, ms", 1),
    "warm": ("warm call, ms", 2),
    "warm billed": ("warm, billed, ms", 0),
    "warm processor": ("warm, processor, mean, ms", 2),
    "memory": ("peak memory, MB", 1),
}


def compare(starts, addresses):
    """Prints the tables of the comparison."""
    rust, python = both(addresses)
    callback = event_of(ROOT / "events" / "sigfox-callback-uplink.json", addresses["CALLBACK_SECRET"])
    print(f"\n## Beside Python, {MEMORY_MB} MB\n")
    print("| | | Pulsegate | Python | Python / Pulsegate |\n|---|---|---:|---:|---:|", flush=True)
    short = []
    for case, event in {"One callback": callback, f"A batch of {LINES}": batch_of(callback)}.items():
        for cost, ratio in compared(case, encoded(event), (rust, python), starts, addresses):
            if "billed" in cost and ratio < AIM:
                short.append(f"{case.lower()}, {cost.removesuffix(', ms')} ({ratio:.1f})")
    print(f"\n- Aim: Python is billed {AIM} times as much. {'Missed by: ' + '; '.join(short) if short else 'Reached'}.")
    print("\n| Refused (401) | Warm call, ms | Billed, ms |\n|---|---:|---:|")
    for why, authorization in refused(addresses["CALLBACK_SECRET"]).items():
        row = measure(rust, encoded(with_authorization(callback, authorization)), REFUSED, 1, addresses)
        print(f"| {why} | {spread(row['warm'], 2)} | {spread(row['warm billed'], 0)} |", flush=True)


def compared(case, event, functions, starts, addresses):
    """Checks that both functions do the same, prints the rows of a case, and yields the ratio of each cost."""
    check_same(*functions, event, addresses)
    rows = []
    for function in functions:
        purge(addresses)
        rows.append(measure(function, event, TAKEN, starts, addresses))
    for key, (cost, digits) in COSTS.items():
        ours, theirs = (row[key] for row in rows)
        ratio = statistics.median(theirs) / statistics.median(ours)
        print(f"| {case} | {cost} | {figure(ours, digits)} | {figure(theirs, digits)} | {ratio:.1f} |", flush=True)
        yield cost, ratio


def both(addresses):
    configuration = configuration_of("SigfoxCallback", addresses["AWS_ENDPOINT_URL"]) | {"MemorySize": MEMORY_MB}
    rust = Function("SigfoxCallback", [release_function("SigfoxCallback")], configuration)
    interpreter = [TOOLS / "bench" / "bin" / "python", "-m", "awslambdaric", "python_callback.handler"]
    python = Function("PythonCallback", interpreter, configuration, {"PYTHONPATH": str(ROOT / "tools" / "bench")})
    return rust, python


def figure(values, digits):
    return spread(values, digits) if len(values) > 1 else f"{values[0]:.{digits}f}"


def batch_of(callback):
    """A form with the lines of many devices, as an HTTP API passes it to a function."""
    lines = "\n".join(f"{0x100000 + n:X};{1795176000 + n};46800000009f{n:08x};{n}" for n in range(LINES))
    body = f"batch={quote(lines)}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
    headers = callback["headers"] | headers
    return callback | {"headers": headers, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def refused(secret):
    basic = base64.b64encode(f"stranger:{secret[::-1]}".encode()).decode()
    return {"no header": None, "wrong secret": f"Bearer {secret[::-1]}", "wrong user and secret": f"Basic {basic}"}


def with_authorization(callback, authorization):
    headers = {name: value for name, value in callback["headers"].items() if name != "authorization"}
    return callback | {"headers": headers | ({"authorization": authorization} if authorization else {})}


def encoded(event):
    return json.dumps(event).encode()


def check_same(rust, python, event, addresses):
    """Checks that both enqueue the same uplinks, however many they put into a message."""
    enqueued = []
    with step("check that both enqueue the same"):
        for function in (rust, python):
            purge(addresses)
            start(function, event, TAKEN, 1, addresses)
            enqueued.append(sorted(uplinks_in(addresses["RAW_QUEUE_URL"], addresses)))
        if enqueued[0] != enqueued[1]:
            first, second = enqueued
            raise Problem(f"they enqueue different uplinks: {len(first)} like {first[:1]}, {len(second)} like {second[:1]}")


def uplinks_in(url, addresses):
    queues = client("sqs", addresses["AWS_ENDPOINT_URL"])
    while messages := queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            yield from (json.dumps(each, sort_keys=True) for each in json.loads(message["Body"])["uplinks"])


def purge(addresses):
    """Empties the queues, since full ones slow the local cloud down."""
    for queue in ("RAW_QUEUE_URL", "QUARANTINE_QUEUE_URL"):
        client("sqs", addresses["AWS_ENDPOINT_URL"]).purge_queue(QueueUrl=addresses[queue])
