/* SPDX-License-Identifier: MIT */
/* Clients that wait for the end of a flow. */
#include "gateway/daemon/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verdict {
    struct gw_list node;
    struct gw_control_task task;
    char token[GW_VERDICT_TOKEN_MAX + 1];
};

static void free_verdict(struct verdict *verdict)
{
    gw_list_remove(&verdict->node);
    free(verdict);
}

static void on_cancel(struct gw_control_task *task)
{
    free_verdict(gw_container_of(task, struct verdict, task));
}

void gw_verdict_wait(struct gw_list *waiting, struct gw_control_client *client, const char *token)
{
    if (!token || !*token || strlen(token) > GW_VERDICT_TOKEN_MAX) {
        gw_control_fail(client, "malformed", "a \"token\" has 1 to %u characters", GW_VERDICT_TOKEN_MAX);
        return;
    }
    struct verdict *verdict = calloc(1, sizeof *verdict);
    if (!verdict) {
        gw_control_fail(client, "no-memory", "out of memory");
        return;
    }
    snprintf(verdict->token, sizeof verdict->token, "%s", token);
    verdict->task.cancel = on_cancel;
    verdict->task.ends_at_eof = true;
    gw_list_push_back(waiting, &verdict->node);
    gw_control_task_begin(client, &verdict->task);
    gw_control_reply(client, json_pack("{s:b}", "waiting", 1));
}

void gw_verdict_tell(struct gw_list *waiting, const char *token, const char *code, const char *sentence)
{
    if (!*token)
        return;
    gw_list_for_each (node, waiting) {
        struct verdict *verdict = gw_list_entry(node, struct verdict, node);
        if (strcmp(verdict->token, token) != 0)
            continue;
        if (sentence)
            gw_control_fail(verdict->task.client, code, "%s", sentence);
        else
            gw_control_reply(verdict->task.client, NULL);
        gw_control_task_end(&verdict->task);
        free_verdict(verdict);
        return;
    }
}
