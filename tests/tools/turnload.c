/* SPDX-License-Identifier: MIT */
/* Load for a TURN server: a client in one namespace, whose allocation has one channel bound to a peer in another, and datagrams from one to the
 * other; what a relay can carry, and how much later datagrams come by it.
 *
 *   turnload up     client -> ChannelData -> server -> UDP -> peer        throughput
 *   turnload down   client <- ChannelData <- server <- UDP <- peer
 *   turnload rtt    there and back, one datagram at a time
 *   turnload hold   so many clients, each with an allocation and a channel, until stdin ends
 *   --direct        the same without a server in between: what the path itself does
 *
 * Prints a line of JSON. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/datagrams.h"
#include "tests/tools/tool.h"

struct options {
    const char *server, *client_netns, *peer_netns, *peer;
    struct datagrams_load load;
    bool direct;
};

/* ---- TURN */

static struct stun_message ask(int fd, const struct stun_addr *server, struct stun_message *request,
                               uint16_t wanted)
{
    uint8_t bytes[1500];
    struct stun_message response;
    static uint8_t id;
    request->id[0] = ++id;
    for (int i = 0; i < 5; i++) {
        uint64_t until = tool_now() + 500 * TOOL_MS;
        size_t len = stun_encode(bytes, request);
        if (sendto(fd, bytes, len, 0, &server->sa, stun_addr_len(server)) < 0)
            tool_die("the server cannot be reached");
        for (uint64_t now; (now = tool_now()) < until;) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            if (poll(&p, 1, (int)((until - now) / TOOL_MS) + 1) <= 0)
                break;
            ssize_t n = recv(fd, bytes, sizeof bytes, 0); /* maybe data that is still coming in */
            if (n < 0 || !stun_decode(&response, bytes, (size_t)n) || response.id[0] != id)
                continue;
            errno = 0;
            if (response.type != wanted)
                tool_die("the server refuses: error %u", response.error);
            return response;
        }
    }
    errno = 0;
    tool_die("no answer from the server");
}

static void allocate(struct datagrams_end *client, struct datagrams_end *peer, const struct stun_addr *server,
                     size_t size)
{
    struct stun_message allocation = {.type = TURN_ALLOCATE, .transport = IPPROTO_UDP};
    struct stun_message bind = {
        .type = TURN_CHANNEL_BIND, .channel = TURN_CHANNEL, .peer = datagrams_local(peer->fd)};
    struct stun_message response = ask(client->fd, server, &allocation, TURN_ALLOCATED);
    ask(client->fd, server, &bind, TURN_CHANNEL_BOUND);
    client->to = *server;
    memcpy(client->header, (uint8_t[]){TURN_CHANNEL >> 8, TURN_CHANNEL & 0xff}, 2);
    client->header[2] = (uint8_t)(size >> 8);
    client->header[3] = (uint8_t)size;
    client->header_len = client->extra = 4;
    peer->to = response.relayed;
}

/* Or whoever gets our port next is refused: an allocation lives for ten minutes. */
static void release(const struct datagrams_end *client)
{
    struct stun_message refresh = {.type = TURN_REFRESH};
    ask(client->fd, &client->to, &refresh, TURN_REFRESHED);
}

static void hold(const struct options *o, const struct stun_addr *client_addr, struct datagrams_end *peer,
                 const struct stun_addr *server)
{
    char byte;
    if (tool_raise_files() < o->load.count + 16)
        tool_die("no room for %llu files", (unsigned long long)o->load.count);
    for (uint64_t i = 0; i < o->load.count; i++) {
        struct datagrams_end client = {.fd = datagrams_socket(o->client_netns, client_addr)};
        allocate(&client, peer, server, (size_t)o->load.size);
    }
    printf("{\"mode\": \"hold\", \"held\": %llu}\n", (unsigned long long)o->load.count);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

int main(int argc, char **argv)
{
    struct options o = {
        .load = {.size = 1350, .window = 128, .seconds = 3, .count = 2000, .burst = DATAGRAMS_BURST}};
    const char *client_at = "0.0.0.0:0";
    const struct tool_option table[] = {
        {"server", TOOL_TEXT, &o.server, "ADDRESS:PORT of the TURN server"},
        {"direct", TOOL_FLAG, &o.direct, "no server"},
        {"client-netns", TOOL_TEXT, &o.client_netns, "where the client is (-)"},
        {"client", TOOL_TEXT, &client_at, "ADDRESS:PORT of the client; has to be said with --direct"},
        {"peer-netns", TOOL_TEXT, &o.peer_netns, "where the peer is (-)"},
        {"peer", TOOL_TEXT, &o.peer, "ADDRESS:PORT of the peer"},
        {"size", TOOL_COUNT, &o.load.size, "of a datagram, without ChannelData's header (1350)"},
        {"window", TOOL_COUNT, &o.load.window, "datagrams on the way (128)"},
        {"burst", TOOL_COUNT, &o.load.burst, "datagrams in one sendmsg (32)"},
        {"seconds", TOOL_NUMBER, &o.load.seconds, "of up and down (3)"},
        {"count", TOOL_COUNT, &o.load.count, "of rtt and hold (2000)"},
        {0},
    };
    int at = tool_options(argc, argv, "turnload [OPTIONS] up|down|rtt|hold", table);
    errno = 0;
    if (argc - at != 1 || !o.peer || (!o.server && !o.direct) || o.load.size < 1 ||
        o.load.size > DATAGRAMS_SIZE_MAX || o.load.window < DATAGRAMS_BURST || o.load.burst < 1 ||
        o.load.burst > DATAGRAMS_BURST)
        tool_die("turnload [OPTIONS] up|down|rtt, with --server and --peer (--help)");
    o.load.mode = argv[at];
    struct stun_addr client_addr = datagrams_parse(client_at), peer_addr = datagrams_parse(o.peer),
                     server = {0};
    struct datagrams_end client = {.fd = datagrams_socket(o.client_netns, &client_addr)},
                         peer = {.fd = datagrams_socket(o.peer_netns, &peer_addr)};
    if (o.server)
        server = datagrams_parse(o.server);
    if (strcmp(o.load.mode, "hold") == 0 && o.server) {
        hold(&o, &client_addr, &peer, &server);
        return 0;
    }
    if (o.direct) {
        client.to = datagrams_local(peer.fd);
        peer.to = datagrams_local(client.fd);
    } else {
        allocate(&client, &peer, &server, (size_t)o.load.size);
    }
    if (strcmp(o.load.mode, "up") == 0)
        datagrams_bulk(&o.load, &client, &peer);
    else if (strcmp(o.load.mode, "down") == 0)
        datagrams_bulk(&o.load, &peer, &client);
    else if (strcmp(o.load.mode, "rtt") == 0)
        datagrams_rtt(&o.load, &client, &peer);
    else
        tool_die("no mode %s", o.load.mode);
    if (!o.direct)
        release(&client);
    return 0;
}
