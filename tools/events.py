"""Reads the events of events/ and replaces the placeholder of the callback's secret by the stack's own."""

import base64
import json

from steps import Problem

PLACEHOLDER = "local-secret"


def event_of(path, secret):
    """The event in a file, with credentials that the callback's function accepts."""
    try:
        event = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be read as an event: {error}") from error
    if "headers" in event:
        event["headers"] = {name: with_secret(value, secret) for name, value in event["headers"].items()}
    return event


def with_secret(header, secret):
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "basic":
        pair = base64.b64decode(credentials).decode().replace(PLACEHOLDER, secret)
        return f"{scheme} {base64.b64encode(pair.encode()).decode()}"
    return header.replace(PLACEHOLDER, secret)


def answer_of(name, text, log=None):
    """The answer of a function; raises a Problem for an error, with which emulator and SAM CLI end as if it were an answer."""
    try:
        answer = json.loads(text)
    except ValueError as error:  # "Task timed out after ..."
        raise Problem(f"{name} failed: {text[:500] or 'no answer'}", log) from error
    if isinstance(answer, dict) and "errorType" in answer:
        raise Problem(f"{name} failed: {text[:500]}", log)
    return answer
