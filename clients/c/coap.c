#include "coap.h"

#include <string.h>

size_t coap_post(uint16_t id, const uint8_t token[4], const char *path, const uint8_t *payload, size_t len,
                 uint8_t *out, size_t room) {
    enum { URI_PATH = 11, ONE_BYTE_MORE = 13, PAYLOAD_MARKER = 0xFF };
    const uint8_t head[4] = {1 << 6 | COAP_CON << 4 | 4, COAP_POST, (uint8_t)(id >> 8), (uint8_t)id};
    size_t path_len = strlen(path), at = 8;
    if (path_len > 255 || len > room || room - len < 8 + 2 + path_len + 1) return 0;
    memcpy(out, head, 4);
    memcpy(out + 4, token, 4);
    out[at++] = (uint8_t)(URI_PATH << 4 | (path_len < ONE_BYTE_MORE ? path_len : ONE_BYTE_MORE));
    if (path_len >= ONE_BYTE_MORE) out[at++] = (uint8_t)(path_len - ONE_BYTE_MORE);
    memcpy(out + at, path, path_len);
    out[at + path_len] = PAYLOAD_MARKER;
    memcpy(out + at + path_len + 1, payload, len);
    return at + path_len + 1 + len;
}

/* Decodes a nibble of an option's header with its extended bytes; SIZE_MAX if they are missing. */
static size_t extended(uint8_t nibble, const uint8_t *bytes, size_t len, size_t *at) {
    size_t more = nibble < 13 ? 0 : nibble - 12u, base = nibble < 13 ? nibble : nibble == 13 ? 13 : 269, read = 0;
    if (nibble == 15 || len - *at < more) return SIZE_MAX;
    for (; more > 0; more--) read = read << 8 | bytes[(*at)++];
    return base + read;
}

bool coap_read(const uint8_t *bytes, size_t len, struct coap_message *message) {
    if (len < 4 || bytes[0] >> 6 != 1 || (bytes[0] & 15) > 8 || len - 4 < (bytes[0] & 15u)) return false;
    size_t at = 4 + (bytes[0] & 15u);
    *message = (struct coap_message){bytes[0] >> 4 & 3, bytes[1], (uint16_t)(bytes[2] << 8 | bytes[3]),
                                     bytes + 4, bytes + len, at - 4, 0};
    while (at < len && bytes[at] != 0xFF) {
        uint8_t option = bytes[at++];
        size_t delta = extended(option >> 4, bytes, len, &at), value = extended(option & 15, bytes, len, &at);
        if (delta == SIZE_MAX || value == SIZE_MAX || value > len - at) return false;
        at += value;
    }
    if (at == len) return true;
    message->payload = bytes + at + 1;
    message->payload_len = len - at - 1;
    return message->payload_len > 0;
}
