"""The local cloud: MiniStack, which is to gather a stream's records as Lambda does. Run by its own Python, in .local/tools/cloud.

Lambda reads each shard with one poller, which waits for MaximumBatchingWindowInSeconds before it invokes the function, or until BatchSize
records are there (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html). MiniStack invokes the function for
whatever is there, which is many small invocations instead of a large one, and what they cost would be measured wrongly. Queues are left as
they are: Lambda has several pollers for each, and how their windows divide what comes is AWS's own affair.
"""

import sys
import time

from ministack.app import main
from ministack.services import lambda_svc

# The names with an underscore are those of the pinned version (tools/requirements-cloud.txt); another one may have others.
poll = lambda_svc._poll_kinesis


def poll_in_windows():
    before = positions()
    invoked = poll()
    after = positions()
    for scope, mapping in of_streams():
        window, batch = mapping.get("MaximumBatchingWindowInSeconds") or 0, mapping.get("BatchSize", 100)
        then, now = before.get(mapping["UUID"], {}), after.get(mapping["UUID"], {})
        # Whose batch was full is read on at once, and who waits already, also after a failure, goes on waiting.
        is_full = any(at - then.get(shard, 0) >= batch for shard, at in now.items())
        if window and not is_full:
            scoped(scope, lambda: wait(mapping["UUID"], window))
    return invoked


def wait(mapping, seconds):
    if lambda_svc._esm_backoff_until.get(mapping, 0) <= time.time():
        lambda_svc._esm_backoff_until[mapping] = time.time() + seconds


def positions():
    """How far each mapping has read, by shard."""
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
