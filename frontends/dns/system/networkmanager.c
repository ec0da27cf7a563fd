/* SPDX-License-Identifier: MIT */
/* NetworkManager by D-Bus (org.freedesktop.NetworkManager(5)). What it can do depends on what it does with DNS itself, so that is asked first:
 *
 *   systemd-resolved   nothing is to be done here: resolved.c does it
 *   dnsmasq            it reads a file of ours: names below our domains go to our server, at any port; nothing else changes
 *   default            its global configuration: every name goes to us, and it stays when the machine restarts; only for who asks for it by name */
#include "frontends/dns/system/bus.h"
#include "frontends/dns/system/etc_file.h"
#include "frontends/dns/system/mechanism.h"
#include "frontends/dns/system/nm_dnsmasq.h"
#include "frontends/dns/system/nm_global.h"
#include "frontends/dns/system/nm_servers.h"
#include "frontends/dns/system/resolv_conf.h"
#include "gateway/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "org.freedesktop.NetworkManager"
#define PATH "/org/freedesktop/NetworkManager"
#define INTERFACE "org.freedesktop.NetworkManager"
#define DNS_PATH PATH "/DnsManager"
#define DNS_INTERFACE INTERFACE ".DnsManager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define RELOAD_DNS_PLUGIN 4u /* starts dnsmasq again */

struct networkmanager {
    struct gw_sysdns_job *job;
    struct gw_bus *bus;
    char servers[GW_NM_SERVERS_LEN]; /* what the global configuration is to say */
    bool is_looking;                 /* an answer of gw_nm_servers_get is to come */
};

static enum gw_sysdns_rank rank(const struct gw_sysdns_facts *facts)
{
    if (facts->is_by_networkmanager || strstr(facts->link, "NetworkManager/"))
        return GW_SYSDNS_IN_CHARGE;
    return facts->has_networkmanager ? GW_SYSDNS_THERE : GW_SYSDNS_ABSENT;
}

static void stop(struct gw_sysdns_job *job)
{
    struct networkmanager *nm = job->state;
    job->state = NULL;
    if (!nm)
        return;
    gw_bus_close(nm->bus);
    free(nm);
}

static void on_lost(void *ctx)
{
    struct networkmanager *nm = ctx;
    gw_bus_close(nm->bus);
    nm->bus = NULL;
    if (!nm->job->is_done)
        gw_sysdns_finish(nm->job, -ECONNRESET, "the system bus (D-Bus) hung up");
}

static int start(struct gw_sysdns_job *job)
{
    struct networkmanager *nm = calloc(1, sizeof *nm);
    job->state = nm;
    if (!nm)
        return GW_E_NOMEM;
    nm->job = job;
    return gw_bus_open(&nm->bus, job->base, on_lost, nm, job->text, sizeof job->text);
}

static void fail(struct networkmanager *nm, const sd_bus_error *error)
{
    if (gw_bus_is_absence(error))
        gw_sysdns_finish(nm->job, -ENOENT, "NetworkManager does not run");
    else if (gw_bus_is_silence(error))
        gw_sysdns_finish(nm->job, GW_E_TIMEOUT, "NetworkManager does not answer");
    else
        gw_sysdns_finish(nm->job, -EPROTO, "NetworkManager refuses: %s",
                         error->message ? error->message
                         : error->name  ? error->name
                                        : "?");
}

static void ask(struct networkmanager *nm, sd_bus_message *message, sd_bus_message_handler_t fn)
{
    int err = gw_bus_call(nm->bus, message, fn, nm);
    if (err != 0)
        gw_sysdns_finish(nm->job, err, "cannot ask NetworkManager: %s", gw_strerror(err));
}

/* ---- dnsmasq */

static int on_dnsmasq_started(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    const sd_bus_error *error = nm->bus->sd->message_get_error(answer);
    (void)unused;
    if (error)
        fail(nm, error);
    else
        gw_sysdns_finish(
            nm->job, 0, "NetworkManager's dnsmasq sends names below %s to us%s", nm->job->wish->domains[0],
            nm->job->wish->search_count ? "; bare names it cannot: set ipv4.dns-search of a connection" : "");
    return 0;
}

static void reload(struct networkmanager *nm, sd_bus_message_handler_t fn)
{
    sd_bus_message *call = gw_bus_message(nm->bus, NAME, PATH, INTERFACE, "Reload");
    if (call)
        nm->bus->sd->message_append(call, "u", RELOAD_DNS_PLUGIN);
    ask(nm, call, fn);
}

static void use_dnsmasq(struct networkmanager *nm)
{
    char why[320];
    int err = gw_nm_dnsmasq_write(nm->job);
    if (err != 0)
        gw_sysdns_finish(nm->job, err, "%s", gw_etc_file_explain(GW_NM_DNSMASQ_FOLDER, err, why, sizeof why));
    else
        reload(nm, on_dnsmasq_started);
}

/* ---- apply */

static int on_global_set(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    const sd_bus_error *error = nm->bus->sd->message_get_error(answer);
    (void)unused;
    if (error)
        fail(nm, error);
    else
        gw_sysdns_finish(nm->job, 0, "NetworkManager sends every name to us (its global DNS configuration)");
    return 0;
}

static int on_global(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    char there[GW_NM_SERVERS_LEN];
    const sd_bus_error *error = nm->bus->sd->message_get_error(answer);
    (void)unused;
    if (error) {
        fail(nm, error);
        return 0;
    }
    if (gw_nm_global_read(nm->bus, answer, there)) {
        gw_sysdns_finish(nm->job, -EEXIST,
                         "NetworkManager has a global DNS configuration already: it is left");
        return 0;
    }
    nm->job->record.is_global = true;
    gw_sysdns_hash(nm->job->record.hash, nm->servers, strlen(nm->servers));
    int err = nm->job->write_journal(nm->job);
    if (err != 0)
        nm->job->on_done(nm->job, err);
    else
        ask(nm, gw_nm_global_set(nm->bus, nm->servers, nm->job->wish), on_global_set);
    return 0;
}

static void use_global(struct networkmanager *nm, const char *mode)
{
    const struct gw_sysdns_wish *wish = nm->job->wish;
    if (wish->is_auto) {
        gw_sysdns_finish(
            nm->job, -EOPNOTSUPP,
            "NetworkManager (dns=%s) cannot send some names to us and leave the others: set dns=systemd-resolved or "
            "dns=dnsmasq in NetworkManager.conf, or `dns.system: networkmanager` to let us answer all",
            mode);
        return;
    }
    if (!gw_sysdns_plain_server(nm->job, "NetworkManager")) {
        nm->job->on_done(nm->job, GW_E_INVAL);
        return;
    }
    gw_nm_global_servers(nm->servers, wish);
    ask(nm, gw_nm_global_get(nm->bus), on_global);
}

static int on_mode(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    const struct gw_sd_bus *sd = nm->bus->sd;
    const sd_bus_error *error = sd->message_get_error(answer);
    const char *mode = "?";
    (void)unused;
    if (error) {
        fail(nm, error);
        return 0;
    }
    sd->message_read(answer, "v", "s", &mode);
    if (strcmp(mode, "systemd-resolved") == 0) {
        nm->job->instead = GW_SYSDNS_RESOLVED;
        gw_sysdns_finish(nm->job, -EXDEV, "NetworkManager leaves names to systemd-resolved");
    } else if (strcmp(mode, "dnsmasq") == 0) {
        use_dnsmasq(nm);
    } else {
        use_global(nm, mode);
    }
    return 0;
}

static void apply(struct gw_sysdns_job *job)
{
    snprintf(job->record.device, sizeof job->record.device, "%s", job->wish->device);
    int err = start(job);
    if (err != 0) {
        job->on_done(job, err);
        return;
    }
    struct networkmanager *nm = job->state;
    sd_bus_message *call = gw_bus_message(nm->bus, NAME, DNS_PATH, PROPERTIES, "Get");
    if (call)
        nm->bus->sd->message_append(call, "ss", DNS_INTERFACE, "Mode");
    ask(nm, call, on_mode);
}

/* ---- undo */

static int on_undone(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    const sd_bus_error *error = nm->bus->sd->message_get_error(answer);
    (void)unused;
    /* Without NetworkManager there is none that has read our file; its configuration, though, it keeps on disk. */
    if (error && (nm->job->record.is_global || !gw_bus_is_absence(error)))
        fail(nm, error);
    else
        gw_sysdns_finish(nm->job, 0, "NetworkManager no longer knows of us");
    return 0;
}

static int on_global_to_undo(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    char there[GW_NM_SERVERS_LEN], hash[GW_SYSDNS_HASH_LEN + 1];
    const sd_bus_error *error = nm->bus->sd->message_get_error(answer);
    (void)unused;
    if (error) {
        fail(nm, error);
        return 0;
    }
    bool is_any = gw_nm_global_read(nm->bus, answer, there);
    gw_sysdns_hash(hash, there, strlen(there));
    /* None may mean that ours is still on its way: NetworkManager answers questions while it sees who asked for a change, and whoever asked
     * may have been told to end meanwhile, or killed. Changes it makes in their order. */
    if (!is_any || strcmp(hash, nm->job->record.hash) == 0)
        ask(nm, gw_nm_global_set(nm->bus, "", NULL), on_undone);
    else
        gw_sysdns_finish(nm->job, 0, "NetworkManager's global DNS configuration is not ours: left as it is");
    return 0;
}

static void undo(struct gw_sysdns_job *job)
{
    char why[320];
    int err = job->record.is_global ? 0 : gw_nm_dnsmasq_remove(&job->record);
    if (err != 0) {
        gw_sysdns_finish(job, err, "%s", gw_etc_file_explain(GW_NM_DNSMASQ_FOLDER, err, why, sizeof why));
        return;
    }
    err = start(job);
    struct networkmanager *nm = job->state;
    if (err != 0 && !job->record.is_global && err != GW_E_NOMEM) {
        gw_sysdns_finish(job, 0, "NetworkManager's dnsmasq has no file of ours any more");
        return;
    }
    if (err != 0)
        job->on_done(job, err);
    else if (job->record.is_global)
        ask(nm, gw_nm_global_get(nm->bus), on_global_to_undo);
    else
        reload(nm, on_undone);
}

/* ---- whom it would ask */

static int on_servers(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct networkmanager *nm = ctx;
    struct gw_addr servers[GW_SYSDNS_OLD_MAX];
    (void)unused;
    nm->is_looking = false;
    if (nm->bus->sd->message_get_error(answer))
        return 0;
    unsigned count = gw_nm_servers_read(nm->bus, answer, servers);
    if (count > 0)
        nm->job->use_old(nm->job, servers, count);
    return 0;
}

/* Before the change its resolv.conf says so; then that names us, and it is asked itself. */
static unsigned old_servers(struct gw_sysdns_job *job, struct gw_addr *out)
{
    struct networkmanager *nm = job->state;
    if (!job->is_done)
        return gw_resolv_conf_read_servers("/etc/resolv.conf", out, 0);
    if (nm->bus && job->record.is_global && !nm->is_looking)
        nm->is_looking = gw_bus_call(nm->bus, gw_nm_servers_get(nm->bus), on_servers, nm) == 0;
    return 0;
}

const struct gw_sysdns_mechanism gw_sysdns_networkmanager = {.name = "networkmanager",
                                                             .rank = rank,
                                                             .apply = apply,
                                                             .undo = undo,
                                                             .stop = stop,
                                                             .old_servers = old_servers};
