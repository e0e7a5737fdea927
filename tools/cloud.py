"""Runs the local cloud: MiniStack, changed to batch a stream's records as Lambda does. Its Python is that of .local/tools/cloud.

Lambda reads each shard with one poller, which invokes the function after MaximumBatchingWindowInSeconds, or as soon as BatchSize records
have arrived (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html). MiniStack invokes the function for every few
records at once; costs measured with so many small invocations would be wrong. Queues are unchanged: Lambda reads each with several pollers,
and AWS does not document how their windows divide the messages.
"""

import sys
import time

from ministack.app import main
from ministack.services import lambda_svc

# The names with an underscore are private to the pinned version (tools/requirements-cloud.txt); check them when that changes.
poll = lambda_svc._poll_kinesis


def poll_in_windows():
    before = positions()
    invoked = poll()
    after = positions()
    for scope, mapping in of_streams():
        window, batch = mapping.get("MaximumBatchingWindowInSeconds") or 0, mapping.get("BatchSize", 100)
        then, now = before.get(mapping["UUID"], {}), after.get(mapping["UUID"], {})
        # After a full batch the poller continues at once. One that waits already, e.g. after a failure, keeps its time.
        is_full = any(at - then.get(shard, 0) >= batch for shard, at in now.items())
        if window and not is_full:
            scoped(scope, lambda: wait(mapping["UUID"], window))
    return invoked


def wait(mapping, seconds):
    if lambda_svc._esm_backoff_until.get(mapping, 0) <= time.time():
        lambda_svc._esm_backoff_until[mapping] = time.time() + seconds


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


if __name__ == "__main__":
    lambda_svc._poll_kinesis = poll_in_windows
    sys.exit(main())
