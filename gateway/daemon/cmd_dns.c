/* SPDX-License-Identifier: MIT */
/* `peergate dns doctor`: asks the daemon where its DNS server is, looks at the machine, says what is wrong. */
#include "frontends/dns/doctor.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"

#include <string.h>

struct daemon_dns {
    bool is_running, is_enabled;
    struct gw_addr own[GW_DNS_DOCTOR_SERVERS_MAX], upstreams[GW_DNS_DOCTOR_SERVERS_MAX];
    unsigned own_count, upstream_count;
};

/* "127.0.0.1:5300" ... of a JSON array. An address that stands for all is asked at loopback. */
static unsigned take_addresses(struct gw_addr *out, const json_t *list)
{
    unsigned count = 0;
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (count == GW_DNS_DOCTOR_SERVERS_MAX || !json_is_string(entry) ||
            gw_addr_parse(&out[count], json_string_value(entry)) != 0)
            continue;
        if (gw_addr_is_unspecified(&out[count]))
            gw_addr_parse_ip(&out[count], out[count].family == 4 ? "127.0.0.1" : "::1", out[count].port);
        count++;
    }
    return count;
}

/* The control command "dns": {"ok": true, "enabled": true, "listen": ["127.0.0.1:5300"], "upstreams": []}. */
static bool ask_daemon(struct daemon_dns *out, const struct gw_cmd_context *ctx)
{
    struct gw_client client;
    out->is_running = gw_client_is_running(ctx);
    if (!out->is_running)
        return true;
    if (!gw_client_open(&client, ctx))
        return false;
    json_t *answer =
        gw_client_send(&client, json_pack("{s:s}", "command", "dns")) ? gw_client_receive_ok(&client) : NULL;
    gw_client_close(&client);
    if (!answer)
        return false;
    out->is_enabled = json_is_true(json_object_get(answer, "enabled"));
    out->own_count = take_addresses(out->own, json_object_get(answer, "listen"));
    out->upstream_count = take_addresses(out->upstreams, json_object_get(answer, "upstreams"));
    json_decref(answer);
    return true;
}

static int doctor(struct gw_cmd_context *ctx, const char *name)
{
    struct daemon_dns daemon = {0};
    struct gw_dns_seen seen;
    struct gw_dns_report report;
    if (!ask_daemon(&daemon, ctx))
        return GW_EXIT_FAILED;
    struct gw_dns_look what = {.name = name,
                               .is_running = daemon.is_running,
                               .is_enabled = daemon.is_enabled,
                               .own = daemon.own,
                               .own_count = daemon.own_count,
                               .upstreams = daemon.upstreams,
                               .upstream_count = daemon.upstream_count};
    gw_dns_doctor_look(&seen, &what);
    gw_dns_doctor_judge(&report, &seen);
    if (ctx->json) {
        json_t *object = gw_dns_report_json(&report);
        gw_client_print_json(object);
        json_decref(object);
    } else {
        gw_dns_report_print(&report, stdout);
    }
    return gw_dns_report_is_good(&report) ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 1, 2);
    if (status != GW_EXIT_OK)
        return status;
    if (strcmp(argv[1], "doctor") != 0)
        return gw_cmd_usage_error(ctx, "expected doctor, found \"%s\"", argv[1]);
    return doctor(ctx, argc > 2 ? argv[2] : NULL);
}

const struct gw_command gw_cmd_dns = {
    .name = "dns",
    .summary = "find out what answers for our names, and why one fails",
    .usage = "usage: peergate dns doctor [NAME] [--json]\n\n"
             "Asks our DNS server, the servers in resolv.conf and the upstreams, by UDP and\n"
             "TCP, and the C library for NAME (web.home.demo.p2p); says who answers, who\n"
             "doesn't, and what to do. Exit status 1 when something is wrong.\n",
    .run = run,
};
