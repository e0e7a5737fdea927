"""A stack: the local cloud, the template deployed to it, the bridge, and a stand-in for the Sigfox API.

`start` and `stop` work on a directory, which holds the stack's logs, its addresses (`env`) and whatever
its processes write.
"""

import contextlib
import json
import os
import platform
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from steps import LOCAL, ROOT, Problem, command, locked, step, write_private

TOOLS = LOCAL / "tools"
STACK = "pulsegate-local"  # as in samconfig.toml, [local]
# What a simulated Sigfox knows; as in tests/src/sigfox/api.rs.
SIGFOX_DEVICE_TYPE = "628fd74fb3cabb6565ae81bb"
SIGFOX_API_USER = {"login": "5f0c6e1b2a", "password": "correct-horse"}
NBIOT_PROFILE = "adeunis-pulse4-nbiot"
HEALTH = "/_ministack/health"

# Below a stack's directory, for whatever its processes write; removed when the stack ends. The name is one
# that nobody else would use, for the directory is the caller's.
SCRATCH = "pulsegate-scratch"

# Every process that `start` starts, and all that those start, carries this variable with the directory
# of its stack and its part in it. That is how `stop` knows them: unlike a number in a file, it cannot
# come to mean some other process, and no function that the local cloud has spawned is left out.
MARK = "PULSEGATE_LOCAL"

FIXED = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",  # or every SDK first looks for credentials on the network
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "SAM_CLI_TELEMETRY": "0",
    "SAM_CLI_POLL_DELAY": "0.2",  # seconds between two looks at a deployment; its own choice is 5
}


@contextlib.contextmanager
def stack(directory, sigfox_api=None):
    """A stack that ends with the block, however the block ends."""
    stop(directory)  # what a predecessor may have left that was killed
    addresses = start(directory, sigfox_api)
    try:
        yield addresses
    finally:
        save_function_logs(directory)
        with step("stop"):
            stop(directory)


def start(directory, sigfox_api=None):
    """Starts everything and returns its addresses, which are also in the directory's file `env`."""
    with locked("build"):  # a build clears away what would be deployed here
        return start_built(directory, sigfox_api)


def start_built(directory, sigfox_api):
    template = ROOT / ".aws-sam" / "build" / "template.yaml"
    bridge = bridge_program()
    for needed in (template, bridge):
        if not needed.exists():
            raise Problem(f"{needed} is missing; run `make build` first")

    logs = directory / "logs"
    (directory / "env").unlink(missing_ok=True)
    scratch = directory / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    for part in ("home", "tmp"):
        (scratch / part).mkdir(parents=True)
    try:
        sigfox_api = sigfox_api or start_sigfox_api(directory, logs / "sigfox-api.log")
        cloud, cloud_pid = start_cloud(directory, logs / "cloud.log")
        env = clean_environment(directory) | {"AWS_ENDPOINT_URL": cloud}
        with step("deploy the template", logs / "deploy.log"):
            command(
                ["sam", "deploy", "--config-file", ROOT / "samconfig.toml", "--config-env", "local"]
                + ["--template-file", template, "--parameter-overrides", architecture()]
                + [f"SigfoxDeviceTypes={SIGFOX_DEVICE_TYPE}", f"SigfoxApiUrl={sigfox_api}"],
                logs / "deploy.log",
                env,
            )
            repair_concurrency(cloud)
        addresses = addresses_of(cloud)
        addresses |= fill_in_api_user(cloud, sigfox_api)
        addresses |= start_bridge(directory, bridge, logs / "bridge.log", env, addresses)
    except BaseException:
        stop(directory)
        raise

    addresses |= {"CLOUD_PID": str(cloud_pid), "LOGS": str(logs)}
    write_env(directory, addresses)
    return addresses


def kill_bridge(directory):
    """Kills the bridge of a stack that is up, with whatever it has in hand, and starts it anew where it was."""
    addresses = read_env(directory)
    if not addresses or not (processes := processes_of(directory, "bridge")):
        raise Problem("no bridge is up; run `make up` first")
    send(signal.SIGKILL, processes)
    while processes_of(directory, "bridge"):  # its sockets are free once it is gone
        time.sleep(0.01)
    killed = sum(1 for _ in directory.glob("logs/bridge*.log"))
    (directory / "logs" / "bridge.log").rename(directory / "logs" / f"bridge-killed-{killed}.log")
    env = clean_environment(directory) | {"AWS_ENDPOINT_URL": addresses["AWS_ENDPOINT_URL"]}
    addresses |= start_bridge(directory, bridge_program(), directory / "logs" / "bridge.log", env, addresses)
    write_env(directory, addresses)


def bridge_program():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "udp-bridge"


def write_env(directory, addresses):
    write_private(directory / "env", "".join(f"{key}={shlex.quote(value)}\n" for key, value in addresses.items()))


def start_sigfox_api(directory, log):
    with step("start a stand-in for the Sigfox API", log):
        env = clean_environment(directory) | {MARK: f"{directory}:sigfox"}
        process = spawn([sys.executable, ROOT / "tools" / "sigfox_api.py"], log, env)
        until(lambda: "\n" in log.read_text(), 10, process, log, "the stand-in for the Sigfox API")
    return log.read_text().splitlines()[0]


def start_cloud(directory, log):
    port = free_port()
    cloud = f"http://127.0.0.1:{port}"
    with step("start the local cloud", log):
        process = spawn(
            [TOOLS / "cloud" / "bin" / "python", ROOT / "tools" / "cloud.py"],
            log,
            clean_environment(directory)
            | {
                MARK: f"{directory}:cloud",
                "GATEWAY_PORT": str(port),
                "BIND_HOST": "127.0.0.1",  # its own choice is every address of the machine
                "AWS_ENDPOINT_URL": cloud,  # handed down to the functions
                "MINISTACK_REGION": FIXED["AWS_REGION"],
                "STATE_DIR": str(directory / SCRATCH / "tmp"),
                # Listeners that nothing here uses, on ports that two stacks would want.
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
            },
        )
        until(lambda: answers(cloud + HEALTH), 60, process, log, "the local cloud")
    return cloud, process.pid


def start_bridge(directory, program, log, env, addresses):
    """At any free port; with the addresses of a stack that is up, at those it was at before."""
    port = lambda name: addresses.get(name, "127.0.0.1:0")
    http = addresses.get("BRIDGE_HEALTH_URL", "//127.0.0.1:0/").split("/")[2]
    with step("start the bridge", log):
        process = spawn(
            [program],
            log,
            env
            | {
                MARK: f"{directory}:bridge",
                "STREAM_NAME": addresses["RAW_STREAM"],
                "SEALED_LISTENERS": f"{NBIOT_PROFILE}={port('NBIOT_SEALED_ADDR')}",
                "COAP_LISTENERS": port("NBIOT_COAP_ADDR"),
                "MASTER_KEYS_SECRET_ID": addresses["MASTER_KEYS_SECRET_ID"],
                "TRUSTED_LISTENERS": f"{NBIOT_PROFILE}={port('NBIOT_ADDR')},efento={port('NBIOT_EFENTO_ADDR')}",
                "HTTP_ADDR": http,
            },
        )
        listeners = {}

        def ready():
            for line in log.read_text().splitlines():
                with contextlib.suppress(ValueError, AttributeError):  # a line that is not an event
                    event = json.loads(line)
                    if event.get("message") == "listening":
                        sealed = "sealed " if event.get("sealed") else ""
                        listeners[sealed + event["protocol"]] = event["addr"]
            return listeners.keys() >= {"udp", "coap", "sealed udp", "sealed coap", "http"} and answers(f"http://{listeners['http']}/healthz")

        until(ready, 30, process, log, "the bridge")
    return {
        "NBIOT_ADDR": listeners["udp"],
        "NBIOT_SEALED_ADDR": listeners["sealed udp"],
        "NBIOT_COAP_ADDR": listeners["sealed coap"],
        "NBIOT_EFENTO_ADDR": listeners["coap"],
        "BRIDGE_HEALTH_URL": f"http://{listeners['http']}/healthz",
        "BRIDGE_PID": str(process.pid),
    }


def repair_concurrency(cloud):
    """MiniStack keeps a number that came by way of a parameter as text, and then cannot compare it."""
    functions = client("lambda", cloud)
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        if limit := mapping.get("ScalingConfig", {}).get("MaximumConcurrency"):
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(limit)}
            )


def fill_in_api_user(cloud, sigfox_api):
    """As an operator does after the deployment."""
    outputs = outputs_of(cloud)
    client("secretsmanager", cloud).put_secret_value(
        SecretId=outputs["SigfoxApiCredentialsId"], SecretString=json.dumps(SIGFOX_API_USER)
    )
    return {
        "SIGFOX_API_URL": sigfox_api,
        "SIGFOX_DEVICE_TYPE": SIGFOX_DEVICE_TYPE,
        "SIGFOX_RECOVERY": outputs["SigfoxRecoveryName"],
        "SIGFOX_WATERMARKS_TABLE": outputs["SigfoxWatermarksTable"],
    }


def outputs_of(cloud):
    description = client("cloudformation", cloud).describe_stacks(StackName=STACK)
    return {each["OutputKey"]: each["OutputValue"] for each in description["Stacks"][0]["Outputs"]}


def addresses_of(cloud):
    outputs = outputs_of(cloud)
    secrets = client("secretsmanager", cloud)
    return {
        "AWS_ENDPOINT_URL": cloud,
        **{key: FIXED[key] for key in FIXED if key.startswith("AWS_")},
        # The API by its path, since not every machine resolves <api>.execute-api.localhost.
        "API_URL": f"{cloud}/_aws/execute-api/{outputs['ApiId']}",
        "CALLBACK_SECRET": secrets.get_secret_value(SecretId=outputs["CallbackSecretId"])["SecretString"],
        "MASTER_KEYS_SECRET_ID": outputs["BridgeMasterKeysId"],
        "STACK": STACK,  # log groups are called after it
        "RAW_TABLE": outputs["RawTable"],
        "PULSE_TABLE": outputs["PulseTable"],
        "DOWNLINK_TABLE": outputs["DownlinkTable"],
        "EVENTS_TABLE": outputs["EventsTable"],
        "RAW_STREAM": outputs["RawStreamName"],
        "RAW_QUEUE_URL": outputs["RawQueueUrl"],
        "PULSE_SIGFOX_QUEUE_URL": outputs["PulseSigfoxQueueUrl"],
        "PULSE_NBIOT_QUEUE_URL": outputs["PulseNbiotQueueUrl"],
        "QUARANTINE_QUEUE_URL": outputs["QuarantineQueueUrl"],
        "RAW_DEAD_LETTERS_URL": outputs["RawDeadLettersUrl"],
        "PULSE_SIGFOX_DEAD_LETTERS_URL": outputs["PulseSigfoxDeadLettersUrl"],
        "PULSE_NBIOT_DEAD_LETTERS_URL": outputs["PulseNbiotDeadLettersUrl"],
    }


def save_function_logs(directory):
    """The functions' own lines, from the local cloud's log groups to logs/functions.log."""
    if not (env := read_env(directory)):
        return
    with contextlib.suppress(Exception), (directory / "logs" / "functions.log").open("w") as log:
        logs = client("logs", env["AWS_ENDPOINT_URL"])
        for group in logs.describe_log_groups()["logGroups"]:
            for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
                print(group["logGroupName"], event["message"].rstrip(), file=log)


def client(service, cloud):
    import boto3  # comes with the SAM CLI, so it is not there before the tools are

    return boto3.client(
        service,
        endpoint_url=cloud,
        region_name=FIXED["AWS_REGION"],
        aws_access_key_id=FIXED["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=FIXED["AWS_SECRET_ACCESS_KEY"],
    )


def read_env(directory):
    try:
        return dict(line.split("=", 1) for line in shlex.split((directory / "env").read_text()))
    except FileNotFoundError:
        return {}


def is_up(directory):
    # The processes, too: after a reboot something else may answer at these addresses.
    if not (processes_of(directory, "cloud") and processes_of(directory, "bridge")):
        return False
    env = read_env(directory)
    return env and answers(env["AWS_ENDPOINT_URL"] + HEALTH) and answers(env["BRIDGE_HEALTH_URL"])


def stop(directory):
    """Ends what `start` started for this directory and clears up after it. Returns the number of processes."""
    ended = 0
    # The bridge first: it still has to put away what it has received. The functions belong to the cloud.
    for part, patience in (("bridge", 15), ("cloud", 5), ("sigfox", 5)):
        processes = processes_of(directory, part)
        ended += len(processes)
        send(signal.SIGTERM, processes)
        deadline = time.monotonic() + patience
        while processes := processes_of(directory, part):
            if time.monotonic() > deadline:
                send(signal.SIGKILL, processes)
            time.sleep(0.05)
    (directory / "env").unlink(missing_ok=True)
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)
    return ended


def clean_environment(directory):
    """None of the caller's variables but those without which nothing runs, and a home with nothing in it."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if key in os.environ}
    kept["PATH"] = f"{TOOLS / 'sam' / 'bin'}:{kept['PATH']}"
    scratch = directory / SCRATCH
    return FIXED | kept | {"HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp")}


def spawn(arguments, log, env):
    """Starts a process that outlives this one, in a session of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        return subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def processes_of(directory, part):
    mark = f"{MARK}={directory}:{part}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        # Processes of others and those that end while we look are not ours to see.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def send(number, processes):
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def until(condition, seconds, process, log, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            raise Problem(f"{what} ended with exit code {process.returncode} while it was starting", log)
        if time.monotonic() > deadline:
            raise Problem(f"{what} was not ready within {seconds} s", log)
        time.sleep(0.05)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def architecture():
    machine = platform.machine().lower()
    known = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
    if machine not in known:
        raise Problem(f"Lambda has no functions for a {machine} processor; use a x86_64 or an arm64 machine")
    return f"Architecture={known[machine]}"
