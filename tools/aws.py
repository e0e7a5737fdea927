"""Clients of the local cloud's AWS APIs, and what they say about the deployed stack."""

import contextlib
import json
import platform

from steps import Problem

STACK = "pulsegate-local"  # as in samconfig.toml, [local]

FIXED = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",  # otherwise every SDK first looks for credentials on the network
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "SAM_CLI_TELEMETRY": "0",
    "SAM_CLI_POLL_DELAY": "0.2",  # seconds between two looks at a deployment; the default is 5
}


def client(service, cloud):
    import boto3  # comes with the SAM CLI, so it is missing until the tools are installed

    return boto3.client(
        service,
        endpoint_url=cloud,
        region_name=FIXED["AWS_REGION"],
        aws_access_key_id=FIXED["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=FIXED["AWS_SECRET_ACCESS_KEY"],
    )


# Addresses of what a stack has only with certain parameters, each with the stack's output.
OPTIONAL = {
    "DAYS": "DaysName",
    "DAYS_QUEUE_URL": "DaysQueueUrl",
    "DAYS_DEAD_LETTERS_URL": "DaysDeadLettersUrl",
    "DERIVE": "DeriveName",
    "PULSE_TABLE": "PulseTable",
    "PULSE_SIGFOX_QUEUE_URL": "PulseSigfoxQueueUrl",
    "PULSE_NBIOT_QUEUE_URL": "PulseNbiotQueueUrl",
    "PULSE_SIGFOX_DEAD_LETTERS_URL": "PulseSigfoxDeadLettersUrl",
    "PULSE_NBIOT_DEAD_LETTERS_URL": "PulseNbiotDeadLettersUrl",
}


def outputs_of(cloud):
    description = client("cloudformation", cloud).describe_stacks(StackName=STACK)
    return {each["OutputKey"]: each["OutputValue"] for each in description["Stacks"][0]["Outputs"]}


def addresses_of(cloud):
    outputs = outputs_of(cloud)
    secrets = client("secretsmanager", cloud)
    addresses = {
        "AWS_ENDPOINT_URL": cloud,
        **{key: FIXED[key] for key in FIXED if key.startswith("AWS_")},
        # The API by its path, since not every machine resolves <api>.execute-api.localhost.
        "API_URL": f"{cloud}/_aws/execute-api/{outputs['ApiId']}",
        "CALLBACK_SECRET": secrets.get_secret_value(SecretId=outputs["CallbackSecretId"])["SecretString"],
        "MASTER_KEYS_SECRET_ID": outputs["BridgeMasterKeysId"],
        "STACK": STACK,  # log groups are named after it
        "ARCHIVE_BUCKET": outputs["ArchiveBucketName"],
        "PARTITION_BITS": outputs["PartitionBits"],
        "SETTLE": outputs["SettleName"],
        "DOWNLINK_TABLE": outputs["DownlinkTable"],
        "EVENTS_TABLE": outputs["EventsTable"],
        "RAW_STREAM": outputs["RawStreamName"],
        "RAW_QUEUE_URL": outputs["RawQueueUrl"],
        "QUARANTINE_QUEUE_URL": outputs["QuarantineQueueUrl"],
        "RAW_DEAD_LETTERS_URL": outputs["RawDeadLettersUrl"],
        "UNDELIVERED_BUCKET": outputs["UndeliveredBucket"],
    }
    return addresses | {name: outputs[key] for name, key in OPTIONAL.items() if key in outputs}


def configuration_of(name, cloud):
    """The configuration of a deployed function, by its name in the template."""
    stack = client("cloudformation", cloud)
    try:
        resource = stack.describe_stack_resource(StackName=STACK, LogicalResourceId=name)
    except stack.exceptions.ClientError as error:
        raise Problem(f"the stack has no function {name}: {error}") from error
    function = resource["StackResourceDetail"]["PhysicalResourceId"]
    return client("lambda", cloud).get_function_configuration(FunctionName=function)


def deployed_functions(cloud):
    """The names in the template of the stack's functions."""
    pages = client("cloudformation", cloud).get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return [each["LogicalResourceId"] for each in resources if each["ResourceType"] == "AWS::Lambda::Function"]


def call_function(name, cloud, event=None):
    """The answer of a deployed function; raises a Problem if it fails."""
    answer = client("lambda", cloud).invoke(FunctionName=name, Payload=json.dumps(event or {}))
    payload = answer["Payload"].read().decode(errors="replace")
    if "FunctionError" in answer:
        raise Problem(f"{name} failed: {payload[:500]}")
    return json.loads(payload)


def repair_mappings(cloud):
    """Sets numbers of mappings again: MiniStack keeps those that are parameters as text and cannot compare them."""
    functions = client("lambda", cloud)
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        repaired = {"MaximumBatchingWindowInSeconds": int(mapping["MaximumBatchingWindowInSeconds"])}
        if limit := mapping.get("ScalingConfig", {}).get("MaximumConcurrency"):
            repaired["ScalingConfig"] = {"MaximumConcurrency": int(limit)}
        functions.update_event_source_mapping(UUID=mapping["UUID"], **repaired)


def save_function_logs(cloud, path):
    """Writes the log lines of all functions to a file."""
    with contextlib.suppress(Exception), path.open("w") as log:
        logs = client("logs", cloud)
        for group in logs.describe_log_groups()["logGroups"]:
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
                print(group["logGroupName"], event["message"].rstrip(), file=log)


def architecture():
    """The template's parameter for the processor of this machine."""
    return f"Architecture={processor()}"


def processor():
    machine = platform.machine().lower()
    known = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
    if machine not in known:
        raise Problem(f"Lambda does not run functions on a {machine} processor; use an x86_64 or arm64 machine")
    return known[machine]
