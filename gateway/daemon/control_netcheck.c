/* SPDX-License-Identifier: MIT */
/* The command `netcheck`: what the network around this node lets through. */
#include "gateway/daemon/netcheck.h"

#include <stdlib.h>

struct netcheck_task {
    struct gw_control_task task;
    struct gw_netcheck *check;
};

static void on_cancel(struct gw_control_task *task)
{
    struct netcheck_task *asking = gw_container_of(task, struct netcheck_task, task);
    gw_netcheck_free(asking->check);
    free(asking);
}

static void on_done(json_t *answer, void *ctx)
{
    struct netcheck_task *asking = ctx;
    struct gw_control_client *client = asking->task.client;
    gw_control_task_end(&asking->task);
    free(asking);
    gw_control_reply(client, answer);
}

void gw_control_netcheck(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                         void *ctx)
{
    struct gw_daemon *daemon = ctx;
    const struct gw_network *only;
    (void)now;
    if (!gw_control_network(daemon, client, request, &only))
        return;
    struct netcheck_task *asking = calloc(1, sizeof *asking);
    if (!asking || gw_netcheck_new(&asking->check, daemon, only, on_done, asking) != 0) {
        free(asking);
        gw_control_fail(client, "no-memory", "out of memory");
        return;
    }
    asking->task.cancel = on_cancel;
    gw_control_task_begin(client, &asking->task);
}
