/* SPDX-License-Identifier: MIT */
/* Load for an anchor that relays: turnload's, by a channel of ours. Two nodes, one in each namespace, have a session with the anchor and a channel through it; then
 * datagrams go from one to the other that look like sealed ones, so that what is measured is the relay and not their cryptography.
 *
 *   relayload keys       prints the keys of so many nodes, for the anchor's configuration
 *   relayload up         first node -> anchor -> second node         throughput
 *   relayload down       first node <- anchor <- second node
 *   relayload rtt        there and back, one datagram at a time
 *   relayload hold       so many channels, each between two of as few nodes as have so many pairs, until stdin ends
 *
 * Prints a line of JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/datagrams.h"
#include "tests/tools/relaynodes.h"
#include "tests/tools/tool.h"

struct options {
    const char *anchor, *anchor_key, *client_netns, *peer_netns, *client, *peer;
    struct datagrams_load load;
};

static unsigned nodes_for(uint64_t pairs)
{
    unsigned count = 2;
    while ((uint64_t)count * (count - 1) / 2 < pairs)
        count++;
    return count;
}

static void print_keys(uint64_t count)
{
    char text[64];
    for (unsigned i = 0; i < count; i++)
        puts(relaynodes_key(text, i));
}

static void hold(const struct options *o)
{
    unsigned count = nodes_for(o->load.count);
    struct stun_addr at = datagrams_parse(o->client);
    int *fds = calloc(count, sizeof *fds);
    if (!fds)
        tool_die("no memory");
    for (unsigned i = 0; i < count; i++)
        fds[i] = datagrams_socket(o->client_netns, &at);
    struct relaynodes *nodes = relaynodes_new(count, fds, o->anchor_key, o->anchor);
    relaynodes_connect(nodes, (unsigned)o->load.count);
    printf("{\"mode\": \"hold\", \"held\": %llu, \"nodes\": %u}\n", (unsigned long long)o->load.count, count);
    fflush(stdout);
    relaynodes_keep(nodes, STDIN_FILENO);
    relaynodes_free(nodes);
    free(fds);
}

static void move(const struct options *o)
{
    struct stun_addr client_at = datagrams_parse(o->client), peer_at = datagrams_parse(o->peer);
    int fds[2] = {datagrams_socket(o->client_netns, &client_at), datagrams_socket(o->peer_netns, &peer_at)};
    struct relaynodes *nodes = relaynodes_new(2, fds, o->anchor_key, o->anchor);
    struct datagrams_end client = {.fd = fds[0]}, peer = {.fd = fds[1]};
    relaynodes_connect(nodes, 1);
    relaynodes_end(nodes, 0, 1, (size_t)o->load.size, &client);
    relaynodes_end(nodes, 1, 0, (size_t)o->load.size, &peer);
    errno = 0;
    if (strcmp(o->load.mode, "up") == 0)
        datagrams_bulk(&o->load, &client, &peer);
    else if (strcmp(o->load.mode, "down") == 0)
        datagrams_bulk(&o->load, &peer, &client);
    else if (strcmp(o->load.mode, "rtt") == 0)
        datagrams_rtt(&o->load, &client, &peer);
    else
        tool_die("no mode %s", o->load.mode);
    relaynodes_free(nodes);
}

int main(int argc, char **argv)
{
    struct options o = {
        .client = "0.0.0.0:0",
        .peer = "0.0.0.0:0",
        .load = {.size = 1350, .window = 128, .seconds = 3, .count = 2000, .burst = DATAGRAMS_BURST}};
    const struct tool_option table[] = {
        {"anchor", TOOL_TEXT, &o.anchor, "ADDRESS:PORT of the anchor"},
        {"anchor-key", TOOL_TEXT, &o.anchor_key, "its X25519 public key, base64"},
        {"client-netns", TOOL_TEXT, &o.client_netns, "where the first node is (-)"},
        {"client", TOOL_TEXT, &o.client, "its ADDRESS:PORT"},
        {"peer-netns", TOOL_TEXT, &o.peer_netns, "where the second node is (-)"},
        {"peer", TOOL_TEXT, &o.peer, "its ADDRESS:PORT"},
        {"size", TOOL_COUNT, &o.load.size, "of a datagram, without the frame's header (1350)"},
        {"window", TOOL_COUNT, &o.load.window, "datagrams on the way (128)"},
        {"burst", TOOL_COUNT, &o.load.burst, "datagrams in one sendmsg (32)"},
        {"seconds", TOOL_NUMBER, &o.load.seconds, "of up and down (3)"},
        {"count", TOOL_COUNT, &o.load.count, "of rtt, hold and keys (2000)"},
        {0},
    };
    int at = tool_options(argc, argv, "relayload [OPTIONS] keys|up|down|rtt|hold", table);
    errno = 0;
    if (argc - at != 1 || o.load.size < 64 || o.load.size > DATAGRAMS_SIZE_MAX ||
        o.load.window < DATAGRAMS_BURST || o.load.burst < 1 || o.load.burst > DATAGRAMS_BURST)
        tool_die("relayload [OPTIONS] keys|up|down|rtt|hold (--help)");
    o.load.mode = argv[at];
    if (strcmp(o.load.mode, "keys") == 0) {
        print_keys(o.load.count);
        return 0;
    }
    if (!o.anchor || !o.anchor_key)
        tool_die("--anchor and --anchor-key are needed");
    if (strcmp(o.load.mode, "hold") == 0)
        hold(&o);
    else
        move(&o);
    return 0;
}
