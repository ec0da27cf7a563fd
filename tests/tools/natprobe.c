/* SPDX-License-Identifier: MIT */
/* What kind of NAT is there, seen from inside (RFC 5780): mapping, filtering, how ports are given out, hairpin, how long a session lives, and whether UDP and
 * TCP get through at all. And the server that it takes, with two addresses and two ports; coturn will do too.
 *
 *   natprobe --serve 9.9.9.9 9.9.9.10          natprobe --server 9.9.9.9:3478
 *
 *   {"udp": true, "tcp": true, "nat": true, "mapping": "independent", "filtering": "address-port", "ports": "preserve", ...} */
#include <errno.h>

#include "tests/tools/natprobe.h"
#include "tests/tools/tool.h"

int main(int argc, char **argv)
{
    struct natprobe_options o = {.sockets = 8, .timeout_ms = 300};
    bool serve = false;
    uint64_t port = STUN_PORT;
    const struct tool_option table[] = {
        {"serve", TOOL_FLAG, &serve, "be the server, at two addresses (or four: two of each family)"},
        {"port", TOOL_COUNT, &port, "the server's first (3478)"},
        {"server", TOOL_TEXT, &o.server, "ADDRESS:PORT of the server"},
        {"alive", TOOL_FLAG, &o.alive,
         "only: does a session live through --quiet, having talked for --talk?"},
        {"quiet", TOOL_COUNT, &o.quiet_ms, "in ms"},
        {"talk", TOOL_COUNT, &o.talk_ms, "in ms"},
        {"stranger", TOOL_FLAG, &o.stranger,
         "only: does a stranger's packet that comes first spoil the port?"},
        {"sockets", TOOL_COUNT, &o.sockets, "whose ports are compared (8)"},
        {"timeout", TOOL_COUNT, &o.timeout_ms, "of each of three tries, in ms (300)"},
        {0},
    };
    int at = tool_options(argc, argv, "natprobe --server ADDRESS:PORT | --serve ADDRESS ADDRESS", table);

    errno = 0;
    if (serve)
        natprobe_serve((unsigned)port, argc - at, argv + at);
    else if (o.server && at == argc)
        return natprobe_measure(&o);
    else
        tool_die("--server or --serve? (--help)");
    return 0;
}
