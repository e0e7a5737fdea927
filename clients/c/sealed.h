/* The sealed envelope of docs/nbiot-protocol.md, for a meter's firmware: pure functions on the caller's buffers, without
 * I/O, clock or state. Only mbed TLS (2.28 or 3) allocates memory: a hash context, for the duration of a call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEALED_KEY = 32, SEALED_HEADER = 18, SEALED_TAG = 8, SEALED_MAX_PAYLOAD = 2022, SEALED_MAX = 2048 };

/* Counter and time identify an uplink: a repetition has the same values. */
struct sealed_header {
    uint8_t key_id;
    uint8_t imei[8]; /* packed: two digits per byte, a zero before fifteen digits */
    uint32_t counter;
    uint32_t time; /* seconds since 1970; 0 in an uplink: the clock is not set */
};

/* Packs 15 or 16 decimal digits. Returns false for other input. */
bool sealed_imei(const char *digits, uint8_t packed[8]);

/* Derives a meter's key, for key provisioning; a meter never has the master key. Returns false if mbed TLS fails. */
bool sealed_device_key(const uint8_t *master, size_t len, const uint8_t imei[8], uint8_t key[SEALED_KEY]);

/* Writes an uplink. Returns its length, or 0 if it does not fit. */
size_t sealed_uplink(const uint8_t key[SEALED_KEY], const struct sealed_header *header, const uint8_t *payload,
                     size_t len, uint8_t *out, size_t room);

/* Returns true if a datagram acknowledges the uplink `sent`, and only then sets the bridge's time and the downlink,
 * which points into the datagram. If it returns false, continue to wait. */
bool sealed_acknowledges(const uint8_t key[SEALED_KEY], const struct sealed_header *sent, const uint8_t *datagram,
                         size_t len, uint32_t *time, const uint8_t **downlink, size_t *downlink_len);
