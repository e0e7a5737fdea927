"""A stack: the local cloud, the template deployed to it, the bridge, and a stand-in for the Sigfox API.

`start` and `stop` work on a directory, which holds the stack's logs, its addresses (`env`), the settings for running one
function (one_function.py), and whatever its processes write.
"""

import contextlib
import json
import shlex
import shutil
import signal
import sys
import time

from aws import FIXED, addresses_of, architecture, client, outputs_of, repair_mappings, save_function_logs
from build import TEMPLATE, TOOLS, built, local_program
from one_function import start_relay, write_settings
from processes import SCRATCH, answers, clean_environment, end, free_port, mark, processes_of, send, spawn, until
from steps import ROOT, Problem, command, locked, step, write_private

# What the stand-in for the Sigfox API knows; as in tools/test-kit/src/sigfox/api.rs.
SIGFOX_DEVICE_TYPE = "628fd74fb3cabb6565ae81bb"
SIGFOX_API_USER = {"login": "5f0c6e1b2a", "password": "correct-horse"}
NBIOT_PROFILE = "adeunis-pulse4-nbiot"
HEALTH = "/_ministack/health"

# Parameters of the template that are not its defaults: people and tests do not wait for a quarter of an hour.
PARAMETERS = {
    "SettleSchedule": "rate(1 minute)",
    "DeriveSchedule": "rate(5 minutes)",
    "DaysSchedule": "rate(5 minutes)",
}

# Parts in the order in which they end, with their time-outs in seconds. The bridge is first: it still has to make
# durable what it has received. The functions belong to the cloud.
STOP_TIMEOUTS = {"bridge": 15, "relay": 5, "cloud": 5, "sigfox": 5}


@contextlib.contextmanager
def stack(directory, sigfox_api=None, parameters=None):
    """A stack that ends with the block, however the block ends."""
    stop(directory)  # a predecessor that was killed may have left processes
    addresses = start(directory, sigfox_api, parameters)
    try:
        yield addresses
    finally:
        save_function_logs(addresses["AWS_ENDPOINT_URL"], directory / "logs" / "functions.log")
        with step("stop"):
            stop(directory)


def start(directory, sigfox_api=None, parameters=None):
    """Starts everything and returns its addresses, which are also in the directory's file `env`."""
    with locked("build"):  # a build removes what is being deployed here
        return start_built(directory, sigfox_api, parameters or {})


def start_built(directory, sigfox_api, parameters):
    template, bridge = built(TEMPLATE, "make build"), local_program("udp-bridge")
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
            given = {"SigfoxDeviceTypes": SIGFOX_DEVICE_TYPE, "SigfoxApiUrl": sigfox_api} | PARAMETERS | parameters
            command(
                ["sam", "deploy", "--config-file", ROOT / "samconfig.toml", "--config-env", "local"]
                + ["--template-file", template, "--parameter-overrides", architecture()]
                + [f"ParameterKey={name},ParameterValue={shlex.quote(value)}" for name, value in given.items()],
                logs / "deploy.log",
                env,
            )
            repair_mappings(cloud)
        addresses = addresses_of(cloud)
        addresses |= fill_in_api_user(cloud, sigfox_api)
        addresses |= start_bridge(directory, bridge, logs / "bridge.log", env, addresses)
        addresses |= start_relay(directory, cloud, sigfox_api, logs / "relay.log")
        addresses |= {"CLOUD_PID": str(cloud_pid), "LOGS": str(logs)}
        write_settings(directory, addresses)
        write_env(directory, addresses)
    except BaseException:
        stop(directory)
        raise
    return addresses


def start_sigfox_api(directory, log):
    with step("start a stand-in for the Sigfox API", log):
        env = clean_environment(directory) | mark(directory, "sigfox")
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
            | mark(directory, "cloud")
            | {
                "GATEWAY_PORT": str(port),
                "BIND_HOST": "127.0.0.1",  # the default is every address of the machine
                "AWS_ENDPOINT_URL": cloud,  # handed down to the functions
                "MINISTACK_REGION": FIXED["AWS_REGION"],
                "STATE_DIR": str(directory / SCRATCH / "tmp"),
                # Unused listeners, on ports that a second stack would need, too.
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
            },
        )
        until(lambda: answers(cloud + HEALTH), 60, process, log, "the local cloud")
    return cloud, process.pid


def start_bridge(directory, program, log, env, addresses):
    """Starts the bridge at the ports in `addresses`, which a killed one had, or else at free ones."""
    port = lambda name: addresses.get(name, "127.0.0.1:0")
    http = addresses.get("BRIDGE_HEALTH_URL", "//127.0.0.1:0/").split("/")[2]
    with step("start the bridge", log):
        process = spawn(
            [program],
            log,
            env
            | mark(directory, "bridge")
            | {
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
            started = listeners.keys() >= {"udp", "coap", "sealed udp", "sealed coap", "http"}
            return started and answers(f"http://{listeners['http']}/healthz")

        until(ready, 30, process, log, "the bridge")
    return {
        "NBIOT_ADDR": listeners["udp"],
        "NBIOT_SEALED_ADDR": listeners["sealed udp"],
        "NBIOT_COAP_ADDR": listeners["sealed coap"],
        "NBIOT_EFENTO_ADDR": listeners["coap"],
        "BRIDGE_HEALTH_URL": f"http://{listeners['http']}/healthz",
        "BRIDGE_PID": str(process.pid),
    }


def kill_bridge(directory):
    """Kills the bridge of a running stack, with the datagrams it holds, and starts it again at the same addresses."""
    addresses = read_env(directory)
    if not addresses or not (processes := processes_of(directory, "bridge")):
        raise Problem("no bridge is running; run `make up` first")
    send(signal.SIGKILL, processes)
    while processes_of(directory, "bridge"):  # its sockets are free once it is gone
        time.sleep(0.01)
    killed = sum(1 for _ in directory.glob("logs/bridge*.log"))
    (directory / "logs" / "bridge.log").rename(directory / "logs" / f"bridge-killed-{killed}.log")
    env = clean_environment(directory) | {"AWS_ENDPOINT_URL": addresses["AWS_ENDPOINT_URL"]}
    bridge = local_program("udp-bridge")
    addresses |= start_bridge(directory, bridge, directory / "logs" / "bridge.log", env, addresses)
    write_env(directory, addresses)


def fill_in_api_user(cloud, sigfox_api):
    """Stores the API user's credentials, as an operator does after the deployment."""
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


def write_env(directory, addresses):
    write_private(directory / "env", "".join(f"{key}={shlex.quote(value)}\n" for key, value in addresses.items()))


def read_env(directory):
    try:
        return dict(line.split("=", 1) for line in shlex.split((directory / "env").read_text()))
    except FileNotFoundError:
        return {}


def running(directory):
    """The addresses of a running stack."""
    if not is_up(directory):
        raise Problem(f"no stack is running in {directory}; run `make up` first")
    return read_env(directory)


def is_up(directory):
    # The processes count, too: after a restart of the machine another program may answer at these addresses.
    if not (processes_of(directory, "cloud") and processes_of(directory, "bridge")):
        return False
    env = read_env(directory)
    return env and answers(env["AWS_ENDPOINT_URL"] + HEALTH) and answers(env["BRIDGE_HEALTH_URL"])


def stop(directory):
    """Ends what `start` started for this directory and removes what it wrote. Returns the number of processes."""
    ended = sum(end(directory, part, timeout) for part, timeout in STOP_TIMEOUTS.items())
    (directory / "env").unlink(missing_ok=True)
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)
    return ended
