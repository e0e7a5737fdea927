"""A CoAP meter with aiocoap: makes one request and prints the answer's code and payload, or `silence`.

    coap_post.py METHOD con|non PAYLOAD-HEX SECONDS URI
"""

import asyncio
import logging
import sys

from aiocoap import Code, Context, Message, Reliable, Unreliable


async def main(method, transport, payload, seconds, uri):
    logging.disable()  # some tests expect no answer, which aiocoap would log
    client = await Context.create_client_context()
    tuning = {"con": Reliable, "non": Unreliable}[transport]
    request = Message(code=Code[method], uri=uri, payload=bytes.fromhex(payload), transport_tuning=tuning)
    try:
        answer = await asyncio.wait_for(client.request(request, handle_blockwise=False).response, float(seconds))
        print(answer.code.dotted, answer.payload.hex())
    except asyncio.TimeoutError:
        print("silence")
    finally:
        await client.shutdown()


asyncio.run(main(*sys.argv[1:]))
