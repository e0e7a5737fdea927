/* Test client for a bridge, and a base for ports: sends one reading and waits for its acknowledgement. */
#define _POSIX_C_SOURCE 200809L
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "coap.h"
#include "sealed.h"

enum { ACKNOWLEDGED = 0, FAILED = 1, USAGE = 2, UNANSWERED = 3, REFUSED = 4, WAIT, PROMISED };
enum { SENDINGS = 5, TICK_MS = 10, PROMISE_MS = 30000, ROOM = SEALED_MAX + 512 };

static const char help[] =
    "usage: client [OPTION VALUE]... HOST PORT IMEI COUNTER PAYLOAD\n"
    "Seals the payload (hex), sends it up to five times, and waits for the acknowledgement.\n\n"
    "  --key HEX       the meter's key, 64 digits\n"
    "  --master TEXT   or, for tests, the master key to derive it from\n"
    "  --key-id N      ID of the master key (default 1)\n"
    "  --time N        seconds since 1970 (default now; 0 if the clock is not set)\n"
    "  --coap PROFILE  send a CoAP POST to this path (default: plain UDP)\n"
    "  --pause MS      time until the first retransmission, plus up to half; doubles each time (default 4000)\n\n"
    "exit code: 0 acknowledged, 1 failed, 2 wrong usage, 3 no valid answer, 4 refused by the bridge (CoAP 4.xx)\n";

enum { KEY, MASTER, KEY_ID, TIME, COAP, PAUSE, OPTIONS };
static const char *const names[OPTIONS] = {"--key", "--master", "--key-id", "--time", "--coap", "--pause"};
static const char *option[OPTIONS] = {[KEY_ID] = "1", [PAUSE] = "4000"};

struct meter {
    struct sealed_header header;
    uint8_t key[SEALED_KEY], datagram[ROOM];
    size_t len;
    int fd;
};

#define STOP(code, ...) (fprintf(stderr, __VA_ARGS__), exit(code))

static size_t from_hex(const char *what, const char *text, uint8_t *out, size_t room) {
    size_t len = strlen(text) / 2;
    if (strlen(text) % 2 || len > room || strspn(text, "0123456789abcdefABCDEF") != 2 * len)
        STOP(USAGE, "%s is not hex of at most %zu bytes\n", what, room);
    for (size_t i = 0; i < len; i++) out[i] = (uint8_t)strtoul((char[]){text[2 * i], text[2 * i + 1], 0}, NULL, 16);
    return len;
}

static uint32_t number(const char *what, const char *text, unsigned long max) {
    unsigned long long value = strtoull(text, NULL, 10);
    if (!*text || strspn(text, "0123456789") != strlen(text) || value > max)
        STOP(USAGE, "%s is not a number up to %lu\n", what, max);
    return (uint32_t)value;
}

static void prepare(struct meter *meter, const char *imei, const char *counter, const char *text) {
    uint8_t payload[SEALED_MAX_PAYLOAD], sealed[SEALED_MAX], *imei_at = meter->header.imei;
    if (!sealed_imei(imei, imei_at)) STOP(USAGE, "the IMEI is not 15 or 16 digits\n");
    meter->header.counter = number("the counter", counter, UINT32_MAX);
    meter->header.key_id = (uint8_t)number("the key ID", option[KEY_ID], UINT8_MAX);
    meter->header.time = option[TIME] ? number("the time", option[TIME], UINT32_MAX) : (uint32_t)time(NULL);
    if (option[KEY] ? from_hex("the key", option[KEY], meter->key, SEALED_KEY) != SEALED_KEY
                    : !sealed_device_key((const uint8_t *)option[MASTER], strlen(option[MASTER]), imei_at, meter->key))
        STOP(USAGE, "the key is not 64 digits\n");
    size_t len = from_hex("the payload", text, payload, sizeof payload);
    len = sealed_uplink(meter->key, &meter->header, payload, len, sealed, sizeof sealed);
    uint16_t id = (uint16_t)meter->header.counter; /* The token is the sealed counter, so no other state is needed. */
    if (!option[COAP]) memcpy(meter->datagram, sealed, meter->len = len);
    else meter->len = coap_post(id, sealed + 10, option[COAP], sealed, len, meter->datagram, ROOM);
    if (len == 0 || meter->len == 0) STOP(USAGE, "the profile's name is too long\n");
}

static int judge(const struct meter *meter, const uint8_t *bytes, size_t len) {
    struct coap_message m;
    uint32_t time;
    if (option[COAP]) {
        if (!coap_read(bytes, len, &m)) return WAIT;
        if (m.type == COAP_ACK && m.id != (uint16_t)meter->header.counter) return WAIT;
        if (m.type == COAP_ACK && m.code == COAP_EMPTY) return PROMISED;
        if (m.token_len != 4 || memcmp(m.token, meter->datagram + 4, 4) != 0) return WAIT;
        const uint8_t empty_ack[4] = {1 << 6 | COAP_ACK << 4, COAP_EMPTY, (uint8_t)(m.id >> 8), (uint8_t)m.id};
        if (m.type == COAP_CON && send(meter->fd, empty_ack, sizeof empty_ack, 0) < 0) perror("not sent");
        if (m.code >> 5 == 4) STOP(REFUSED, "refused: %d.%02d\n", m.code >> 5, m.code & 31);
        if (m.code != COAP_CHANGED) return WAIT; /* 5.03: not durable, so send again */
        bytes = m.payload, len = m.payload_len;
    }
    if (!sealed_acknowledges(meter->key, &meter->header, bytes, len, &time, &bytes, &len)) return WAIT;
    printf("acknowledged at %lu, downlink of %zu bytes\n", (unsigned long)time, len);
    return ACKNOWLEDGED;
}

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0) STOP(FAILED, "%s, port %s: unknown address\n", host, port);
    int fd = socket(found->ai_family, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) STOP(FAILED, "%s cannot be reached\n", host);
    freeaddrinfo(found);
    return fd;
}

static void exchange(const struct meter *meter, long pause) {
    for (int sending = 0; sending < SENDINGS; sending++, pause *= 2) {
        if (send(meter->fd, meter->datagram, meter->len, 0) < 0) perror("not sent");
        /* The tag's last byte is the jitter, so that a fleet does not retransmit in step. Noise shortens the wait. */
        for (long left = pause + pause * meter->datagram[meter->len - 1] / 512; left > 0; left -= TICK_MS) {
            struct pollfd ready = {.fd = meter->fd, .events = POLLIN};
            uint8_t bytes[ROOM];
            ssize_t len = poll(&ready, 1, TICK_MS) > 0 ? recv(meter->fd, bytes, sizeof bytes, 0) : -1;
            int verdict = len < 0 ? WAIT : judge(meter, bytes, (size_t)len);
            if (verdict == ACKNOWLEDGED) return;
            if (verdict == PROMISED) left = PROMISE_MS; /* the bridge answers within 10 s */
        }
    }
    /* A meter keeps the reading and retries later. */
    STOP(UNANSWERED, "not acknowledged. The bridge ignores an unauthenticated meter: check key, key ID and IMEI\n");
}

int main(int count, char **arguments) {
    static struct meter meter;
    int at = 1, which;
    for (; at < count && strncmp(arguments[at], "--", 2) == 0; at += 2) {
        if (strcmp(arguments[at], "--help") == 0) return fputs(help, stdout) < 0;
        for (which = 0; which < OPTIONS && strcmp(arguments[at], names[which]) != 0; which++) {}
        if (which == OPTIONS || at + 1 == count)
            STOP(USAGE, "%s: unknown option, or no value; see --help\n", arguments[at]);
        option[which] = arguments[at + 1];
    }
    if (count - at != 5 || !option[KEY] == !option[MASTER]) STOP(USAGE, "%s", help);
    prepare(&meter, arguments[at + 2], arguments[at + 3], arguments[at + 4]);
    meter.fd = dial(arguments[at], arguments[at + 1]);
    exchange(&meter, number("the pause", option[PAUSE], 60000));
}
