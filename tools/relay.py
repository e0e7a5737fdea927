"""Relays TCP connections from Docker's bridge to the local cloud, which listens on 127.0.0.1 only.

Usage: relay.py HOST PORT; listens on HOST:PORT and connects to 127.0.0.1:PORT.
"""

import asyncio
import contextlib
import sys


async def main(host, port):
    async def relay(reader, writer):
        try:
            cloud_reader, cloud_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, cloud_writer), copy(cloud_reader, writer))
        except OSError:
            writer.close()

    server = await asyncio.start_server(relay, host, port)
    print("listening", flush=True)
    await server.serve_forever()


async def copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
