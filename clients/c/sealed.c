#include "sealed.h"

#include <string.h>

#include <mbedtls/constant_time.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>

enum { UPLINK = 0x01, ACKNOWLEDGEMENT = 0x81, TIME_AT = 14 };

static void put_header(uint8_t out[SEALED_HEADER], uint8_t version, const struct sealed_header *header) {
    out[0] = version;
    out[1] = header->key_id;
    memcpy(out + 2, header->imei, sizeof header->imei);
    for (int i = 0; i < 4; i++) {
        out[10 + i] = (uint8_t)(header->counter >> (24 - 8 * i));
        out[TIME_AT + i] = (uint8_t)(header->time >> (24 - 8 * i));
    }
}

static bool make_tag(const uint8_t key[SEALED_KEY], const uint8_t *bytes, size_t len, uint8_t tag[SEALED_TAG]) {
    uint8_t whole[32];
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    if (mbedtls_md_hmac(sha256, key, SEALED_KEY, bytes, len, whole) != 0) return false;
    memcpy(tag, whole, SEALED_TAG);
    return true;
}

bool sealed_imei(const char *digits, uint8_t packed[8]) {
    size_t len = strlen(digits);
    if ((len != 15 && len != 16) || strspn(digits, "0123456789") != len) return false;
    memset(packed, 0, 8);
    for (size_t i = 0, nibble = 16 - len; i < len; i++, nibble++)
        packed[nibble / 2] |= (uint8_t)((digits[i] - '0') << (nibble % 2 ? 0 : 4));
    return true;
}

bool sealed_device_key(const uint8_t *master, size_t len, const uint8_t imei[8], uint8_t key[SEALED_KEY]) {
    static const uint8_t salt[] = "pulsegate sealed envelope 1"; /* without its closing NUL */
    uint8_t info[] = "nbiot:0123456789012345";
    for (size_t i = 0; i < 16; i++) info[6 + i] = (uint8_t)('0' + (i % 2 ? imei[i / 2] & 15 : imei[i / 2] >> 4));
    size_t info_len = sizeof info - 1;
    if (info[6] == '0') memmove(info + 6, info + 7, --info_len - 6);
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    return mbedtls_hkdf(sha256, salt, sizeof salt - 1, master, len, info, info_len, key, SEALED_KEY) == 0;
}

size_t sealed_uplink(const uint8_t key[SEALED_KEY], const struct sealed_header *header, const uint8_t *payload,
                     size_t len, uint8_t *out, size_t room) {
    if (len > SEALED_MAX_PAYLOAD || room < SEALED_HEADER + len + SEALED_TAG) return 0;
    put_header(out, UPLINK, header);
    memcpy(out + SEALED_HEADER, payload, len);
    return make_tag(key, out, SEALED_HEADER + len, out + SEALED_HEADER + len) ? SEALED_HEADER + len + SEALED_TAG : 0;
}

bool sealed_acknowledges(const uint8_t key[SEALED_KEY], const struct sealed_header *sent, const uint8_t *datagram,
                         size_t len, uint32_t *time, const uint8_t **downlink, size_t *downlink_len) {
    uint8_t expected[SEALED_HEADER], tag[SEALED_TAG];
    if (len < SEALED_HEADER + SEALED_TAG) return false;
    put_header(expected, ACKNOWLEDGEMENT, sent);
    if (memcmp(datagram, expected, TIME_AT) != 0 || !make_tag(key, datagram, len - SEALED_TAG, tag)) return false;
    if (mbedtls_ct_memcmp(datagram + len - SEALED_TAG, tag, SEALED_TAG) != 0) return false;
    *time = 0;
    for (int i = 0; i < 4; i++) *time = *time << 8 | datagram[TIME_AT + i];
    *downlink = datagram + SEALED_HEADER;
    *downlink_len = len - SEALED_HEADER - SEALED_TAG;
    return true;
}
