/* SPDX-License-Identifier: MIT */
/* `status` and `peers`: what the daemon is and whom it reaches, for people or as JSON. */
#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/table.h"

#include <stdio.h>
#include <string.h>

/* Names of peers come from our own files, but what is in them may be anything. */
static const char *name_of(const json_t *peer)
{
    const char *name = gw_json_text(peer, "name");
    return *name ? name : gw_json_text(peer, "hello_name");
}

/* Where one name may be in two networks, with its network behind it. */
static void name_cell(struct gw_table_row *row, unsigned *column, const json_t *peer, bool are_several)
{
    const char *network = gw_json_text(peer, "network");
    gw_table_cell(row, column, GW_BOLD, "%s%s%s", name_of(peer), are_several ? "." : "",
                  are_several ? network : "");
}

/* What the configuration says of the path, where it says anything. */
static const char *policy_note(const json_t *peer)
{
    const char *policy = gw_json_text(peer, "path_policy");
    return strcmp(policy, "direct") == 0  ? " (direct only)"
           : strcmp(policy, "relay") == 0 ? " (relay only)"
                                          : "";
}

static void add_peer(struct gw_table *table, const json_t *peer, bool are_several)
{
    const json_t *path = json_object_get(peer, "path"), *rtt = json_object_get(peer, "rtt_ms");
    struct gw_table_row *row = gw_table_add(table);
    const char *address = gw_json_text(peer, "here");
    char text[GW_TEXT_LEN];
    unsigned column = 0;
    if (!row)
        return;
    if (!*address) /* of packets: the proxy, `nc` and `forward` understand it */
        address = gw_json_text(peer, "ipv4");
    name_cell(row, &column, peer, are_several);
    enum gw_colour colour;
    const char *word = gw_json_state_word(peer, &colour);
    gw_table_cell(row, &column, colour, "%s", word);
    gw_table_cell(row, &column, GW_PLAIN, "%s", gw_text_seconds(text, gw_json_real(peer, "since_s")));
    gw_table_cell(row, &column, GW_PLAIN, "%s",
                  strcmp(gw_json_text(peer, "protocol"), "unknown") ? gw_json_text(peer, "protocol") : "");
    gw_table_cell(row, &column, GW_PLAIN, "%s", json_is_object(path) ? gw_json_text(peer, "seal") : "");
    if (json_is_object(path))
        gw_table_cell(row, &column, GW_PLAIN, "%s %s%s", gw_json_path_kind(path),
                      gw_json_text(path, "endpoint"), policy_note(peer));
    else
        column++;
    gw_table_cell(row, &column, GW_PLAIN, "%s",
                  json_is_number(rtt) ? gw_text_ms(text, json_number_value(rtt)) : "");
    gw_table_cell(row, &column, GW_PLAIN, "%s", gw_text_bytes(text, gw_json_real(peer, "bytes_sent")));
    gw_table_cell(row, &column, GW_PLAIN, "%s", gw_text_bytes(text, gw_json_real(peer, "bytes_received")));
    gw_table_cell(row, &column, GW_PLAIN, "%d", (int)gw_json_int(json_object_get(peer, "flows"), "open"));
    gw_table_cell(row, &column, GW_PLAIN, "%s", address);
}

/* Why nothing passes to a peer that is connected. */
static void print_seal(const json_t *peer)
{
    const json_t *conflict = json_object_get(peer, "seal_conflict");
    if (json_is_object(conflict))
        printf("%s: %s\n", name_of(peer), gw_json_text(conflict, "text"));
}

static void print_shut_out(const json_t *peer)
{
    const json_t *shut_out = json_object_get(peer, "shut_out");
    if (json_is_object(shut_out))
        printf("%s: %s; there, `peergate authorize` and `reload` would let it in\n", name_of(peer),
               gw_json_text(shut_out, "text"));
}

/* Why a peer that is there does not connect. */
static void print_clock(const json_t *peer)
{
    char text[GW_TEXT_LEN];
    double behind = gw_json_real(peer, "clock_behind_s");
    if (behind > 0)
        printf(
            "%s: %d of its handshakes were refused as replays: its clock is %s behind what it was; set it right there\n",
            name_of(peer), (int)gw_json_int(peer, "refused_as_replay"), gw_text_seconds(text, behind));
}

static void print_peers(const json_t *answer)
{
    static const char *const headers[] = {"PEER", "STATE", ">SINCE",    "PROTOCOL", "SEAL",    "PATH",
                                          ">RTT", ">SENT", ">RECEIVED", ">FLOWS",   "ADDRESS", NULL};
    struct gw_table table = {.headers = headers};
    const json_t *peer, *list = json_object_get(answer, "peers");
    bool are_several = gw_json_are_of_several(answer);
    size_t i;
    json_array_foreach(list, i, peer) add_peer(&table, peer, are_several);
    if (table.count > 0)
        gw_table_print(&table);
    else
        printf("no peers: write them into config.yaml, or let them in with `peergate authorize`\n");
    json_array_foreach(json_object_get(answer, "peers"), i, peer)
    {
        print_seal(peer);
        print_shut_out(peer);
        print_clock(peer);
    }
    json_array_foreach(json_object_get(answer, "refused_peers"), i, peer)
        printf("%s: is refused like a stranger: it %s (authorized_keys)\n", name_of(peer),
               gw_json_text(json_object_get(peer, "reason"), "text"));
    gw_table_free(&table);
}

static void print_services(const json_t *answer)
{
    static const char *const headers[] = {"SERVICE",       "NETWORK", "PROTOCOL", ">PORT",
                                          "LOCAL ADDRESS", "USE",     NULL};
    struct gw_table table = {.headers = headers};
    const json_t *service, *list = json_object_get(answer, "services");
    bool are_several = gw_json_are_of_several(answer);
    size_t i;
    json_array_foreach(list, i, service)
    {
        struct gw_table_row *row = gw_table_add(&table);
        unsigned column = 0;
        if (!row)
            break;
        gw_table_cell(row, &column, GW_BOLD, "%s", gw_json_text(service, "name"));
        gw_table_cell(row, &column, GW_PLAIN, "%s", are_several ? gw_json_text(service, "network") : "");
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(service, "protocol"));
        gw_table_cell(row, &column, GW_PLAIN, "%d", (int)gw_json_int(service, "port"));
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(service, "local_address"));
        if (json_is_true(json_object_get(service, "enabled")))
            gw_table_cell(row, &column, GW_PLAIN, "%d open, %lld in all",
                          (int)gw_json_int(service, "flows_open"),
                          (long long)gw_json_int(service, "flows_total"));
        else
            gw_table_cell(row, &column, GW_DIM, "disabled");
    }
    if (table.count > 0) {
        putchar('\n');
        gw_table_print(&table);
    }
    gw_table_free(&table);
}

/* What of the virtual router a person should know: how much of it is there, and what is in the way of the rest. */
static void print_router(const json_t *router)
{
    const json_t *services = json_object_get(router, "services"), *service;
    size_t i, listening = 0;
    if (!json_is_object(router))
        return;
    json_array_foreach(services, i, service) listening += json_is_true(json_object_get(service, "listening"));
    printf("\nvirtual router: %zu of %zu services of peers are here\n", listening, json_array_size(services));
    json_array_foreach(services, i, service)
    {
        if (!json_is_true(json_object_get(service, "listening")))
            printf("  %s of %s is not at %s: %s\n", gw_json_text(service, "name"),
                   gw_json_text(service, "peer"), gw_json_text(service, "address"),
                   gw_json_text(service, "advice"));
    }
}

/* One line of what it is and moved; one of what was dropped, if anything was. */
static void print_tun(const json_t *tun)
{
    json_t *drops = json_object_get(tun, "drops"), *value;
    const json_t *item;
    char in[GW_TEXT_LEN], out[GW_TEXT_LEN];
    const char *reason, *comma = "";
    size_t i;
    if (!json_is_object(tun))
        return;
    printf("\ninterface %s, MTU %d:", gw_json_text(tun, "name"), (int)gw_json_int(tun, "mtu"));
    json_array_foreach(json_object_get(tun, "addresses"), i, item)
        printf("%s %s", i ? "," : "", json_string_value(item));
    printf("\n  from this machine %s in %lld packets and bursts, to it %s in %lld; offload:",
           gw_text_bytes(out, gw_json_real(tun, "bytes_read")), (long long)gw_json_int(tun, "packets_read"),
           gw_text_bytes(in, gw_json_real(tun, "bytes_written")),
           (long long)gw_json_int(tun, "packets_written"));
    json_array_foreach(json_object_get(tun, "offload"), i, item) printf(" %s", json_string_value(item));
    printf("%s\n", json_array_size(json_object_get(tun, "offload")) ? "" : " none");
    json_object_foreach(drops, reason, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        printf("%s%s %lld", *comma ? comma : "  dropped: ", reason, (long long)json_integer_value(value));
        comma = ", ";
    }
    if (*comma)
        putchar('\n');
}

/* "home.demo  12D3KooW...", and where it listens. */
static void print_network(const json_t *network, const char *separator)
{
    const char *host = gw_json_text(network, "hostname"), *name = gw_json_text(network, "network");
    const char *peer_id = gw_json_text(network, "peer_id");
    printf("%s%s%s%s%s  %s%sUDP port %d", gw_colour_on(GW_BOLD), *host ? host : "this node", *name ? "." : "",
           name, gw_colour_off(), *peer_id ? peer_id : gw_json_text(network, "public_key"), separator,
           (int)gw_json_int(network, "port"));
    if (!json_is_true(json_object_get(network, "ipv6")))
        printf(" (IPv4 only)");
}

static void print_self(const json_t *answer)
{
    char text[GW_TEXT_LEN];
    const json_t *networks = json_object_get(answer, "networks"), *network, *proxy, *server;
    bool are_several = gw_json_are_of_several(answer);
    size_t i;
    json_array_foreach(networks, i, network)
    {
        print_network(network, are_several ? "  " : "\n");
        if (are_several)
            putchar('\n');
    }
    const char *comma = are_several ? "" : ", ";
    json_array_foreach(json_object_get(answer, "proxies"), i, proxy)
    {
        printf("%sproxy %s", comma, json_string_value(proxy));
        comma = ", ";
    }
    json_array_foreach(json_object_get(json_object_get(answer, "dns"), "listen"), i, server)
    {
        printf("%sDNS %s", comma, json_string_value(server));
        comma = ", ";
    }
    const json_t *system = json_object_get(json_object_get(answer, "dns"), "system");
    if (strcmp(gw_json_text(system, "state"), "applied") == 0)
        printf(" (%s)", gw_json_text(system, "mechanism"));
    if (json_array_size(json_object_get(answer, "lanes")) > 0) {
        printf("%slanes: %zu", comma, json_array_size(json_object_get(answer, "lanes")));
        comma = ", ";
    }
    printf("%sup for %s, version %s\n\n", comma, gw_text_seconds(text, gw_json_real(answer, "uptime_s")),
           gw_json_text(answer, "version"));
}

/* Of each network with `role: auto` where that comes to nothing. */
static void print_no_anchor(const json_t *answer)
{
    const json_t *network;
    size_t i;
    json_array_foreach(json_object_get(answer, "networks"), i, network)
    {
        const json_t *public = json_object_get(network, "public");
        const char *at = gw_json_text(public, "address");
        if (strcmp(gw_json_text(public, "role"), "auto") == 0 &&
            !json_is_true(json_object_get(public, "reachable")))
            printf("\nthis node is no anchor (role: auto): %s%s%s%s\n",
                   gw_anchor_setup_public_text(gw_json_text(public, "reason")), *at ? " (" : "", at,
                   *at ? ")" : "");
    }
}

/* The anchors that are used, and what this node does as one. */
static void print_anchors(const json_t *answer)
{
    const json_t *serving = json_object_get(answer, "anchor"), *anchor;
    char text[GW_TEXT_LEN];
    size_t i;
    if (json_array_size(json_object_get(answer, "anchors")) > 0)
        putchar('\n');
    json_array_foreach(json_object_get(answer, "anchors"), i, anchor)
    {
        const json_t *observed = json_object_get(anchor, "observed");
        const char *kind = json_is_true(json_object_get(anchor, "neighbour")) ? "neighbour" : "anchor";
        const char *state = gw_json_text(anchor, "state");
        bool is_there = strcmp(state, "unreachable") != 0 && strcmp(state, "connecting") != 0;
        printf("%s %s: %s", kind, gw_json_text(anchor, "name"), state);
        if (is_there)
            printf(", %d peer%s may be found through it", (int)gw_json_int(anchor, "peers"),
                   gw_json_int(anchor, "peers") == 1 ? "" : "s");
        if (strcmp(gw_json_text(anchor, "transport"), "tls") == 0)
            printf("; by TLS, since it does not answer by UDP");
        else if (json_is_string(observed))
            printf("; it sees us at %s", json_string_value(observed));
        putchar('\n');
    }
    if (json_is_object(serving))
        printf("\nthis node %s: %d clients, %d channels, %s relayed\n",
               json_is_true(json_object_get(serving, "is_anchor")) ? "is an anchor"
                                                                   : "relays between its peers",
               (int)gw_json_int(serving, "clients"), (int)gw_json_int(serving, "channels"),
               gw_text_bytes(text, gw_json_real(serving, "relayed_bytes")));
    print_no_anchor(answer);
}

/* The command with the network that was asked for, if one was. */
static int ask(struct gw_cmd_context *ctx, int argc, char **argv, json_t **answer)
{
    const char *network = NULL;
    const struct gw_cmd_option options[] = {{"--network", NULL, &network}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 0, 0);
    if (status != GW_EXIT_OK)
        return status;
    json_t *request = json_pack("{s:s}", "command", ctx->command->name);
    if (network)
        json_object_set_new(request, "network", json_string(network));
    *answer = gw_client_ask(ctx, request);
    return *answer ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int run_status(struct gw_cmd_context *ctx, int argc, char **argv)
{
    json_t *answer;
    int status = ask(ctx, argc, argv, &answer);
    if (status != GW_EXIT_OK)
        return status;
    if (!ctx->json) {
        print_self(answer);
        print_peers(answer);
        print_services(answer);
        print_tun(json_object_get(answer, "tun"));
        print_anchors(answer);
        print_router(json_object_get(answer, "virtual_router"));
    }
    json_decref(answer);
    return GW_EXIT_OK;
}

static int run_peers(struct gw_cmd_context *ctx, int argc, char **argv)
{
    json_t *answer;
    int status = ask(ctx, argc, argv, &answer);
    if (status != GW_EXIT_OK)
        return status;
    if (!ctx->json)
        print_peers(answer);
    json_decref(answer);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_status = {
    .name = "status",
    .summary = "say what the daemon is doing",
    .usage = "usage: peergate status [--network NAME] [--json]\n\n"
             "This node, its peers (state, protocol, seal, path, round trip time, bytes) and its\n"
             "services. With --json everything that is counted, too.\n"
             "ADDRESS: where this machine's programs reach the peer; with neither a TUN nor a\n"
             "virtual router only `nc`, `forward` and the proxy's clients know it.\n",
    .run = run_status,
};

const struct gw_command gw_cmd_peers = {
    .name = "peers",
    .summary = "list the peers",
    .usage = "usage: peergate peers [--network NAME] [--json]\n\n"
             "The peers of config.yaml and authorized_keys, and how each is reached.\n",
    .run = run_peers,
};
