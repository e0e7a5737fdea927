"""One function at a time, as Lambda runs it: under AWS's Runtime Interface Emulator, which comes with the SAM CLI.

A function gets the settings of the deployed one, and the stack that runs in a directory.
"""

import base64
import contextlib
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

from stack import MARK, STACK, architecture, clean_environment, client, free_port, is_up, read_env, spawn, until
from steps import ROOT, Problem, say

# What stands in events/ where the stack's own secret has to be.
PLACEHOLDER = "local-secret"


def invoke(name, path, directory):
    """The answer of a built function to the event of a file; what it logs goes to standard error."""
    program = program_of(name)
    if not is_up(directory):
        raise Problem(f"nothing is up in {directory}: run `make up` first")
    addresses = read_env(directory)
    configuration = configuration_of(name, addresses["AWS_ENDPOINT_URL"])
    event = json.dumps(event_of(path, addresses["CALLBACK_SECRET"])).encode()
    log = directory / "logs" / f"invoke-{name}.log"
    with emulator([program], configuration, directory, addresses, log) as (url, _):
        answer = call(name, url, event, configuration["Timeout"], log)
    say("\n".join(line for line in log.read_text(errors="replace").splitlines() if "(rapid)" not in line))
    return answer


def program_of(name):
    program = ROOT / ".aws-sam" / "build" / name / "bootstrap"
    if not program.exists():
        raise Problem(f"{program} is missing: run `make build` first, or there is no function of that name")
    return program


def configuration_of(name, cloud):
    stack = client("cloudformation", cloud)
    try:
        resource = stack.describe_stack_resource(StackName=STACK, LogicalResourceId=name)
    except stack.exceptions.ClientError as error:
        raise Problem(f"the stack has no function {name}: {error}") from error
    function = resource["StackResourceDetail"]["PhysicalResourceId"]
    return client("lambda", cloud).get_function_configuration(FunctionName=function)


def event_of(path, secret):
    """The event of a file, which a callback's function admits."""
    try:
        event = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Problem(f"{path} is no event: {error}") from error
    if "headers" in event:
        event["headers"] = {name: with_secret(value, secret) for name, value in event["headers"].items()}
    return event


def with_secret(header, secret):
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "basic":
        pair = base64.b64decode(credentials).decode().replace(PLACEHOLDER, secret)
        return f"{scheme} {base64.b64encode(pair.encode()).decode()}"
    return header.replace(PLACEHOLDER, secret)


@contextlib.contextmanager
def emulator(arguments, configuration, directory, addresses, log, variables=None):
    """The function, ready to be started by its first call; it ends with the block."""
    port = free_port()
    env = (
        clean_environment(directory)
        | configuration["Environment"]["Variables"]
        | {
            # Should this script be killed, then whoever stops the stack ends what it left.
            MARK: f"{directory}:cloud",
            "AWS_ENDPOINT_URL": addresses["AWS_ENDPOINT_URL"],
            "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(configuration["Timeout"]),
            "AWS_LAMBDA_LOG_LEVEL": configuration.get("LoggingConfig", {}).get("ApplicationLogLevel", "INFO"),
        }
        | (variables or {})
    )
    process = spawn(
        [emulator_program(), "--log-level", "info"]  # at this level it tells how long the init took
        + ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        + ["--runtime-api-address", f"127.0.0.1:{free_port()}", *arguments],
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
    import samcli  # in the Python of .local/tools/sam

    machine = architecture().removeprefix("Architecture=")
    return Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def call(name, url, event, timeout, log):
    """The answer of the function; a Problem where it failed instead."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=event), timeout=timeout + 5) as response:
            answer = response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        raise Problem(f"{name} failed: {error.read(500).decode(errors='replace')}", log) from error
    except OSError as error:
        raise Problem(f"{name} did not answer: {error}", log) from error
    try:
        fields = json.loads(answer)
    except ValueError as error:  # "Task timed out after ..."
        raise Problem(f"{name} failed: {answer[:500] or 'no answer'}", log) from error
    # The emulator answers 200 for an error of the function, too.
    if isinstance(fields, dict) and "errorType" in fields:
        raise Problem(f"{name} failed: {answer[:500]}", log)
    return fields
