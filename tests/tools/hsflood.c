/* SPDX-License-Identifier: MIT */
/* Handshake initiations by strangers, as an attacker who knows a node's public key would send them: each with a right mac1 and a
 * tag that opens, from a key that the node has never seen, from source addresses out of a whole prefix (raw socket, root).
 *
 *   hsflood --to 10.78.0.1:7001 --key BASE64 --sources 10.80.0.0/16 --rate 10000 --seconds 5
 *
 * At the end, or at a SIGTERM, one line of JSON says how many were sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/base/random.h"
#include "gateway/session/cookie.h"
#include "gateway/session/noise.h"
#include "gateway/wire/peer_id.h"
#include "tests/tools/tool.h"

#define KEYS 64u /* the node can't know that they come again: it forgets strangers */

struct packet {
    struct ip ip;
    struct udphdr udp;
    struct gw_initiation msg;
} __attribute__((packed));

struct flood {
    int fd;
    struct sockaddr_in to;
    struct gw_cookie macs;
    struct gw_initiation molds[KEYS];
    uint32_t source, host_mask; /* host byte order */
    uint64_t sent, failed;
};

static void make_mold(struct gw_initiation *msg, const uint8_t remote[GW_KEY_LEN])
{
    const struct gw_crypto *crypto = gw_crypto_system();
    uint8_t secret[GW_KEY_LEN], public_key[GW_KEY_LEN], ephemeral[GW_KEY_LEN], both[GW_KEY_LEN];
    struct gw_tai64n_clock clock;
    struct gw_noise_initiator slot;
    uint8_t stamp[GW_TAI64N_LEN];

    gw_random_fill(gw_random_system(), secret, sizeof secret);
    gw_random_fill(gw_random_system(), ephemeral, sizeof ephemeral);
    crypto->dh_public(public_key, secret);
    gw_tai64n_init(&clock, (struct gw_wall){0, 0});
    gw_tai64n_next(&clock, (struct gw_wall){time(NULL), 0}, stamp);
    const struct gw_noise_self self = {crypto, secret, public_key};
    const struct gw_noise_remote peer = {remote, both};
    if (!crypto->dh(both, secret, remote) ||
        !gw_noise_create_initiation(&self, &peer, ephemeral, stamp, 1, &slot, msg))
        tool_die("the key is none");
}

static void parse_sources(struct flood *flood, const char *text)
{
    char ip[32];
    unsigned bits;
    struct in_addr addr;
    if (sscanf(text, "%31[0-9.]/%u", ip, &bits) != 2 || bits < 1 || bits > 32 ||
        inet_pton(AF_INET, ip, &addr) != 1)
        tool_die("--sources wants ADDRESS/BITS, not %s", text);
    flood->source = ntohl(addr.s_addr);
    flood->host_mask = bits == 32 ? 0 : UINT32_MAX >> bits;
}

static void send_one(struct flood *flood)
{
    uint32_t random[2];
    uint8_t mac1[GW_MAC_LEN];
    struct packet packet = {0};

    gw_random_fill(gw_random_system(), random, sizeof random);
    packet.msg = flood->molds[random[0] % KEYS];
    memcpy(packet.msg.sender, &random[0], sizeof packet.msg.sender);
    gw_cookie_add_macs(&flood->macs, (struct gw_mono){0}, &packet.msg, sizeof packet.msg, mac1);
    packet.ip = (struct ip){.ip_v = 4,
                            .ip_hl = 5,
                            .ip_ttl = 64,
                            .ip_p = IPPROTO_UDP,
                            .ip_len = htons(sizeof packet),
                            .ip_src.s_addr =
                                htonl((flood->source & ~flood->host_mask) | (random[1] & flood->host_mask)),
                            .ip_dst = flood->to.sin_addr};
    packet.udp.uh_sport = htons((uint16_t)(1024 + random[1] % 60000));
    packet.udp.uh_dport = flood->to.sin_port;
    packet.udp.uh_ulen = htons(sizeof packet - sizeof packet.ip);
    if (sendto(flood->fd, &packet, sizeof packet, 0, (struct sockaddr *)&flood->to, sizeof flood->to) < 0)
        flood->failed++;
    else
        flood->sent++;
}

static volatile sig_atomic_t is_over;

static void on_terminate(int number)
{
    (void)number;
    is_over = 1;
}

static void run(struct flood *flood, double rate, double seconds)
{
    const struct timespec tick = {.tv_nsec = 1000000};
    const uint64_t begin = tool_now(), end = begin + (uint64_t)(seconds * 1e9);

    for (uint64_t now; !is_over && (now = tool_now()) < end;) {
        uint64_t due = (uint64_t)((double)(now - begin) / 1e9 * rate);
        while (!is_over && flood->sent + flood->failed < due)
            send_one(flood);
        nanosleep(&tick, NULL);
    }
}

int main(int argc, char **argv)
{
    static struct flood flood;
    const char *to = NULL, *key = NULL, *sources = NULL;
    double rate = 10000, seconds = 1;
    uint8_t remote[GW_KEY_LEN];
    const struct tool_option options[] = {{"to", TOOL_TEXT, &to, "the node, IPv4:PORT"},
                                          {"key", TOOL_TEXT, &key, "its public key, base64"},
                                          {"sources", TOOL_TEXT, &sources, "the prefix to send from"},
                                          {"rate", TOOL_NUMBER, &rate, "a second"},
                                          {"seconds", TOOL_NUMBER, &seconds, "how long"},
                                          {NULL, TOOL_FLAG, NULL, NULL}};
    tool_options(argc, argv, "hsflood --to IPv4:PORT --key BASE64 --sources ADDRESS/BITS [OPTIONS]", options);
    if (!to || !key || !sources || gw_key_base64_parse(remote, key) != 0)
        tool_die("--to, --key (44 characters) and --sources are needed");
    const struct tool_address address = tool_address(to);
    memcpy(&flood.to, &address.sa, sizeof flood.to);
    parse_sources(&flood, sources);
    gw_cookie_init(&flood.macs, remote);
    for (unsigned i = 0; i < KEYS; i++)
        make_mold(&flood.molds[i], remote);
    flood.fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (flood.fd < 0)
        tool_die("raw socket");
    signal(SIGTERM, on_terminate);
    printf("{\"ready\": true}\n");
    fflush(stdout);
    run(&flood, rate, seconds);
    printf("{\"sent\": %llu, \"failed\": %llu}\n", (unsigned long long)flood.sent,
           (unsigned long long)flood.failed);
    close(flood.fd);
    return 0;
}
