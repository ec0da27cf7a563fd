/* SPDX-License-Identifier: MIT */
/* Pings. One timer each: it sends the next, and finds those that stayed without an answer. */
#include "gateway/daemon/pings.h"

#include "gateway/base/err.h"
#include "gateway/daemon/json.h"

#include <stdlib.h>
#include <string.h>

#define UNANSWERED_MAX 16u
#define ANSWER_NS GW_S(2)
#define TICK_MS 100u

struct sent_ping {
    uint32_t id;
    unsigned seq; /* 0 = free */
    struct gw_mono at;
};

struct pinging {
    struct gw_control_task task;
    struct gw_list node;
    struct gw_pings *pings;
    struct gateway *gateway;
    uint8_t public_key[GW_KEY_LEN]; /* the peer may be removed meanwhile */
    unsigned count, interval_ms;
    unsigned sent, received, answered;
    struct gw_mono next; /* when the next is due */
    struct event *timer;
    struct sent_ping unanswered[UNANSWERED_MAX];
};

void gw_pings_init(struct gw_pings *pings, struct gw_loop *loop, struct gw_echo *echo)
{
    pings->loop = loop;
    pings->echo = echo;
    gw_list_init(&pings->list);
}

static void free_pinging(struct pinging *pinging)
{
    gw_list_remove(&pinging->node);
    if (pinging->timer)
        event_free(pinging->timer);
    free(pinging);
}

static void on_cancel(struct gw_control_task *task)
{
    free_pinging(gw_container_of(task, struct pinging, task));
}

static void end_removed(struct pinging *pinging, const char *sentence)
{
    gw_control_fail(pinging->task.client, "removed", "%s", sentence);
    gw_control_task_end(&pinging->task);
    free_pinging(pinging);
}

void gw_pings_fini(struct gw_pings *pings)
{
    if (!pings->list.next)
        return;
    gw_list_for_each (node, &pings->list)
        end_removed(gw_list_entry(node, struct pinging, node), "the network was removed");
}

static void say(struct pinging *pinging, unsigned seq, int64_t rtt_ns)
{
    struct gw_peer *peer = gw_gateway_find_peer(pinging->gateway, pinging->public_key);
    json_t *line = json_pack("{s:i}", "seq", (int)seq);
    if (rtt_ns >= 0)
        json_object_set_new(line, "rtt_ms", gw_json_ms(rtt_ns));
    else
        json_object_set_new(line, "lost", json_true());
    if (peer)
        gw_json_add_way(line, peer, gw_loop_now(pinging->pings->loop));
    gw_control_reply(pinging->task.client, line);
}

static void finish(struct pinging *pinging)
{
    json_t *line =
        json_pack("{s:b,s:i,s:i}", "done", 1, "sent", (int)pinging->sent, "received", (int)pinging->received);
    gw_control_reply(pinging->task.client, line);
    gw_control_task_end(&pinging->task);
    free_pinging(pinging);
}

static void find_lost(struct pinging *pinging, struct gw_mono now)
{
    for (unsigned i = 0; i < UNANSWERED_MAX; i++) {
        struct sent_ping *ping = &pinging->unanswered[i];
        if (ping->seq == 0 || gw_mono_sub(now, ping->at) < ANSWER_NS)
            continue;
        say(pinging, ping->seq, -1);
        pinging->answered++;
        ping->seq = 0;
    }
}

static int ask(struct pinging *pinging, struct gw_peer *peer, struct gw_mono now, uint32_t *id)
{
    int err = gw_peer_ping(peer, now, id);
    return err == -EPROTONOSUPPORT ? gw_echo_ping(pinging->pings->echo, peer, now, id) : err;
}

static void send_next(struct pinging *pinging, struct gw_peer *peer, struct gw_mono now)
{
    struct sent_ping *ping = pinging->unanswered;
    unsigned seq = ++pinging->sent;

    pinging->next = gw_mono_add(now, GW_MS(pinging->interval_ms));
    while (ping < pinging->unanswered + UNANSWERED_MAX && ping->seq != 0)
        ping++;
    if (ping == pinging->unanswered + UNANSWERED_MAX || ask(pinging, peer, now, &ping->id) != 0) {
        pinging->answered++;
        say(pinging, seq, -1);
        return;
    }
    ping->seq = seq;
    ping->at = now;
}

static void arm(struct pinging *pinging, struct gw_mono now)
{
    int64_t wait_ns = GW_MS(TICK_MS);
    bool is_more = pinging->count == 0 || pinging->sent < pinging->count;
    if (is_more && gw_mono_sub(pinging->next, now) < wait_ns)
        wait_ns = gw_mono_sub(pinging->next, now);
    const struct timeval tv = {.tv_usec = wait_ns > 0 ? (suseconds_t)(wait_ns / 1000) : 0};
    evtimer_add(pinging->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct pinging *pinging = arg;
    struct gw_mono now = gw_loop_now(pinging->pings->loop);
    struct gw_peer *peer = gw_gateway_find_peer(pinging->gateway, pinging->public_key);
    (void)fd, (void)what;

    if (!peer) {
        end_removed(pinging, "the peer was removed");
        return;
    }
    find_lost(pinging, now);
    bool is_more = pinging->count == 0 || pinging->sent < pinging->count;
    if (is_more && gw_mono_due(pinging->next, now))
        send_next(pinging, peer, now);
    if (pinging->count != 0 && pinging->answered >= pinging->count)
        finish(pinging);
    else
        arm(pinging, now);
}

void gw_pings_start(struct gw_pings *pings, struct gw_control_client *client,
                    const struct gw_ping_params *params)
{
    struct pinging *pinging = calloc(1, sizeof *pinging);
    if (pinging) {
        gw_list_init(&pinging->node);
        pinging->timer = evtimer_new(gw_loop_base(pings->loop), on_timer, pinging);
    }
    if (!pinging || !pinging->timer) {
        free(pinging);
        gw_control_fail(client, "no-memory", "out of memory");
        return;
    }
    pinging->task.cancel = on_cancel;
    pinging->task.ends_at_eof = true;
    pinging->pings = pings;
    pinging->gateway = gw_peer_gateway(params->peer);
    memcpy(pinging->public_key, gw_peer_config(params->peer)->public_key, GW_KEY_LEN);
    pinging->count = params->count;
    pinging->interval_ms = params->interval_ms;
    pinging->next = gw_loop_now(pings->loop);
    gw_list_push_back(&pings->list, &pinging->node);
    gw_control_task_begin(client, &pinging->task);
    on_timer(-1, 0, pinging);
}

void gw_pings_on_pong(struct gw_pings *pings, struct gw_peer *peer, uint32_t id, int64_t rtt_ns,
                      struct gw_mono now)
{
    const uint8_t *key = gw_peer_config(peer)->public_key;
    gw_list_for_each (node, &pings->list) {
        struct pinging *pinging = gw_list_entry(node, struct pinging, node);
        if (memcmp(pinging->public_key, key, GW_KEY_LEN) != 0)
            continue;
        for (unsigned i = 0; i < UNANSWERED_MAX; i++) {
            struct sent_ping *ping = &pinging->unanswered[i];
            if (ping->seq == 0 || ping->id != id)
                continue;
            pinging->received++;
            pinging->answered++;
            say(pinging, ping->seq, rtt_ns);
            ping->seq = 0;
            if (pinging->count != 0 && pinging->answered >= pinging->count)
                finish(pinging);
            (void)now;
            return;
        }
    }
}
