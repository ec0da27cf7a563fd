/* SPDX-License-Identifier: MIT */
/* The set-up and its journal; see netconf.h. */
#include "frontends/tun/netconf.h"

#include "frontends/tun/journal.h"
#include "frontends/tun/netlink.h"
#include "frontends/tun/own_routes.h"
#include "frontends/tun/reverse_path.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/dir.h"
#include "gateway/link/netwatch.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The engine's own queue is the one that drops (gateway/packet/queue.h). This one is for the time that the daemon does not run: 5 ms of 2 Gbit/s in
 * datagrams. On a busy machine 192 lost 2.6 to 24 % of those and this 1.7 to 5; pings beside bulk TCP took the same with both. */
#define QUEUE_LEN 1000u
#define REPAIRS_MAX 5u /* in a minute: somebody else wants it otherwise */

struct gw_netconf {
    struct gw_netconf_params params;
    char journal[GW_DIR_PATH_MAX];
    char device[GW_CHANGE_NAME_MAX + 1];
    unsigned index;
    struct gw_netlink netlink;
    struct gw_netwatch *watch;
    struct gw_changes done;
    unsigned repairs;
    struct gw_mono repairs_since;
    bool is_strict_told;
};

/* ---- doing and undoing */

static void log_failure(const char *what, const struct gw_change *change, int err)
{
    char line[GW_CHANGE_LINE_MAX], hidden[GW_CHANGE_LINE_MAX];
    gw_change_format(change, line);
    gw_log_warn("tun: cannot %s \"%s\": %s", what, gw_addr_log_text(line, hidden, sizeof hidden),
                gw_strerror(err));
}

/* Last things first. */
static void undo(struct gw_netconf *netconf, const struct gw_changes *changes, const struct gw_changes *but)
{
    for (size_t i = changes->count; i-- > 0;) {
        const struct gw_change *change = &changes->items[i];
        if (but && gw_changes_have(but, change))
            continue;
        int err = gw_netlink_remove(&netconf->netlink, change);
        if (err != 0)
            log_failure("take back", change, err);
    }
}

/* Adds what is not in `have`; *theirs becomes those that were there without us. Returns the first error. */
static int make(struct gw_netconf *netconf, const struct gw_changes *changes, const struct gw_changes *have,
                struct gw_changes *made)
{
    int first = 0;
    for (size_t i = 0; i < changes->count; i++) {
        const struct gw_change *change = &changes->items[i];
        bool is_ours = gw_changes_have(have, change);
        int err = is_ours ? 0 : gw_netlink_add(&netconf->netlink, change);
        if (err == 0)
            err = gw_changes_add(made, change);
        else if (err == -EEXIST)
            err = 0; /* the owner's own: it stays when we go */
        else
            log_failure("make", change, err);
        first = first ? first : err;
    }
    gw_changes_finish(made);
    return first;
}

/* ---- applying a plan */

static int set_link(struct gw_netconf *netconf)
{
    const struct gw_link_settings settings = {.mtu = netconf->params.mtu, .queue_len = QUEUE_LEN};
    int err = gw_netlink_set_link(&netconf->netlink, netconf->device, &settings);
    if (err != 0)
        gw_log_warn("tun: cannot set the MTU of %s and bring it up: %s", netconf->device, gw_strerror(err));
    return err;
}

static bool is_done(const struct gw_netconf *netconf, const struct gw_changes *wanted)
{
    bool is = wanted->count == netconf->done.count;
    for (size_t i = 0; i < wanted->count && is; i++)
        is = gw_changes_have(&netconf->done, &wanted->items[i]);
    return is;
}

static int change_over(struct gw_netconf *netconf, const struct gw_changes *wanted)
{
    struct gw_changes made = {0};
    if (is_done(netconf, wanted))
        return 0;
    int err = gw_journal_write(netconf->journal, &netconf->done, wanted);
    if (err != 0) {
        gw_log_error("tun: cannot write the journal %s, so nothing is changed: %s", netconf->journal,
                     gw_strerror(err));
        return err;
    }
    undo(netconf, &netconf->done, wanted);
    err = make(netconf, wanted, &netconf->done, &made);
    gw_changes_free(&netconf->done);
    netconf->done = made;
    int written = gw_journal_write(netconf->journal, &netconf->done, NULL);
    return err ? err : written;
}

/* Answers to what bears our mark bear none: by the way back that the kernel finds for them they should have come out of the tunnel. UDP has rules by port, carriers by
 * where they go to; what asks a name server would need one by which every program's question went outside. */
static void tell_strict(struct gw_netconf *netconf, const char *device)
{
    bool has_mark = false;
    for (size_t i = 0; i < netconf->done.count; i++) {
        const struct gw_change *change = &netconf->done.items[i];
        has_mark |= change->kind == GW_CHANGE_RULE_MARK && change->prefix.ip.family == 4;
    }
    if (!has_mark || netconf->is_strict_told)
        return;
    netconf->is_strict_told = true;
    gw_log_warn(
        "tun: %s drops what its routes do not lead back to (rp_filter 1), as the answers of name servers beyond its network: "
        "`sysctl net.ipv4.conf.%s.rp_filter=2` lets them in; what goes to an anchor's TLS port, by any program, stays outside the tunnel "
        "meanwhile",
        device, device);
}

int gw_netconf_apply(struct gw_netconf *netconf, const struct gw_plan_input *input)
{
    struct gw_changes wanted = {0};
    struct gw_plan_input checked = *input;
    char strict[GW_CHANGE_NAME_MAX + 1];
    unsigned index = if_nametoindex(input->device);
    if (index != netconf->index) /* a new interface has nothing of the old one's */
        undo(netconf, &netconf->done, NULL), gw_changes_free(&netconf->done);
    netconf->index = index;
    snprintf(netconf->device, sizeof netconf->device, "%s", input->device);
    checked.is_way_back_checked = gw_reverse_path_strict(netconf->device, strict);
    int err = gw_plan_make(&wanted, &checked);
    int up = set_link(netconf);
    if (err == 0)
        err = change_over(netconf, &wanted);
    if (checked.is_way_back_checked)
        tell_strict(netconf, strict);
    gw_changes_free(&wanted);
    return err ? err : up;
}

/* ---- others */

static bool may_repair(struct gw_netconf *netconf, struct gw_mono now)
{
    if (gw_mono_sub(now, netconf->repairs_since) > GW_S(60)) {
        netconf->repairs_since = now;
        netconf->repairs = 0;
    }
    if (netconf->repairs == REPAIRS_MAX)
        gw_log_error("tun: somebody changes the set-up of %s again and again: left as it is for a minute",
                     netconf->device);
    return netconf->repairs++ < REPAIRS_MAX;
}

/* Linux keeps an IPv6 route when its source goes, without the source: it looks as if it were there. */
static void forget_sourceless(struct gw_netconf *netconf, const struct gw_change *address)
{
    for (size_t i = 0; i < netconf->done.count; i++) {
        const struct gw_change *change = &netconf->done.items[i];
        if (change->kind == GW_CHANGE_ROUTE && gw_addr_same_ip(&change->source, &address->prefix.ip))
            gw_netlink_remove(&netconf->netlink, change);
    }
}

/* Which of what we have done is as we did it, but for what is not there at all. NULL: that cannot be told. */
static bool *look_at_routes(const struct gw_netconf *netconf)
{
    bool *is_right = calloc(netconf->done.count + 1, sizeof *is_right);
    if (!is_right)
        return NULL;
    memset(is_right, true, netconf->done.count);
    if (gw_own_routes_look(&netconf->done, is_right) == 0)
        return is_right;
    free(is_right);
    return NULL;
}

static unsigned put_back(struct gw_netconf *netconf)
{
    char line[GW_CHANGE_LINE_MAX], hidden[GW_CHANGE_LINE_MAX];
    bool *is_right = look_at_routes(netconf);
    unsigned count = 0;
    for (size_t i = 0; i < netconf->done.count; i++) {
        const struct gw_change *change = &netconf->done.items[i];
        int err = gw_netlink_add(&netconf->netlink, change);
        bool is_changed = err == -EEXIST && is_right && !is_right[i];
        if (is_changed)
            err = gw_netlink_replace(&netconf->netlink, change);
        if (err != 0)
            continue;
        gw_change_format(change, line);
        gw_log_warn("tun: somebody %s \"%s\": put back", is_changed ? "changed" : "removed",
                    gw_addr_log_text(line, hidden, sizeof hidden));
        if (change->kind == GW_CHANGE_ADDRESS && change->prefix.ip.family == 6)
            forget_sourceless(netconf, change); /* routes come behind addresses, and are put back then */
        count++;
    }
    free(is_right);
    return count;
}

static void on_change(struct gw_mono now, void *ctx)
{
    struct gw_netconf *netconf = ctx;
    if (netconf->index == 0)
        return;
    if (if_nametoindex(netconf->device) != netconf->index) {
        gw_log_error("tun: somebody deleted the interface %s", netconf->device);
        netconf->index = 0;
        netconf->params.on_lost(netconf->params.ctx);
        return;
    }
    if (netconf->repairs > REPAIRS_MAX && gw_mono_sub(now, netconf->repairs_since) <= GW_S(60))
        return;
    if (!gw_netlink_is_up(&netconf->netlink, netconf->device, netconf->params.mtu) &&
        may_repair(netconf, now)) {
        gw_log_warn("tun: somebody changed %s: up again, MTU %u", netconf->device, netconf->params.mtu);
        set_link(netconf);
    }
    if (put_back(netconf) > 0)
        may_repair(netconf, now);
}

/* ---- life */

static void take_back_leftovers(struct gw_netconf *netconf)
{
    struct gw_changes left = {0};
    unsigned bad;
    int err = gw_journal_read(&left, netconf->journal, &bad);
    if (err != 0 || bad > 0)
        gw_log_warn("tun: the journal %s is damaged: %s", netconf->journal,
                    err ? gw_strerror(err) : "unknown lines");
    if (left.count > 0)
        gw_log_info("tun: taking back %zu changes that an earlier daemon left", left.count);
    undo(netconf, &left, NULL);
    gw_changes_free(&left);
    gw_journal_write(netconf->journal, NULL, NULL);
}

int gw_netconf_new(struct gw_netconf **out, const struct gw_netconf_params *params)
{
    struct gw_netconf *netconf = calloc(1, sizeof *netconf);
    *out = NULL;
    if (!netconf)
        return GW_E_NOMEM;
    netconf->params = *params;
    snprintf(netconf->journal, sizeof netconf->journal, "%s", params->journal);
    int err = gw_netlink_open(&netconf->netlink);
    if (err != 0) {
        free(netconf);
        return err;
    }
    take_back_leftovers(netconf);
    netconf->watch = gw_netwatch_new(params->loop, true, on_change, netconf);
    *out = netconf;
    return 0;
}

void gw_netconf_free(struct gw_netconf *netconf)
{
    if (!netconf)
        return;
    gw_netwatch_free(netconf->watch);
    undo(netconf, &netconf->done, NULL);
    gw_journal_write(netconf->journal, NULL, NULL);
    gw_changes_free(&netconf->done);
    gw_netlink_close(&netconf->netlink);
    free(netconf);
}
