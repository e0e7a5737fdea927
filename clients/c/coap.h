/* The subset of CoAP (RFC 7252) needed to post one uplink: pure functions on the caller's buffers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COAP_CON, COAP_NON, COAP_ACK, COAP_RESET };
enum { COAP_EMPTY = 0x00, COAP_POST = 0x02, COAP_CHANGED = 0x44 }; /* class in the upper three bits: 2.04 */

struct coap_message {
    uint8_t type, code;
    uint16_t id;
    const uint8_t *token, *payload;
    size_t token_len, payload_len;
};

/* Writes a confirmable POST to a path of one segment. Returns its length, or 0 if it does not fit. */
size_t coap_post(uint16_t id, const uint8_t token[4], const char *path, const uint8_t *payload, size_t len,
                 uint8_t *out, size_t room);

/* Parses a message without copying it. Returns false if it is not valid CoAP. */
bool coap_read(const uint8_t *bytes, size_t len, struct coap_message *message);
