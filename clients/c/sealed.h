/* The sealed envelope of docs/nbiot-protocol.md, for a meter's firmware: pure functions on the caller's buffers, without
 * I/O, clock or state. Nothing is allocated but by mbed TLS (2.28 or 3): a hash context, for as long as a call takes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEALED_KEY = 32, SEALED_HEADER = 18, SEALED_TAG = 8, SEALED_MAX_PAYLOAD = 2022, SEALED_MAX = 2048 };

/* Counter and time make an uplink this one and no other: sent again, it has the same of both. */
struct sealed_header {
    uint8_t key_id;
    uint8_t imei[8]; /* packed: two digits to a byte, a zero in front of fifteen */
    uint32_t counter;
    uint32_t time; /* seconds since 1970; never 0 in an uplink */
};

/* Packs 15 or 16 decimal digits. False if they are something else. */
bool sealed_imei(const char *digits, uint8_t packed[8]);

/* Makes a meter's key, where keys are made; a meter never sees the master key. False if mbed TLS fails. */
bool sealed_device_key(const uint8_t *master, size_t len, const uint8_t imei[8], uint8_t key[SEALED_KEY]);

/* Writes an uplink and returns its length, or 0 if it does not fit or its time is 0. */
size_t sealed_uplink(const uint8_t key[SEALED_KEY], const struct sealed_header *header, const uint8_t *payload,
                     size_t len, uint8_t *out, size_t room);

/* Whether a datagram acknowledges the uplink `sent`. If so, and not before: the bridge's time, and the downlink, which
 * stays where it is in the datagram. If not: go on waiting. */
bool sealed_acknowledges(const uint8_t key[SEALED_KEY], const struct sealed_header *sent, const uint8_t *datagram,
                         size_t len, uint32_t *time, const uint8_t **downlink, size_t *downlink_len);
