/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/igd.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 12000u
#define AGAIN_NS GW_S(300)
#define AGAIN_MAX_NS GW_S(7200)
#define RENEW_MIN_NS GW_S(2)
#define RUN_MIN_NS GW_S(20)
#define RENEW_MAX_NS GW_S(900) /* not all of UPnP's routers say that they have restarted, or are heard */
#define ALIVE_NS GW_S(1)       /* so long after it has said that it is there */
#define ALIVE_EVERY_NS GW_S(30)
#define PROGRAM "/proc/self/exe"

const char *const gw_igd_state_names[GW_IGD_STATES] = {"off", "asking", "mapped", "refused", "silent"};

void gw_igd_init(struct gw_igd *igd, struct gw_loop *loop, void (*on_change)(void *ctx), void *ctx)
{
    *igd = (struct gw_igd){
        .loop = loop, .at = GW_NEVER, .again_ns = AGAIN_NS, .on_change = on_change, .ctx = ctx};
    igd->ran = igd->doubt_at = igd->heard = GW_NEVER;
    gw_igd_notify_init(&igd->notify);
}

/* ---- what it said */

static void wait_again(struct gw_igd *igd, enum gw_igd_state state)
{
    igd->state = state;
    igd->external = (struct gw_addr){.family = 0};
    igd->at = gw_mono_add(gw_loop_now(igd->loop), igd->again_ns);
    igd->again_ns = igd->again_ns * 2 < AGAIN_MAX_NS ? igd->again_ns * 2 : AGAIN_MAX_NS;
    igd->url[0] = '\0';
}

static void refused(struct gw_igd *igd, const char *reason)
{
    snprintf(igd->reason, sizeof igd->reason, "%s", reason);
    if (igd->state != GW_IGD_REFUSED)
        gw_log_info("the router forwards no port by UPnP: %s", igd->reason);
    wait_again(igd, GW_IGD_REFUSED);
}

static void mapped(struct gw_igd *igd, const struct gw_igd_line *line)
{
    char text[GW_ADDR_STRLEN];
    if (igd->state != GW_IGD_MAPPED || !gw_addr_equal(&igd->external, &line->external))
        gw_log_info("the router forwards %s to this node, by UPnP", gw_addr_log(&line->external, text));
    int64_t wait = line->lifetime_s > 0 ? GW_S(line->lifetime_s) / 2 : RENEW_MAX_NS;
    wait = wait < RENEW_MIN_NS ? RENEW_MIN_NS : wait > RENEW_MAX_NS ? RENEW_MAX_NS : wait;
    igd->state = GW_IGD_MAPPED;
    igd->external = line->external;
    igd->again_ns = AGAIN_NS;
    igd->at = gw_mono_add(gw_loop_now(igd->loop), wait);
}

static void take_line(struct gw_igd *igd, const struct gw_igd_line *line)
{
    if (line->verdict != GW_IGD_SAID_NONE) {
        igd->is_found = true;
        snprintf(igd->url, sizeof igd->url, "%s", line->url);
    }
    if (igd->task != GW_IGD_MAP)
        return;
    if (line->verdict == GW_IGD_SAID_MAPPED)
        mapped(igd, line);
    else if (line->verdict == GW_IGD_SAID_REFUSED)
        refused(igd, line->reason);
    else
        wait_again(igd, GW_IGD_SILENT);
}

static void on_end(int status, const char *said, void *ctx)
{
    struct gw_igd *igd = ctx;
    struct gw_igd_line line;
    gw_igd_line_parse(&line, status == 0 ? said : "none");
    igd->run = NULL;
    if (status != 0)
        gw_log_debug("looking for a UPnP router failed: %s", gw_strerror(status));
    bool was_known = igd->url[0] != '\0';
    enum gw_igd_state before = igd->state;
    take_line(igd, &line);
    if (igd->task == GW_IGD_MAP && before == GW_IGD_MAPPED && igd->state != GW_IGD_MAPPED && was_known)
        igd->at = gw_loop_now(igd->loop); /* it may be elsewhere since it restarted: searched for once */
    igd->at = gw_mono_min(igd->at, igd->doubt_at);
    igd->doubt_at = GW_NEVER;
    igd->on_change(igd->ctx);
}

/* What anybody in the local network can say in the router's name is worth one run now and then. */
static void on_alive(bool is_anew, void *ctx)
{
    struct gw_igd *igd = ctx;
    struct gw_mono now = gw_loop_now(igd->loop), at = gw_mono_add(now, ALIVE_NS);
    bool is_known = !is_anew && igd->state == GW_IGD_MAPPED, was_heard = !gw_mono_is_never(igd->heard);
    if (is_known || (was_heard && gw_mono_before(now, igd->heard)))
        return;
    if (was_heard)
        at = gw_mono_max(at, gw_mono_add(igd->heard, ALIVE_EVERY_NS));
    gw_log_debug("the router says that it is there%s", is_anew ? ", anew" : "");
    igd->heard = at;
    gw_igd_doubt(igd, at);
    igd->on_change(igd->ctx);
}

/* ---- runs */

static void start(struct gw_igd *igd, enum gw_igd_task task)
{
    static const char *const verbs[] = {
        [GW_IGD_MAP] = "map", [GW_IGD_FIND] = "find", [GW_IGD_UNMAP] = "unmap"};
    struct gw_addr router_ip = igd->router, client_ip = igd->client;
    char router[GW_ADDR_STRLEN], client[GW_ADDR_STRLEN], inside[8], outside[8], life[12];
    router_ip.port = client_ip.port = 0;
    gw_addr_format(&router_ip, router);
    gw_addr_format(&client_ip, client);
    *strrchr(router, ':') = *strrchr(client, ':') = '\0';
    snprintf(inside, sizeof inside, "%u", igd->port);
    snprintf(outside, sizeof outside, "%u", igd->external.port ? igd->external.port : igd->port);
    snprintf(life, sizeof life, "%u", GW_IGD_LIFETIME_S);
    const char *const argv[] = {
        PROGRAM, "igd", verbs[task], router, client, inside, outside, life, igd->url[0] ? igd->url : "-",
        NULL};
    const struct gw_sysdns_run_params params = {.base = gw_loop_base(igd->loop),
                                                .argv = argv,
                                                .keep_fd = -1,
                                                .timeout_ms = TIMEOUT_MS,
                                                .on_end = on_end,
                                                .ctx = igd};
    igd->task = task;
    igd->at = GW_NEVER;
    igd->ran = gw_loop_now(igd->loop);
    int err = gw_sysdns_run_new(&igd->run, &params);
    if (err == 0)
        return;
    gw_log_warn("cannot look for a UPnP router: %s", gw_strerror(err));
    if (task == GW_IGD_MAP)
        wait_again(igd, GW_IGD_SILENT);
}

void gw_igd_start(struct gw_igd *igd, const struct gw_addr *router, const struct gw_addr *client,
                  uint16_t port)
{
    gw_sysdns_run_kill(igd->run);
    igd->run = NULL;
    igd->router = *router;
    igd->client = *client;
    igd->port = port;
    igd->state = GW_IGD_ASKING;
    gw_igd_notify_open(&igd->notify, gw_loop_base(igd->loop), router, client, on_alive, igd);
    start(igd, GW_IGD_MAP);
}

void gw_igd_find(struct gw_igd *igd, const struct gw_addr *router, const struct gw_addr *client)
{
    if (igd->run || igd->state == GW_IGD_MAPPED)
        return;
    struct gw_mono at = igd->at;
    igd->router = *router;
    igd->client = *client;
    igd->is_found = false;
    start(igd, GW_IGD_FIND);
    igd->at = at;
}

bool gw_igd_is_busy(const struct gw_igd *igd)
{
    return igd->run != NULL;
}

struct gw_mono gw_igd_next_deadline(const struct gw_igd *igd)
{
    return igd->run ? GW_NEVER : igd->at;
}

void gw_igd_expire(struct gw_igd *igd, struct gw_mono now)
{
    if (!igd->run && gw_mono_due(igd->at, now))
        start(igd, GW_IGD_MAP);
}

void gw_igd_doubt(struct gw_igd *igd, struct gw_mono at)
{
    if (igd->state == GW_IGD_OFF)
        return;
    if (!gw_mono_is_never(igd->ran))
        at = gw_mono_max(at, gw_mono_add(igd->ran, RUN_MIN_NS));
    if (igd->run)
        igd->doubt_at = gw_mono_min(igd->doubt_at, at);
    else
        igd->at = gw_mono_min(igd->at, at);
}

void gw_igd_renew(struct gw_igd *igd, struct gw_mono now)
{
    if (igd->state != GW_IGD_OFF && !igd->run)
        igd->at = gw_mono_max(now, gw_mono_add(igd->ran, RUN_MIN_NS)); /* a network that flaps */
}

void gw_igd_stop(struct gw_igd *igd, bool may_wait)
{
    gw_sysdns_run_kill(igd->run);
    igd->run = NULL;
    gw_igd_notify_close(&igd->notify);
    if (igd->state == GW_IGD_MAPPED)
        start(igd, GW_IGD_UNMAP);
    igd->state = GW_IGD_OFF;
    igd->external = (struct gw_addr){.family = 0};
    igd->url[0] = '\0';
    igd->at = igd->doubt_at = igd->heard = GW_NEVER;
    if (!may_wait)
        return;
    gw_sysdns_run_free(igd->run);
    igd->run = NULL;
}
