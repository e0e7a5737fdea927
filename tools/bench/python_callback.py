"""The callback's function in plain Python, which tools/bench_lambda.py compares with SigfoxCallback.

It is never deployed. It accepts callbacks with an uplink, or with a batch of lines in the default template, and enqueues the
same uplinks as SigfoxCallback, but each in a message of its own, ten in a request, which is the limit of SQS.
"""

import base64
import hmac
import json
import logging
import os
import time
from datetime import datetime, timezone
from urllib.parse import parse_qs

import boto3

logger = logging.getLogger()

sqs = boto3.client("sqs")
secrets = boto3.client("secretsmanager")

RAW_QUEUE_URL = os.environ["RAW_QUEUE_URL"]
QUARANTINE_QUEUE_URL = os.environ["QUARANTINE_QUEUE_URL"]
CALLBACK_SECRET_ID = os.environ["CALLBACK_SECRET_ID"]

PROFILES = {"adeunis-pulse-v3", "adeunis-pulse-v4", "adeunis-pulse-v4-1h"}
LINE = ("device", "time", "data", "seqNumber")
SECRET_SECONDS = 300
BATCH_SIZE = 10

cached_secret = None
cached_until = 0.0


def handler(event, context):
    if not is_authorized(event.get("headers", {}).get("authorization", "")):
        logger.warning("credentials are wrong or missing")
        return {"statusCode": 401}
    profile = event["pathParameters"]["profile"]
    if profile not in PROFILES:
        return {"statusCode": 404}

    messages, unreadable = [], []
    for variables in read(event):
        try:
            messages.append(json.dumps({"v": 1, "uplinks": [to_uplink(variables, profile)]}))
        except (KeyError, ValueError) as error:
            logger.warning("quarantined: %s", error)
            unreadable.append(json.dumps({"reason": str(error), "profile": profile, "record": variables}))
    if enqueue(RAW_QUEUE_URL, messages) and enqueue(QUARANTINE_QUEUE_URL, unreadable):
        return {"statusCode": 204}
    return {"statusCode": 503}


def is_authorized(authorization):
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            credentials = base64.b64decode(credentials).decode().partition(":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(credentials.encode(), secret().encode())


def secret():
    global cached_secret, cached_until
    if time.monotonic() > cached_until:
        cached_secret = secrets.get_secret_value(SecretId=CALLBACK_SECRET_ID)["SecretString"]
        cached_until = time.monotonic() + SECRET_SECONDS
    return cached_secret


def read(event):
    """Returns the variables of each message in the body."""
    body = event.get("body", "")
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body).decode()
    if not event["headers"].get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return [json.loads(body)]
    form = parse_qs(body)
    if "batch" not in form:
        return [{name: values[0] for name, values in form.items()}]
    return [dict(zip(LINE, line.split(";"))) for line in form["batch"][0].splitlines()]


def to_uplink(variables, profile):
    at = datetime.fromtimestamp(int(variables["time"]), timezone.utc)
    uplink = {
        "device": f"sigfox:{int(variables['device'], 16):X}",
        "kind": "data",
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "time_source": "network",
        "sequence": int(variables["seqNumber"]) if variables.get("seqNumber") else None,
        "profile": profile,
        "payload": bytes.fromhex(variables.get("data", "")).hex(),
    }
    radio = {name: float(variables[name]) for name in ("rssi", "snr") if variables.get(name)}
    if variables.get("station"):
        radio["station"] = variables["station"]
    return uplink | ({"radio": radio} if radio else {})


def enqueue(queue_url, messages):
    """Sends messages to a queue. Returns whether the queue accepted all of them."""
    if len(messages) == 1:
        sqs.send_message(QueueUrl=queue_url, MessageBody=messages[0])
        return True
    for start in range(0, len(messages), BATCH_SIZE):
        batch = messages[start : start + BATCH_SIZE]
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
        if sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed"):
            return False
    return True
