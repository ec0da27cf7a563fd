/* SPDX-License-Identifier: MIT */
/* systemd-resolved by D-Bus (org.freedesktop.resolve1(5)): on one link it is told our server, and that only names below our domains are for it. Nothing else of the machine's
 * resolving changes. What it was told is gone with the link, so it is told again when the link is made anew, and when resolved itself starts again. */
#include "frontends/dns/system/resolved_private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 2000u
#define AGAIN_MS 50u /* it has not heard of the link yet */
#define AGAIN_MAX 40u

static void tell(struct resolved *resolved);

static void look_again(struct resolved *resolved, unsigned ms)
{
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_add(resolved->tick, &after);
}

/* ---- its answers */

static void describe_done(struct resolved *resolved)
{
    const struct gw_sysdns_wish *wish = resolved->job->wish;
    resolved->is_set = true;
    resolved->again = 0;
    look_again(resolved, LOOK_MS);
    gw_sysdns_finish(resolved->job, 0, "systemd-resolved sends %s%s to us (link %s%s%s)",
                     wish->is_all_ours ? "every name" : "names below ",
                     wish->is_all_ours ? "" : wish->domains[0], resolved->job->record.device,
                     wish->search_count ? ", search " : "", wish->search_count ? wish->search[0] : "");
}

static void give_up(struct resolved *resolved)
{
    resolved->job->is_untouched = !resolved->is_touched;
    gw_sysdns_finish(resolved->job, resolved->err, "%s", resolved->why);
}

static void finish_round(struct resolved *resolved)
{
    if (resolved->err == 0)
        describe_done(resolved);
    else if (resolved->err == -ENODEV && resolved->again++ < AGAIN_MAX)
        look_again(resolved, AGAIN_MS);
    else
        give_up(resolved);
}

static void explain(struct resolved *resolved, const sd_bus_error *error)
{
    const struct gw_sysdns_wish *wish = resolved->job->wish;
    const char *device = resolved->job->record.device;
    char at[GW_ADDR_STRLEN];
    gw_addr_log(&wish->servers[0], at);
    resolved->err = -EPROTO;
    if (gw_bus_is_error(error, "org.freedesktop.resolve1.NoSuchLink"))
        resolved->err = -ENODEV;
    if (gw_bus_is_refusal(error)) {
        resolved->err = -EACCES;
        snprintf(resolved->why, sizeof resolved->why,
                 "systemd-resolved lets only root do that; as root: resolvectl dns %s %s; resolvectl domain "
                 "%s '~%.80s'; resolvectl default-route %s no",
                 device, at, device, wish->domains[0], device);
    } else if (gw_bus_is_absence(error)) {
        resolved->err = -ENOENT;
        snprintf(resolved->why, sizeof resolved->why, "systemd-resolved does not run");
    } else if (gw_bus_is_silence(error)) {
        resolved->err = GW_E_TIMEOUT;
        snprintf(resolved->why, sizeof resolved->why, "systemd-resolved does not answer");
    } else if (gw_bus_is_error(error, "org.freedesktop.DBus.Error.UnknownMethod")) {
        snprintf(
            resolved->why, sizeof resolved->why,
            "this systemd-resolved (before 246) knows no ports: let `dns.listen` have an address with 53");
    } else {
        snprintf(resolved->why, sizeof resolved->why, "systemd-resolved refuses: %s",
                 error->message ? error->message
                 : error->name  ? error->name
                                : "?");
    }
}

static int on_answer(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct resolved *resolved = ctx;
    const sd_bus_error *error = resolved->bus->sd->message_get_error(answer);
    (void)unused;
    resolved->is_touched |= error == NULL;
    if (error && resolved->err == 0)
        explain(resolved, error);
    if (--resolved->waiting == 0)
        finish_round(resolved);
    return 0;
}

/* What older ones do not know, and nothing depends on. */
static int on_any_answer(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct resolved *resolved = ctx;
    (void)unused;
    resolved->is_touched |= resolved->bus->sd->message_get_error(answer) == NULL;
    if (--resolved->waiting == 0)
        finish_round(resolved);
    return 0;
}

static int on_flushed(sd_bus_message *answer, void *ctx, sd_bus_error *unused)
{
    struct resolved *resolved = ctx;
    (void)answer, (void)unused;
    if (--resolved->waiting == 0)
        finish_round(resolved);
    return 0;
}

/* ---- what it is told */

static void ask(struct resolved *resolved, sd_bus_message *message, sd_bus_message_handler_t fn)
{
    int err = gw_bus_call(resolved->bus, message, fn, resolved);
    if (err == 0) {
        resolved->waiting++;
    } else if (resolved->err == 0) {
        resolved->err = err;
        snprintf(resolved->why, sizeof resolved->why, "cannot ask systemd-resolved: %s", gw_strerror(err));
    }
}

static void tell_option(struct resolved *resolved, const char *member, const char *value)
{
    sd_bus_message *call = gw_resolved_message(resolved->bus, member, resolved->job->record.index);
    if (call)
        resolved->bus->sd->message_append(call, "s", value);
    ask(resolved, call, on_any_answer);
}

/* The servers last: a link that has some, and no domains, is asked for every name. */
static void tell(struct resolved *resolved)
{
    struct gw_bus *bus = resolved->bus;
    const struct gw_sysdns_wish *wish = resolved->job->wish;
    unsigned index = resolved->job->record.index;
    resolved->err = 0;
    resolved->waiting = 1;
    ask(resolved, gw_resolved_domains(bus, index, wish), on_answer);
    sd_bus_message *route = gw_resolved_message(bus, "SetLinkDefaultRoute", index);
    if (route)
        bus->sd->message_append(route, "b", wish->is_all_ours);
    ask(resolved, route, on_any_answer);
    /* We sign nothing and speak no TLS, whatever the machine asks of the servers of its other links. */
    tell_option(resolved, "SetLinkDNSSEC", "no");
    tell_option(resolved, "SetLinkDNSOverTLS", "no");
    tell_option(resolved, "SetLinkLLMNR", "no");
    tell_option(resolved, "SetLinkMulticastDNS", "no");
    ask(resolved, gw_resolved_servers(bus, index, wish), on_answer);
    /* It may know already that there is no such name. */
    ask(resolved, gw_resolved_message(bus, "FlushCaches", 0), on_flushed);
    if (--resolved->waiting == 0)
        finish_round(resolved);
}

/* ---- what happens to it */

static int on_owner(sd_bus_message *signal, void *ctx, sd_bus_error *unused)
{
    struct resolved *resolved = ctx;
    (void)unused;
    if (!resolved->is_set || resolved->waiting > 0 || !gw_bus_has_owner(resolved->bus, signal))
        return 0;
    gw_log_info("DNS: systemd-resolved has started again: it is told again");
    tell(resolved);
    return 0;
}

static void on_lost(void *ctx)
{
    struct resolved *resolved = ctx;
    gw_bus_close(resolved->bus);
    resolved->bus = NULL;
    resolved->waiting = 0;
    if (resolved->is_set)
        look_again(resolved, LOOK_MS);
    else
        gw_sysdns_finish(resolved->job, -ECONNRESET, "the system bus (D-Bus) hung up");
}

static bool connect_again(struct resolved *resolved)
{
    char why[GW_SYSDNS_TEXT_MAX];
    if (gw_bus_open(&resolved->bus, resolved->job->base, on_lost, resolved, why, sizeof why) != 0)
        return false;
    gw_bus_watch(resolved->bus, GW_RESOLVED_NAME, on_owner, resolved);
    return true;
}

/* Is it the link that was told of? If it was made anew, that goes into the journal. */
static bool has_new_link(struct resolved *resolved)
{
    char why[256];
    unsigned index = if_nametoindex(resolved->job->record.device);
    if (index == 0 && resolved->link.fd >= 0) { /* somebody deleted ours */
        gw_sysdns_link_close(&resolved->link);
        if (gw_sysdns_link_open(&resolved->link, resolved->job->record.device, why, sizeof why) == 0)
            index = if_nametoindex(resolved->job->record.device);
        else
            gw_log_warn("DNS: %s", why);
    }
    if (index == 0 || index == resolved->job->record.index)
        return false;
    resolved->job->record.index = index;
    return resolved->job->write_journal(resolved->job) == 0;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct resolved *resolved = arg;
    (void)fd, (void)what;
    bool is_due = resolved->again > 0;
    if (!resolved->bus)
        is_due = connect_again(resolved);
    is_due = has_new_link(resolved) || is_due;
    if (is_due && resolved->bus && resolved->waiting == 0)
        tell(resolved);
    else
        look_again(resolved, LOOK_MS);
}

/* ---- */

static enum gw_sysdns_rank rank(const struct gw_sysdns_facts *facts)
{
    if (facts->names_stub || strstr(facts->link, "systemd/resolve/") ||
        (facts->has_resolved && facts->has_nss_resolve))
        return GW_SYSDNS_IN_CHARGE;
    return facts->has_resolved ? GW_SYSDNS_THERE : GW_SYSDNS_ABSENT;
}

static void stop(struct gw_sysdns_job *job)
{
    struct resolved *resolved = job->state;
    job->state = NULL;
    if (!resolved)
        return;
    gw_bus_close(resolved->bus);
    if (resolved->tick)
        event_free(resolved->tick);
    gw_sysdns_link_close(&resolved->link);
    free(resolved);
}

struct resolved *gw_resolved_start(struct gw_sysdns_job *job)
{
    struct resolved *resolved = calloc(1, sizeof *resolved);
    job->state = resolved;
    if (!resolved)
        return NULL;
    resolved->job = job;
    resolved->link.fd = -1;
    resolved->tick = evtimer_new(job->base, on_tick, resolved);
    return resolved->tick ? resolved : NULL;
}

/* The TUN, or an interface of our own. */
static int find_link(struct resolved *resolved)
{
    struct gw_sysdns_job *job = resolved->job;
    char why[256] = "", at[GW_ADDR_STRLEN];
    snprintf(job->record.device, sizeof job->record.device, "%s", job->wish->device);
    if (!job->wish->has_device) {
        snprintf(job->record.device, sizeof job->record.device, "%.11s-dns", job->wish->device);
        int err = gw_sysdns_link_open(&resolved->link, job->record.device, why, sizeof why);
        if (err != 0) {
            snprintf(
                job->text, sizeof job->text,
                "systemd-resolved wants an interface for our server, and without a TUN: %.150s. Or write, as root, "
                "/etc/systemd/resolved.conf.d/peergate.conf with the lines [Resolve], DNS=%s, Domains=~%.80s",
                why, gw_addr_log(&job->wish->servers[0], at), job->wish->domains[0]);
            return err;
        }
    }
    job->record.index = if_nametoindex(job->record.device);
    if (job->record.index > 0)
        return 0;
    snprintf(job->text, sizeof job->text, "there is no interface %s", job->record.device);
    return -ENODEV;
}

static void apply(struct gw_sysdns_job *job)
{
    struct resolved *resolved = gw_resolved_start(job);
    int err = resolved ? find_link(resolved) : GW_E_NOMEM;
    if (err == 0)
        err = gw_bus_open(&resolved->bus, job->base, on_lost, resolved, job->text, sizeof job->text);
    if (err == 0)
        err = gw_bus_watch(resolved->bus, GW_RESOLVED_NAME, on_owner, resolved);
    if (err == 0)
        err = job->write_journal(job);
    if (err != 0)
        job->on_done(job, err);
    else
        tell(resolved);
}

const struct gw_sysdns_mechanism gw_sysdns_resolved = {
    .name = "resolved", .rank = rank, .apply = apply, .undo = gw_resolved_undo, .stop = stop};
