"""Builds Pulsegate: for this machine in one run of cargo, without link-time optimisation; for AWS with `sam build`.

The build for this machine lies in .local/build: a copy of the template, beside which each `CodeUri` holds the function's
program. The SAM CLI deploys it and runs it in Docker from there. `.aws-sam` holds nothing but builds for AWS.
"""

import os
import shutil
from pathlib import Path

from steps import LOCAL, ROOT, Problem, command, locked, step

TOOLS = LOCAL / "tools"
LOGS = LOCAL / "logs"
BUILD = LOCAL / "build"
TEMPLATE = BUILD / "template.yaml"
# The same for `sam local invoke`, which hands a function only variables that its template declares.
DOCKER_TEMPLATE = BUILD / "docker-template.yaml"
GLOBALS = "\nGlobals:\n  Function:\n"
DECLARED = "    Environment: {Variables: {AWS_ENDPOINT_URL: '', HTTP_PROXY: ''}}\n"


def build():
    """Builds the functions, the bridge and the operator's tool for this machine."""
    with locked("build"):
        with step("build for this machine", LOGS / "build.log"):
            # The examples do not matter, but with this option cargo chooses the features of the dependencies as it does
            # for tests. So each dependency is compiled once for both.
            cargo = ["cargo", "build", "--locked", "--workspace", "--examples"]
            cargo += [f"--bin={program}" for program in programs()]
            command(cargo, LOGS / "build.log", os.environ)
        with step("put functions and template together", LOGS / "put-together.log"):
            put_together(LOGS / "put-together.log")


def programs():
    """The programs of a stack: its functions, the bridge and the operator's tool."""
    return sorted({Path(uri).name for uri in functions().values()} | {"pulsegate", "udp-bridge"})


def put_together(log):
    shutil.rmtree(BUILD, ignore_errors=True)
    for uri in sorted(set(functions().values())):
        program = BUILD / uri / "bootstrap"
        program.parent.mkdir(parents=True)
        # Without its symbols a program is a third as large, and deployed sooner. `strip` comes with the linker.
        command(["strip", "-o", program, local_program(Path(uri).name)], log, os.environ)
    template = (ROOT / "template.yaml").read_text()
    if template.count(GLOBALS) != 1:
        raise Problem(f"template.yaml does not contain {GLOBALS!r} once, where variables have to be declared")
    DOCKER_TEMPLATE.write_text(template.replace(GLOBALS, GLOBALS + DECLARED))
    TEMPLATE.write_text(template)


def build_release(architecture):
    """Builds the functions as they are deployed to AWS."""
    with locked("build"), step("build the functions for AWS", LOGS / "build-release.log"):
        command(["sam", "build", "--parameter-overrides", architecture], LOGS / "build-release.log", with_tools())


def functions():
    """The `CodeUri` of each function of the template."""
    from samcli.yamlhelper import yaml_parse  # in the Python of .local/tools/sam

    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    return {
        name: resource["Properties"]["CodeUri"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def code_uri_of(name):
    if name not in functions():
        raise Problem(f"the template has no function {name}; it has {', '.join(functions())}")
    return functions()[name]


def local_function(name):
    """The program of a function that `build` has built."""
    return built(BUILD / code_uri_of(name) / "bootstrap", "make build")


def release_function(name):
    """The program of a function that `build_release` has built."""
    return built(ROOT / ".aws-sam" / "build" / name / "bootstrap", "make release")


def local_program(name):
    """A program of this workspace that `build` has built."""
    return built(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / name, "make build")


def built(path, how):
    if not path.exists():
        raise Problem(f"{path} is missing; run `{how}` first")
    return path


def with_tools():
    """The environment for the SAM CLI, which looks for cargo-lambda on the path."""
    return os.environ | {"PATH": f"{TOOLS / 'sam' / 'bin'}:{os.environ['PATH']}"}
