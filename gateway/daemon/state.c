/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/state.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/config/atomic_file.h"
#include "gateway/daemon/lease.h"
#include "gateway/session/session.h"

#include <stdio.h>

#define RETRY_NS GW_S(60)

static void load(struct gw_state *state)
{
    struct gw_wall lease;
    FILE *file = fopen(state->path, "re");
    if (!file)
        return;
    if (gw_lease_read(&lease, file))
        gw_tai64n_set_floor(&gw_gateway_local(state->gateway)->tai64n, lease);
    else
        gw_log_warn("%s makes no sense and is ignored", state->path);
    fclose(file);
}

static int save(struct gw_state *state, struct gw_wall lease)
{
    char text[GW_LEASE_LINE_MAX];
    size_t len = gw_lease_format(lease, text);
    return gw_atomic_write(NULL, state->path, text, len, GW_ATOMIC_REPLACE);
}

static struct gw_mono run(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct gw_state *state = gw_container_of(hook, struct gw_state, hook);
    struct gw_tai64n_clock *clock = &gw_gateway_local(state->gateway)->tai64n;
    struct gw_wall lease;

    if (!gw_tai64n_lease_due(clock, &lease))
        return GW_NEVER;
    if (!gw_mono_due(state->retry, now))
        return state->retry;
    int err = save(state, lease);
    if (err == 0) {
        gw_tai64n_lease_saved(clock, lease);
        return GW_NEVER;
    }
    gw_log_warn("cannot write %s: %s; if the clock is set back, peers will refuse us after a restart",
                state->path, gw_strerror(err));
    state->retry = gw_mono_add(now, RETRY_NS);
    return state->retry;
}

int gw_state_init(struct gw_state *state, const char *dir, struct gateway *gateway)
{
    *state = (struct gw_state){.hook = {.run = run}, .gateway = gateway};
    int len = snprintf(state->dir, sizeof state->dir, "%s/" GW_DIR_STATE, dir);
    int path_len = snprintf(state->path, sizeof state->path, "%s/" GW_DIR_STATE "/tai64n", dir);
    if (len < 0 || path_len < 0 || (size_t)path_len >= sizeof state->path)
        return GW_E_TOO_BIG;
    int err = gw_dir_create(state->dir);
    if (err != 0)
        return err;
    load(state);
    return 0;
}
