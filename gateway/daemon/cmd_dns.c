/* SPDX-License-Identifier: MIT */
/* `peergate dns doctor`: asks the daemon where its DNS server is, looks at the machine, says what is wrong. `peergate dns restore`: takes back what a daemon changed
 * in the machine and could not take back itself. */
#include "frontends/dns/doctor.h"
#include "gateway/config/dir.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/dns_system.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct daemon_dns {
    bool is_running, is_enabled, has_proxy;
    struct gw_addr own[GW_DNS_DOCTOR_SERVERS_MAX], upstreams[GW_DNS_DOCTOR_SERVERS_MAX];
    struct gw_dns_tun_server tun[GW_DNS_DOCTOR_SERVERS_MAX];
    unsigned own_count, upstream_count, tun_count;
    char name[GW_SYSDNS_NAME_MAX]; /* this node's own */
    struct gw_dns_system told;
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

/* {"address": "10.64.0.53:53", "routed": true} ... */
static unsigned take_tun(struct gw_dns_tun_server *out, const json_t *list)
{
    unsigned count = 0;
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (count == GW_DNS_DOCTOR_SERVERS_MAX ||
            gw_addr_parse(&out[count].address, gw_json_text(entry, "address")) != 0)
            continue;
        out[count++].is_routed = json_is_true(json_object_get(entry, "routed"));
    }
    return count;
}

static void take_system(struct gw_dns_system *out, const json_t *object)
{
    snprintf(out->state, sizeof out->state, "%s", gw_json_text(object, "state"));
    snprintf(out->mechanism, sizeof out->mechanism, "%s", gw_json_text(object, "mechanism"));
    snprintf(out->text, sizeof out->text, "%s", gw_json_text(object, "text"));
}

/* The control command "dns": {"ok": true, "enabled": true, "name": "laptop.demo.p2p", "listen": ["127.0.0.1:5300"], "tun": [],
 * "upstreams": [], "system": {"state": "applied", "mechanism": "resolved", "text": "..."}}. */
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
    out->has_proxy = json_is_true(json_object_get(answer, "socks"));
    out->own_count = take_addresses(out->own, json_object_get(answer, "listen"));
    out->tun_count = take_tun(out->tun, json_object_get(answer, "tun"));
    out->upstream_count = take_addresses(out->upstreams, json_object_get(answer, "upstreams"));
    snprintf(out->name, sizeof out->name, "%s", gw_json_text(answer, "name"));
    take_system(&out->told, json_object_get(answer, "system"));
    json_decref(answer);
    return true;
}

static enum gw_dns_grant grant_of(const json_t *list, const char *service)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        if (strcasecmp(gw_json_text(entry, "name"), service) == 0 &&
            !json_is_false(json_object_get(entry, "enabled")))
            return gw_json_int(entry, "port") > 0 ? GW_DNS_GRANTED : GW_DNS_BY_NAME;
    }
    return GW_DNS_NOT_GRANTED;
}

/* Which service the name says, and whether its host, which may have to be asked, has it for this node. */
static void look_at_service(struct gw_dns_wanted *out, const struct gw_cmd_context *ctx, const char *name)
{
    json_t *who = gw_client_ask_as_is(ctx, json_pack("{s:s,s:s}", "command", "resolve", "host", name));
    snprintf(out->service, sizeof out->service, "%s", gw_json_text(who, "service"));
    snprintf(out->host, sizeof out->host, "%s", gw_json_text(who, "canonical"));
    out->is_own = json_is_true(json_object_get(who, "is_self"));
    json_decref(who);
    if (!out->service[0])
        return;
    json_t *answer =
        gw_client_ask_as_is(ctx, json_pack("{s:s,s:s}", "command", "services", "host", out->host));
    const json_t *list = json_object_get(answer, "services");
    out->grant = json_is_array(list) ? grant_of(list, out->service) : GW_DNS_GRANT_UNKNOWN;
    if (out->grant == GW_DNS_GRANT_UNKNOWN)
        snprintf(out->problem, sizeof out->problem, "%s", gw_json_text(answer, "error"));
    json_decref(answer);
}

/* Granted, but could the virtual router listen at the address that the name has? */
static void look_at_router(struct gw_dns_wanted *out, const struct gw_cmd_context *ctx,
                           const struct gw_addr *address)
{
    const json_t *entry;
    struct gw_addr at;
    size_t i;
    if (out->grant != GW_DNS_GRANTED || !gw_addr_is_set(address))
        return;
    json_t *status = gw_client_ask_as_is(ctx, json_pack("{s:s}", "command", "status"));
    json_array_foreach(json_object_get(json_object_get(status, "virtual_router"), "services"), i, entry)
    {
        if (strcasecmp(gw_json_text(entry, "name"), out->service) != 0 ||
            gw_addr_parse(&at, gw_json_text(entry, "address")) != 0 || !gw_addr_same_ip(&at, address))
            continue;
        out->is_silent = json_is_false(json_object_get(entry, "listening"));
        snprintf(out->problem, sizeof out->problem, "%s", gw_json_text(entry, "advice"));
    }
    json_decref(status);
}

static int doctor(struct gw_cmd_context *ctx, const char *name)
{
    struct daemon_dns daemon = {0};
    struct gw_sysdns_facts facts;
    struct gw_dns_seen seen;
    struct gw_dns_report report;
    gw_sysdns_look(&facts, "");
    if (!ask_daemon(&daemon, ctx))
        return GW_EXIT_FAILED;
    struct gw_dns_look what = {.name = name ? name : daemon.name,
                               .is_running = daemon.is_running,
                               .is_enabled = daemon.is_enabled,
                               .own = daemon.own,
                               .own_count = daemon.own_count,
                               .tun = daemon.tun,
                               .tun_count = daemon.tun_count,
                               .upstreams = daemon.upstreams,
                               .upstream_count = daemon.upstream_count,
                               .told = daemon.told,
                               .has_nss_resolve = facts.has_nss_resolve,
                               .has_proxy = daemon.has_proxy};
    gw_dns_doctor_look(&seen, &what);
    if (name && daemon.is_enabled) {
        look_at_service(&seen.wanted, ctx, name);
        look_at_router(&seen.wanted, ctx, &seen.name_v4.address);
    }
    gw_dns_doctor_judge(&report, &seen);
    if (ctx->json) {
        json_t *object = gw_dns_report_json(&report);
        gw_client_print_json(ctx, object);
        json_decref(object);
    } else {
        gw_dns_report_print(&report, stdout);
    }
    return gw_dns_report_is_good(&report) ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int restore(struct gw_cmd_context *ctx)
{
    char journal[GW_DIR_PATH_MAX], text[GW_SYSDNS_TEXT_MAX];
    if (!gw_cmd_path(ctx, GW_DIR_STATE "/" GW_DNS_SYSTEM_JOURNAL, journal, sizeof journal))
        return gw_cmd_fail(ctx, "the path %s is too long", ctx->dir);
    enum gw_sysdns_restored restored =
        gw_client_is_running(ctx) ? GW_SYSDNS_BUSY : gw_sysdns_restore(journal, text);
    if (restored == GW_SYSDNS_BUSY)
        return gw_cmd_fail(ctx,
                           "a daemon is running for %s, and takes back what it has changed when it ends\n"
                           "End it with `peergate --dir %s down`, or set `dns.system: off` and reload.",
                           ctx->dir, ctx->dir);
    if (restored == GW_SYSDNS_DAMAGED || restored == GW_SYSDNS_STUCK)
        return gw_cmd_fail(ctx, "%s", text);
    const char *said = restored == GW_SYSDNS_NOTHING ? "nothing is changed" : text;
    if (ctx->json)
        printf("{\"ok\": true, \"restored\": %s}\n", restored == GW_SYSDNS_NOTHING ? "false" : "true");
    else
        puts(said);
    return GW_EXIT_OK;
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 1, 2);
    if (status != GW_EXIT_OK)
        return status;
    if (strcmp(argv[1], "restore") == 0 && argc == 2)
        return restore(ctx);
    if (strcmp(argv[1], "doctor") != 0)
        return gw_cmd_usage_error(ctx, "expected doctor or restore, found \"%s\"", argv[1]);
    return doctor(ctx, argc > 2 ? argv[2] : NULL);
}

const struct gw_command gw_cmd_dns = {
    .name = "dns",
    .summary = "find out what answers for our names, and why one fails",
    .usage = "usage: peergate dns doctor [NAME] [--json]\n"
             "       peergate dns restore [--json]\n\n"
             "doctor asks our DNS server (in the TUN as well), the servers in resolv.conf and the\n"
             "upstreams, by UDP and TCP, and the C library for NAME (this node's own, or\n"
             "web.home.demo.p2p: then also home, whether this node may use its web); says who\n"
             "answers, who doesn't, and what to do. Exit status 1 when something is wrong.\n\n"
             "restore takes back what `dns.system` changed in this machine, when the daemon\n"
             "was killed and is not to be started again (its next start does the same).\n",
    .run = run,
};
