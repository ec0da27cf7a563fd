/* SPDX-License-Identifier: MIT */
/* The control socket's table of commands, and those that are short: ping, resolve, services, reload, down. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/daemon/json.h"

#include <stdlib.h>

#define ALSO_MAX 15u /* networks beside the one that answers */

/* clang-format off */
const struct gw_control_command gw_daemon_commands[] = {
    {"status", gw_control_status},
    {"peers", gw_control_peers},
    {"ping", gw_control_ping},
    {"why", gw_control_why},
    {"netcheck", gw_control_netcheck},
    {"resolve", gw_control_resolve},
    {"services", gw_control_services},
    {"reload", gw_control_reload},
    {"down", gw_control_down},
    {"connect", gw_control_connect},
    {"forward", gw_control_forward},
    {"verdict", gw_control_verdict},
    {"dns", gw_control_dns},
    {NULL, NULL},
};
/* clang-format on */

/* --- commands about a host --- */

struct host_task {
    struct gw_control_task task;
    struct gw_daemon *daemon;
    json_t *request;
    gw_control_host_fn *fn;
};

static void free_host_task(struct host_task *host)
{
    json_decref(host->request);
    free(host);
}

/* The resolver still has its pointer: on_answer frees. */
static void on_host_cancel(struct gw_control_task *task)
{
    (void)task;
}

static void on_answer(const struct gw_answer *answer, void *ctx)
{
    struct host_task *host = ctx;
    struct gw_control_client *client = host->task.client;
    if (client) {
        gw_control_task_end(&host->task);
        if (answer->err == 0)
            host->fn(host->daemon, client, host->request, answer);
        else if (answer->err == GW_E_UNKNOWN || answer->err == GW_E_MALFORMED)
            gw_control_fail(client, "unknown-name",
                            "no peer has the name \"%s\"; `peergate peers` lists those that do",
                            json_string_value(json_object_get(host->request, "host")));
        else
            gw_control_fail(client, "failed", "%s", gw_strerror(answer->err));
    }
    free_host_task(host);
}

void gw_control_with_host(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                          gw_control_host_fn *fn)
{
    const char *name = json_string_value(json_object_get(request, "host"));
    struct host_task *host = name ? calloc(1, sizeof *host) : NULL;
    if (!host) {
        gw_control_fail(client, name ? "no-memory" : "malformed",
                        name ? "out of memory" : "a \"host\" is missing");
        return;
    }
    host->task.cancel = on_host_cancel;
    host->daemon = daemon;
    host->request = json_incref((json_t *)(uintptr_t)request);
    host->fn = fn;
    gw_control_task_begin(client, &host->task);
    gw_resolver_lookup(daemon->resolver, name, on_answer, host);
}

/* --- ping --- */

static void ping_host(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                      const struct gw_answer *answer)
{
    json_int_t count = json_integer_value(json_object_get(request, "count"));
    json_int_t interval_ms = json_integer_value(json_object_get(request, "interval_ms"));
    if (!answer->peer) {
        gw_control_fail(client, "own-name", "%s is this node itself", answer->canonical);
        return;
    }
    const struct gw_ping_params params = {
        .peer = answer->peer,
        .count = count > 0 && count <= 1000000 ? (unsigned)count : 0,
        .interval_ms = interval_ms >= 10 && interval_ms <= 3600000 ? (unsigned)interval_ms : 1000};
    gw_pings_start(&gw_network_of(&daemon->networks, answer->gateway)->pings, client, &params);
}

void gw_control_ping(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)now;
    gw_control_with_host(ctx, client, request, ping_host);
}

/* --- resolve --- */

static json_t *also(const struct gw_daemon *daemon, const json_t *request, const struct gw_answer *answer)
{
    char names[ALSO_MAX][256];
    json_t *list = json_array();
    const char *name = json_string_value(json_object_get(request, "host"));
    size_t count = gw_resolver_also(daemon->resolver, name, answer, names, ALSO_MAX);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static void resolve_host(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                         const struct gw_answer *answer)
{
    json_t *object = json_object();
    const struct gw_network *network = gw_network_of(&daemon->networks, answer->gateway);
    json_object_set_new(object, "canonical", json_string(answer->canonical));
    json_object_set_new(object, "network", json_string(network ? network->name : ""));
    json_object_set_new(object, "also", also(daemon, request, answer));
    json_object_set_new(object, "service", answer->service[0] ? json_string(answer->service) : json_null());
    json_object_set_new(object, "tier", json_string(answer->tier));
    json_object_set_new(object, "is_self", json_boolean(!answer->peer));
    if (answer->peer) {
        const uint8_t *key = gw_peer_config(answer->peer)->public_key;
        const struct gw_guest *guest = network ? gw_guests_find(&network->guests, key) : NULL;
        json_object_set_new(
            object, "peer",
            gw_json_peer(answer->peer, guest, daemon->tun.device != NULL, gw_loop_now(daemon->loop)));
    }
    gw_control_reply(client, object);
}

void gw_control_resolve(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                        void *ctx)
{
    (void)now;
    gw_control_with_host(ctx, client, request, resolve_host);
}

/* --- services --- */

struct services_task {
    struct gw_control_task task;
    struct gw_question *question;
};

static void on_services_cancel(struct gw_control_task *task)
{
    struct services_task *asking = gw_container_of(task, struct services_task, task);
    gw_question_cancel(asking->question);
    free(asking);
}

static void on_services(int err, const struct gw_peer_service *list, size_t count, void *user)
{
    struct services_task *asking = user;
    struct gw_control_client *client = asking->task.client;
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_pack("{s:s,s:s,s:i}", "name", list[i].name, "protocol",
                                               list[i].is_udp ? "udp" : "tcp", "port", (int)list[i].port));
    gw_control_task_end(&asking->task);
    if (err == 0)
        gw_control_reply(client, json_pack("{s:O}", "services", array));
    else if (err == -EPROTONOSUPPORT)
        gw_control_fail(client, "wireguard", "it is a stock WireGuard peer and cannot be asked");
    else if (err == GW_E_NO_SEAL)
        gw_control_fail(client, gw_reason_name(GW_REASON_NO_SEAL), "%s",
                        gw_reason_sentence(GW_REASON_NO_SEAL));
    else
        gw_control_fail(client, err == GW_E_TIMEOUT ? "timed-out" : "failed", "the peer did not answer: %s",
                        gw_strerror(err));
    json_decref(array);
    free(asking);
}

static void services_of_host(struct gw_daemon *daemon, struct gw_control_client *client,
                             const json_t *request, const struct gw_answer *answer)
{
    struct gw_network *network = gw_network_of(&daemon->networks, answer->gateway);
    (void)request;
    if (!answer->peer) {
        gw_control_reply(client, json_pack("{s:o}", "services", gw_daemon_services_json(daemon, network)));
        return;
    }
    struct services_task *asking = calloc(1, sizeof *asking);
    if (!asking || gw_peer_services_ask(&asking->question, &network->peer_services, answer->peer, on_services,
                                        asking) != 0) {
        free(asking);
        gw_control_fail(client, "no-memory", "out of memory");
        return;
    }
    asking->task.cancel = on_services_cancel;
    gw_control_task_begin(client, &asking->task);
}

void gw_control_services(struct gw_control_client *client, const json_t *request, struct gw_mono now,
                         void *ctx)
{
    struct gw_daemon *daemon = ctx;
    const struct gw_network *only;
    (void)now;
    if (json_object_get(request, "host"))
        gw_control_with_host(daemon, client, request, services_of_host);
    else if (gw_control_network(daemon, client, request, &only))
        gw_control_reply(client, json_pack("{s:o,s:o}", "networks", gw_daemon_networks_json(daemon, only),
                                           "services", gw_daemon_services_json(daemon, only)));
}

/* --- reload and down --- */

static json_t *messages(const struct gw_diag *diag)
{
    json_t *list = json_array();
    for (size_t i = 0; i < diag->count; i++)
        json_array_append_new(list, json_string(diag->entries[i].text));
    return list;
}

/* Warnings may come before it. */
static const char *first_error(const struct gw_diag *diag, int err)
{
    for (size_t i = 0; i < diag->count; i++) {
        if (diag->entries[i].severity == GW_DIAG_ERROR)
            return diag->entries[i].text;
    }
    return gw_strerror(err);
}

void gw_control_reload(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    struct gw_diag diag = {0};
    (void)request, (void)now;
    int err = gw_daemon_reload(ctx, &diag);
    gw_daemon_log_diag(&diag);
    if (err == 0)
        gw_control_reply(client, json_pack("{s:o}", "messages", messages(&diag)));
    else
        gw_control_fail(client, "bad-files", "the daemon goes on with the old files: %s",
                        first_error(&diag, err));
    gw_diag_clear(&diag);
}

void gw_control_down(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    (void)request, (void)now;
    gw_control_reply(client, NULL);
    gw_daemon_stop(ctx);
}
