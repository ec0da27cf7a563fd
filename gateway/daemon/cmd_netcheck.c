/* SPDX-License-Identifier: MIT */
/* `netcheck`: what the network around this node lets through. The daemon is asked; where none runs, one is made for these few seconds that has the networks' ports and anchors and nothing
 * else. */
#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/netcheck.h"
#include "gateway/daemon/table.h"

#include <stdio.h>
#include <string.h>

/* ---- without a daemon */

struct alone {
    struct gw_daemon *daemon;
    json_t *answer;
};

static void on_done(json_t *answer, void *ctx)
{
    struct alone *alone = ctx;
    alone->answer = answer;
    gw_loop_stop(alone->daemon->loop);
}

static json_t *check_alone(struct gw_cmd_context *ctx, const char *name)
{
    struct alone alone = {.answer = NULL};
    struct gw_netcheck *check;
    struct gw_diag diag = {0};
    struct gw_logsink log;
    gw_logsink_init(&log);
    gw_logsink_use(&log);
    const struct gw_daemon_params params = {
        .dir = ctx->dir, .verbose = ctx->verbose, .log = &log, .is_check = true};
    if (gw_daemon_new(&alone.daemon, &params, &diag) != 0) {
        gw_cmd_print_diag(ctx, &diag);
        gw_diag_clear(&diag);
        return NULL;
    }
    gw_diag_clear(&diag);
    const struct gw_network *only = name ? gw_daemon_find_network(alone.daemon, name) : NULL;
    if (name && !only)
        gw_cmd_fail(ctx, "this node is in no network \"%s\"", name);
    else if (gw_netcheck_new(&check, alone.daemon, only, on_done, &alone) != 0)
        gw_cmd_fail(ctx, "out of memory");
    else
        gw_loop_run(alone.daemon->loop);
    gw_daemon_free(alone.daemon);
    return alone.answer;
}

/* ---- printing */

static const char *yes_no(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "unknown";
}

static void print_line(const char *what, const char *text)
{
    printf("  %-14s %s\n", what, text);
}

static const char *sentence(const json_t *network)
{
    static const struct {
        const char *verdict, *text;
    } table[] = {
        {"udp", "UDP works"},
        {"udp-blocked", "UDP is blocked: TCP gets through, UDP does not"},
        {"captive",
         "captive: something here answers for addresses that nobody has; log in to this network first"},
        {"no-answer",
         "nobody answers, by UDP or TCP: is this machine cut off, or are those who were asked down?"},
        {"not-running",
         "nobody listens where the anchors and STUN servers should be: their machines are reached, by UDP too, and say so"},
        {"offline", "offline: there is no default route"},
        {"nobody-to-ask", "unknown: there is nobody to ask; configure `anchors` or `stun`"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(gw_json_text(network, "verdict"), table[i].verdict) == 0)
            return table[i].text;
    }
    return "unknown";
}

static void print_family(const json_t *network, const char *key, const char *title)
{
    const json_t *family = json_object_get(network, key);
    const char *kind = gw_json_text(family, "kind"), *seen = gw_json_text(family, "observed");
    char text[256];
    if (json_array_size(json_object_get(family, "addresses")) == 0) {
        print_line(title, "no address");
        return;
    }
    if (*seen)
        snprintf(text, sizeof text, "seen at %s; NAT: %s%s%s", seen, yes_no(family, "nat"), *kind ? ", " : "",
                 kind);
    else
        snprintf(text, sizeof text, "%s",
                 json_is_true(json_object_get(family, "route")) ? "nobody said how it is seen from outside"
                                                                : "no default route");
    print_line(title, text);
    if (!json_is_number(json_object_get(family, "measured_s")))
        return;
    snprintf(text, sizeof text, "mapping %s, filtering %s, hairpin: %s", gw_json_text(family, "mapping"),
             gw_json_text(family, "filtering"), yes_no(family, "hairpin"));
    print_line("", text);
}

static void print_mapping(const json_t *network, const char *key, const char *title)
{
    const json_t *mapping = json_object_get(network, key);
    const char *protocol = gw_json_text(mapping, "protocol"), *reason = gw_json_text(mapping, "reason");
    char text[256];
    if (*protocol)
        snprintf(text, sizeof text, "%s, by %s", gw_json_text(mapping, "external"), protocol);
    else
        snprintf(text, sizeof text, "%s%s%s", gw_json_text(mapping, "state"), *reason ? ": " : "", reason);
    print_line(title, text);
    if (!*gw_json_text(mapping, "router"))
        return;
    if (!json_object_get(mapping, "upnp")) {
        snprintf(text, sizeof text, "router %s; PCP: %s", gw_json_text(mapping, "router"),
                 yes_no(mapping, "pcp"));
        print_line("", text);
        return;
    }
    snprintf(text, sizeof text, "router %s; PCP: %s, NAT-PMP: %s, UPnP: %s", gw_json_text(mapping, "router"),
             yes_no(mapping, "pcp"), yes_no(mapping, "nat_pmp"), yes_no(mapping, "upnp"));
    print_line("", text);
}

/* Where it was tried, or need not be. */
static void print_public(const json_t *network)
{
    const json_t *public = json_object_get(network, "public");
    const char *reason = gw_json_text(public, "reason");
    char text[256];
    if (strcmp(reason, "nat") == 0 || strcmp(reason, "unseen") == 0)
        return;
    snprintf(text, sizeof text, "%s: %s", gw_json_text(public, "address"),
             gw_anchor_setup_public_text(reason));
    print_line("from outside", text);
}

/* Anchors and STUN servers: who, how, how far. */
static void print_asked(const json_t *network, const char *list, const char *title, const char *name)
{
    const json_t *one;
    size_t i;
    char text[256], ms[GW_TEXT_LEN];
    json_array_foreach(json_object_get(network, list), i, one)
    {
        const json_t *rtt = json_object_get(one, "rtt_ms");
        const char *seen = gw_json_text(one, "observed");
        snprintf(text, sizeof text, "%s: %s%s%s%s%s", gw_json_text(one, name), gw_json_text(one, "state"),
                 json_is_number(rtt) ? ", " : "",
                 json_is_number(rtt) ? gw_text_ms(ms, json_number_value(rtt)) : "",
                 *seen ? ", sees us at " : "", seen);
        print_line(title, text);
    }
}

static void print_answer(const json_t *answer)
{
    const json_t *network;
    size_t i;
    json_array_foreach(json_object_get(answer, "networks"), i, network)
    {
        printf("%s%s%s: %s\n", gw_colour_on(GW_BOLD), gw_json_text(network, "network"), gw_colour_off(),
               sentence(network));
        print_family(network, "ipv4", "IPv4");
        print_family(network, "ipv6", "IPv6");
        print_public(network);
        print_mapping(network, "port_mapping", "port mapping");
        print_mapping(network, "pinhole", "IPv6 pinhole");
        print_asked(network, "stun", "STUN", "server");
        print_asked(network, "anchors", "anchor", "name");
    }
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    const char *name = NULL;
    const struct gw_cmd_option table[] = {{"--network", NULL, &name}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, table, 0, 0);
    if (status != GW_EXIT_OK)
        return status;
    bool is_alone = !gw_client_is_running(ctx);
    json_t *request = json_pack("{s:s,s:s*}", "command", "netcheck", "network", name);
    json_t *answer = is_alone ? check_alone(ctx, name) : gw_client_ask(ctx, json_incref(request));
    json_decref(request);
    if (!answer)
        return GW_EXIT_FAILED;
    if (!ctx->json)
        print_answer(answer);
    else if (is_alone) {
        json_object_set_new(answer, "ok", json_true());
        gw_client_print_json(ctx, answer);
    }
    json_decref(answer);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_netcheck = {
    .name = "netcheck",
    .summary = "say what the network around here lets through",
    .usage = "usage: peergate netcheck [--json] [--network NETWORK]\n\n"
             "Whether UDP works, IPv4 and IPv6, what kind of NAT there is, which protocols the\n"
             "router forwards ports by, and how far the anchors are. Works with and without a\n"
             "running daemon, and takes a few seconds. The NAT is measured by two anchors,\n"
             "or a server of `stun` that has two addresses.\n",
    .run = run,
};
