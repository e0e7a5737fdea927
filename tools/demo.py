"""The demo: sends the messages of tools/demo.json to a stack and shows the pulses that result, from the table of pulses and from the archive.

tools/local.py calls it, and starts and stops the stack around it.
"""

import datetime
import hmac
import json
import os
import socket
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import boto3  # in the Python of .local/tools/sam, which local.py runs in

from aws import call_function, client
from build import TOOLS, local_program
from steps import Problem, progress, say, step

# Seconds. The first call of each function takes longest; without the table of pulses, uplinks are collected for a minute.
PULSES_TIMEOUT = 150
RECORDED = datetime.date(2026, 11, 20)  # the day of the messages' times
QUERY = """
    SELECT device, channel, count(*) AS points, min(value) AS first, max(value) AS last, max("at") AS latest
    FROM '{files}' WHERE kind = 'index' GROUP BY device, channel ORDER BY device, channel
"""
ACKNOWLEDGED = 13  # bytes at the start of a datagram that the bridge returns once the datagram is durable


def show(addresses, path):
    """Raises a Problem unless every expected point is in table and archive, and nothing in quarantine or a dead-letter queue."""
    demo = json.loads(path.read_text())
    move_clocks(demo, (datetime.datetime.now(datetime.timezone.utc).date() - RECORDED).total_seconds())
    queues = client("sqs", addresses["AWS_ENDPOINT_URL"])
    expected, from_archive = demo["expected"], lambda: points_of(archive_items(addresses, demo["expected"]))
    from_table = lambda: points_of(table_items(addresses))

    with step(f"send {len(demo['messages'])} messages"):
        for message in demo["messages"]:
            SEND[message["network"]](addresses, message)

    has_table = "PULSE_TABLE" in addresses
    points = wait_for(expected, from_table if has_table else from_archive, queues, addresses)
    print_table(points)
    place = "table" if has_table else "archive"
    say(f"all {len(expected)} expected points are in the {place}; quarantine and dead-letter queues are empty")

    with step("settle the archive"):
        files = settle(addresses)
    with step("decode the archive"):
        missing = missing_of(expected, from_archive())
    if missing:
        raise Problem(f"these points are not in the archive:\n{listed(missing)}\nsee {addresses['LOGS']}")
    say(f"the archive has the same points, in {len(files)} files: {', '.join(files)}")
    if "DERIVE" in addresses:
        with step("derive points, and count them with DuckDB"):
            table = points_by_duckdb(addresses)
        print(table, flush=True)


def move_clocks(demo, seconds):
    """Sets the clocks of meters over NB-IoT to today: the bridge rejects a time that is far from its own. (Sigfox's network dates
    uplinks itself.)"""
    for message in demo["messages"]:
        for sealed in (message[form] for form in ("sealed", "coap") if form in message):
            sealed["time"] += int(seconds)
        if message.get("ends_with_clock"):
            frame = bytes.fromhex(message["hex"])
            clock = struct.unpack(">I", frame[-4:])[0] + int(seconds)
            message["hex"] = (frame[:-4] + struct.pack(">I", clock)).hex()
    for point in demo["expected"]:
        if point["device"].startswith("nbiot:") and "at" in point:
            at = datetime.datetime.fromisoformat(point["at"]) + datetime.timedelta(seconds=seconds)
            point["at"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")


def send_sigfox(addresses, message):
    if "batch" in message:
        content, body = "application/x-www-form-urlencoded", urllib.parse.urlencode({"batch": "\n".join(message["batch"])})
    else:
        content, body = "application/json", json.dumps(message["body"])
    request = urllib.request.Request(
        f"{addresses['API_URL']}/sigfox/{message['profile']}/uplink",
        data=body.encode(),
        headers={"Content-Type": content, "Authorization": f"Bearer {addresses['CALLBACK_SECRET']}"},
    )
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise Problem(f"the callback answered {error.code}: {error.read(300).decode(errors='replace')}") from error


def send_nbiot(addresses, message):
    if "coap" in message:
        sealed = seal(addresses, message["coap"])
        request = post(message["profile"], message["coap"]["counter"], sealed)
        changed = b"\x60\x44" + request[2:4] + b"\xff"
        exchange(
            addresses["NBIOT_COAP_ADDR"],
            request,
            lambda answer: answer.startswith(changed) and answer[7:19] == sealed[2:14],
        )
    elif "sealed" in message:
        datagram = seal(addresses, message["sealed"])
        exchange(addresses["NBIOT_SEALED_ADDR"], datagram, lambda answer: answer[2:14] == datagram[2:14])
    else:
        datagram = bytes.fromhex(message["hex"])
        exchange(addresses["NBIOT_ADDR"], datagram, lambda answer: answer == datagram[:ACKNOWLEDGED])


def seal(addresses, uplink):
    """Seals an uplink as docs/nbiot-protocol.md describes. A real meter has its own key and never the master key."""
    secrets = client("secretsmanager", addresses["AWS_ENDPOINT_URL"])
    masters = json.loads(secrets.get_secret_value(SecretId=addresses["MASTER_KEYS_SECRET_ID"])["SecretString"])
    extracted = hmac.digest(b"pulsegate sealed envelope 1", masters["1"].encode(), "sha256")
    key = hmac.digest(extracted, f"nbiot:{uplink['imei']}".encode() + b"\x01", "sha256")
    head = struct.pack(">BB8sII", 1, 1, bytes.fromhex(uplink["imei"].zfill(16)), uplink["counter"], uplink["time"])
    sealed = head + bytes.fromhex(uplink["payload"])
    return sealed + hmac.digest(key, sealed, "sha256")[:8]


def post(profile, message_id, payload):
    """A confirmable CoAP request `POST /{profile}` (RFC 7252), without a token."""
    path = profile.encode()
    assert 13 <= len(path) < 269, "an option length with one extended byte"
    return struct.pack(">BBHBB", 0x40, 0x02, message_id, 0xBD, len(path) - 13) + path + b"\xff" + payload


def exchange(address, datagram, acknowledges):
    host, port = address.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as meter:
        meter.connect((host, int(port)))
        meter.settimeout(2)
        # A meter, too, repeats a datagram that is not acknowledged, and gives up at some time.
        for _ in range(5):
            meter.send(datagram)
            try:
                if acknowledges(meter.recv(64)):
                    return
            except (TimeoutError, ConnectionRefusedError):
                continue
    raise Problem(f"the bridge did not acknowledge the datagram {datagram.hex()}, sent five times")


SEND = {"sigfox": send_sigfox, "nbiot": send_nbiot}


def wait_for(expected, read, queues, addresses):
    """Waits until every expected point can be read. Raises a Problem as soon as a message is quarantined or dead."""
    with step("wait for the pulses"):
        deadline = time.monotonic() + PULSES_TIMEOUT
        while True:
            points = read()
            missing = missing_of(expected, points)
            progress(f"{len(expected) - len(missing)} of {len(expected)}")
            check_nothing_failed(queues, addresses)
            if not missing:
                return points
            if time.monotonic() > deadline:
                raise Problem(
                    f"after {PULSES_TIMEOUT} s these points are still missing:\n{listed(missing)}\nsee {addresses['LOGS']}"
                )
            time.sleep(0.2)


def missing_of(expected, points):
    return [each for each in expected if not any(matches(each, point) for point in points)]


def listed(points):
    return "\n".join(f"  {json.dumps(point)}" for point in points)


def settle(addresses):
    """Merges what is new into the archive's files, as the schedule does. Returns the files' keys."""
    bucket = client("s3", addresses["AWS_ENDPOINT_URL"])
    keys = lambda prefix: [
        each["Key"]
        for each in bucket.list_objects_v2(Bucket=addresses["ARCHIVE_BUCKET"], Prefix=prefix).get("Contents", [])
    ]
    while keys("new/"):
        call_function(addresses["SETTLE"], addresses["AWS_ENDPOINT_URL"])
    return keys("day/")


def points_by_duckdb(addresses):
    """The points files, as any program for analyses reads them: the indexes of each device."""
    cloud, bucket = addresses["AWS_ENDPOINT_URL"], addresses["ARCHIVE_BUCKET"]
    call_function(addresses["DERIVE"], cloud)
    s3 = client("s3", cloud)
    with tempfile.TemporaryDirectory() as directory:
        for each in s3.list_objects_v2(Bucket=bucket, Prefix="points/").get("Contents", []):
            file = Path(directory, each["Key"])
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, each["Key"], str(file))
        query = QUERY.format(files=f"{directory}/points/*/*.parquet")
        # DuckDB is among the packages of the local cloud.
        command = [TOOLS / "cloud" / "bin" / "python", "-c", f"import duckdb; duckdb.sql({query!r}).show()"]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise Problem(f"DuckDB failed: {result.stderr[-500:]}")
    return result.stdout


def table_items(addresses):
    """The items of the table of pulses. It is small, so one page of a scan has them all."""
    tables = boto3.resource("dynamodb", endpoint_url=addresses["AWS_ENDPOINT_URL"])
    return tables.Table(addresses["PULSE_TABLE"]).scan(ConsistentRead=True)["Items"]


def archive_items(addresses, expected):
    """The same items, decoded from the archive by the operator's tool."""
    items = []
    for device in sorted({point["device"] for point in expected}):
        arguments = ["uplinks", device, "--from", f"{RECORDED - datetime.timedelta(days=7)}T00:00:00Z", "--format", "json"]
        command = [local_program("pulsegate"), *arguments]
        result = subprocess.run(command, env=os.environ | addresses, capture_output=True, text=True)
        if result.returncode:
            raise Problem(f"`pulsegate {' '.join(arguments)}` failed: {result.stderr[:500]}")
        items += [uplink["pulse"] for uplink in json.loads(result.stdout) if "pulse" in uplink]
    return items


def points_of(items):
    """The points of items, one dictionary each."""
    points = []
    for item in items:
        for channel, counts in item.get("channels", {}).items():
            for point in points_of_counts(counts):
                points.append(
                    point
                    | {"device": item["device"], "codec": f"{item['codec']} v{item['codec_version']}"}
                    | {"channel": channel, "uplink": item["uplink"]}
                )
    return points


def points_of_counts(counts):
    """Each index with its time, or with its place in the log if the log period is unknown. The first index of a series has
    neither if the length of the series is unknown. See docs/data-model.md."""
    apart = counts.get("log_period") or counts.get("every")
    for n, index in enumerate(counts.get("indexes", [])):
        if "at" not in counts:
            yield {"index": index}
            continue
        if n == 0:
            before = 0
        elif "seconds_before" in counts:
            before = int(counts["seconds_before"][n - 1])
        elif apart:
            before = int(apart) * n
        else:
            yield {"index": index, "logs_before": n}
            continue
        at = datetime.datetime.fromisoformat(counts["at"]) - datetime.timedelta(seconds=before)
        yield {"index": index, "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def matches(expected, point):
    return all(point.get(key) == value for key, value in expected.items())


def check_nothing_failed(queues, addresses):
    for key in addresses:
        if key == "QUARANTINE_QUEUE_URL" or key.endswith("_DEAD_LETTERS_URL"):
            for message in queues.receive_message(QueueUrl=addresses[key]).get("Messages", []):
                raise Problem(f"a message ended in {key.removesuffix('_URL')}: {message['Body'][:500]}")


def print_table(points):
    rows = [("device", "time", "channel", "index", "codec")]
    for point in sorted(points, key=lambda point: (point["device"], point["channel"], point["uplink"], -order(point))):
        at = point.get("at") or (f"-{point['logs_before']} logs" if "logs_before" in point else "no time")
        rows.append((point["device"], at, point["channel"], str(point.get("index", "")), point["codec"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(flush=True)


def order(point):
    """Sorts the points of an uplink from the newest to the oldest."""
    return -int(point.get("logs_before", 0))
