"""Lets containers reach what listens on 127.0.0.1 only: the local cloud, and the stand-in for the Sigfox API.

Usage: relay.py HOST CLOUD_PORT SIGFOX_PORT; HOST is the machine's address on Docker's bridge. HOST:CLOUD_PORT leads to the
cloud. HOST:SIGFOX_PORT is an HTTP proxy (CONNECT) that leads to the stand-in, whatever address a request names: the
function accepts plain HTTP only for an API on 127.0.0.1, which in a container is the container.
"""

import asyncio
import contextlib
import sys


async def main(host, cloud, sigfox):
    await asyncio.start_server(lambda *streams: relay(*streams, cloud), host, cloud)
    await asyncio.start_server(lambda *streams: proxy(*streams, sigfox), host, sigfox)
    await asyncio.Event().wait()


async def proxy(reader, writer, port):
    with contextlib.suppress(asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await relay(reader, writer, port)


async def relay(reader, writer, port):
    try:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))
    except OSError:
        writer.close()


async def copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
