"""Runs one function as Lambda does: under AWS's Runtime Interface Emulator, which comes with the SAM CLI.

The function gets the settings of the deployed one, and the stack that runs in a directory.
"""

import contextlib
import json
import urllib.error
import urllib.request
from pathlib import Path

from aws import configuration_of, processor
from build import local_function
from events import answer_of, event_of
from processes import clean_environment, free_port, listens, mark, spawn, until
from steps import Problem, say


def invoke(name, path, directory, addresses):
    """The answer of a built function to the event in a file; its log lines go to standard error."""
    program = local_function(name)
    configuration = configuration_of(name, addresses["AWS_ENDPOINT_URL"])
    event = json.dumps(event_of(path, addresses["CALLBACK_SECRET"])).encode()
    log = directory / "logs" / f"invoke-{name}.log"
    with emulator([program], configuration, directory, addresses, log) as (url, _):
        answer = call(name, url, event, configuration["Timeout"], log)
    say("\n".join(line for line in log.read_text(errors="replace").splitlines() if "(rapid)" not in line))
    return answer


@contextlib.contextmanager
def emulator(arguments, configuration, directory, addresses, log, variables=None):
    """The emulator, which starts the function at its first call; both end with the block."""
    port = free_port()
    env = (
        clean_environment(directory)
        | configuration["Environment"]["Variables"]
        | mark(directory, "cloud")  # so that `stop` ends it, too, if this process is killed
        | {
            "AWS_ENDPOINT_URL": addresses["AWS_ENDPOINT_URL"],
            "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(configuration["Timeout"]),
            "AWS_LAMBDA_LOG_LEVEL": configuration.get("LoggingConfig", {}).get("ApplicationLogLevel", "INFO"),
        }
        | (variables or {})
    )
    process = spawn(
        [emulator_program(), "--log-level", "info"]  # the level at which it reports the duration of the init
        + ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        + ["--runtime-api-address", f"127.0.0.1:{free_port()}", *arguments],
        log,
        env,
    )
    try:
        until(lambda: listens("127.0.0.1", port), 10, process, log, "the Runtime Interface Emulator")
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", process
    finally:
        process.terminate()  # it ends the function
        process.wait()


def emulator_program():
    import samcli  # in the Python of .local/tools/sam

    return Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{processor()}"


def call(name, url, event, timeout, log):
    """The answer of the function; raises a Problem if it fails."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=event), timeout=timeout + 5) as response:
            answer = response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        raise Problem(f"{name} failed: {error.read(500).decode(errors='replace')}", log) from error
    except OSError as error:
        raise Problem(f"{name} did not answer: {error}", log) from error
    return answer_of(name, answer, log)
