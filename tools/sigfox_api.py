"""A stand-in for the Sigfox API, for the function `sigfox-recovery` of a local stack.

It knows one device type. Its list of undelivered callbacks is empty at first; a `POST` of a JSON array of items to the
path of the list adds to it, which the real API does not offer. tools/test-kit/src/sigfox/api.rs is the same with faults on
request; this one starts without a build, as a local stack needs.

It listens on a free port of this machine and prints its URL.
"""

import base64
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from stack import SIGFOX_API_USER, SIGFOX_DEVICE_TYPE

PATH = f"/v2/device-types/{SIGFOX_DEVICE_TYPE}/callbacks-not-delivered"
USER = "Basic " + base64.b64encode("{login}:{password}".format(**SIGFOX_API_USER).encode()).decode()

undelivered = []


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        if self.headers["Authorization"] != USER:
            self.answer(HTTPStatus.UNAUTHORIZED)
        elif url.path != PATH:
            self.answer(HTTPStatus.NOT_FOUND)
        else:
            query = {name: int(value) for name, value in parse_qsl(url.query)}
            self.answer(HTTPStatus.OK, json.dumps({"data": page(**query), "paging": {}}).encode())

    def do_POST(self):
        items = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == PATH:
            undelivered.extend(items)
        self.answer(HTTPStatus.NO_CONTENT if self.path == PATH else HTTPStatus.NOT_FOUND)

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def page(since, before, limit, offset):
    """A page of the list, newest first. It has no link to the next page: the function reads on until a page is not full."""
    listed = [item for item in undelivered if since <= item["time"] < before]
    return sorted(listed, key=lambda item: -item["time"])[offset : offset + limit]


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    print(f"http://127.0.0.1:{server.server_port}/v2", flush=True)
    server.serve_forever()
