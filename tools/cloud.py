"""Runs the local cloud: MiniStack, changed to batch messages and records as Lambda does. Its Python is that of .local/tools/cloud.

Lambda invokes a function when MaximumBatchingWindowInSeconds is over, when BatchSize records have arrived, or before the event exceeds 6 MB
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html). MiniStack knows neither windows nor the limit, and takes ten
messages of a queue at most; costs measured with so many small invocations would be wrong. After a partial failure, Lambda reads a shard again
from the first record that failed (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html); MiniStack would
skip the whole batch.

The changes:

- A shard has one poller, which waits for the window after each batch.
- A queue has several pollers, and AWS does not document how their windows divide the messages. Here one window is for all of them. Windows
  of up to SHORT_WINDOW seconds are not waited for, so that tests and people need not wait either.
"""

import json
import sys
import time

from ministack.app import main
from ministack.services import kinesis, lambda_svc, sqs

SHORT_WINDOW = 5
# Of messages or records: the event has other fields, and quotes take two bytes each.
BATCH_BYTES = 4_400_000

# The names with an underscore are private to the pinned version (tools/requirements-cloud.txt); check them when that changes.
poll = lambda_svc._poll_kinesis
receive_ten = sqs._receive_messages_for_esm
run_batch = lambda_svc._run_sqs_batch
execute = lambda_svc._execute_function

# By ARN and shard: the number in its batch of the first record that the function could not process.
first_failed = {}


# --- Queues


def receive_batch(queue_url, limit):
    batch, size = [], 0
    while len(batch) < limit and size < BATCH_BYTES:
        messages = receive_ten(queue_url, limit - len(batch))
        if not messages:
            break
        batch += messages
        size += sum(len(message["body"]) for message in messages)
    return batch


def run_in_window(mapping, function, event, batch, *queue):
    window = mapping.get("MaximumBatchingWindowInSeconds") or 0
    size = sum(len(message["body"]) for message in batch)
    is_waiting = window > SHORT_WINDOW and len(batch) < mapping["BatchSize"] and size < BATCH_BYTES
    # No other batch begins meanwhile. A successful run ends the wait, so it begins again.
    if is_waiting:
        wait(mapping["UUID"], window)
    run_batch(mapping, function, event, batch, *queue)
    if is_waiting:
        wait(mapping["UUID"], window)


# --- Streams


def poll_in_windows():
    limits = {mapping["UUID"]: mapping["BatchSize"] for _, mapping in of_streams()}
    for scope, mapping in of_streams():
        mapping["BatchSize"] = scoped(scope, lambda: records_that_fit(mapping))
    try:
        first_failed.clear()
        before = positions()
        invoked = poll()
        for scope, mapping in of_streams():
            scoped(scope, lambda: go_back(mapping, before.get(mapping["UUID"], {})))
        after = positions()
        for scope, mapping in of_streams():
            window = mapping.get("MaximumBatchingWindowInSeconds") or 0
            then, now = before.get(mapping["UUID"], {}), after.get(mapping["UUID"], {})
            # After a full batch the poller continues at once. One that waits already, e.g. after a failure, keeps its time.
            is_full = any(at - then.get(shard, 0) >= mapping["BatchSize"] for shard, at in now.items())
            if window and not is_full:
                scoped(scope, lambda: wait(mapping["UUID"], window))
    finally:
        for _, mapping in of_streams():
            mapping["BatchSize"] = limits.get(mapping["UUID"], mapping["BatchSize"])
    return invoked


def execute_and_note_failures(function, event, *others, **options):
    result = execute(function, event, *others, **options)
    records = event.get("Records") if isinstance(event, dict) else None
    if records and records[0].get("eventSource") == "aws:kinesis" and not result.get("error"):
        answer = result.get("body") or {}
        answer = json.loads(answer) if isinstance(answer, str) else answer
        if failures := answer.get("batchItemFailures"):
            numbers = {record["kinesis"]["sequenceNumber"]: n for n, record in enumerate(records)}
            shard = records[0]["eventID"].split(":")[0]
            # A record that is not in the batch means all of it.
            first = min(numbers.get(failure.get("itemIdentifier"), 0) for failure in failures)
            first_failed[records[0]["eventSourceARN"], shard] = first
    return result


def go_back(mapping, before):
    positions = lambda_svc._kinesis_positions.get(mapping["UUID"], {})
    for (stream, shard), first in first_failed.items():
        if stream == mapping["EventSourceArn"]:
            positions[shard] = before.get(shard, 0) + first


def records_that_fit(mapping):
    """The batch size, or the least number of a shard's next records that fill an event."""
    limit = mapping["BatchSize"]
    stream = kinesis._streams.get(mapping["EventSourceArn"].rsplit("/", 1)[1])
    for shard, position in lambda_svc._kinesis_positions.get(mapping["UUID"], {}).items():
        size = 0
        for n, record in enumerate(stream["shards"][shard]["records"][position : position + limit], start=1):
            size += len(record["Data"])  # Base64, as in the event
            if size >= BATCH_BYTES:
                limit = n
                break
    return limit


def positions():
    """The position of each mapping in each shard."""
    return {
        mapping["UUID"]: dict(scoped(scope, lambda: lambda_svc._kinesis_positions.get(mapping["UUID"], {})))
        for scope, mapping in of_streams()
    }


def of_streams():
    for account, region, mapping in lambda_svc._iter_all_esms():
        if ":kinesis:" in mapping.get("EventSourceArn", ""):
            yield (account, region), mapping


def scoped(scope, call):
    account, region = scope
    tokens = lambda_svc._request_account_id.set(account), lambda_svc._request_region.set(region)
    try:
        return call()
    finally:
        lambda_svc._request_account_id.reset(tokens[0])
        lambda_svc._request_region.reset(tokens[1])


# --- Both


def wait(mapping, seconds):
    if lambda_svc._esm_backoff_until.get(mapping, 0) <= time.time():
        lambda_svc._esm_backoff_until[mapping] = time.time() + seconds


if __name__ == "__main__":
    lambda_svc._poll_kinesis = poll_in_windows
    sqs._receive_messages_for_esm = receive_batch
    lambda_svc._run_sqs_batch = run_in_window
    lambda_svc._execute_function = execute_and_note_failures
    sys.exit(main())
