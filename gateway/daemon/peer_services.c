/* SPDX-License-Identifier: MIT */
/* Questions and answers about services. A question is one page at a time, repeated until it is answered: requests change nothing. */
#include "gateway/daemon/peer_services.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/wire/control.pb.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 1100u
#define REPEAT_MS 300
#define GIVE_UP_NS GW_S(8)

struct gw_question {
    struct gw_list node;
    struct gw_peer_services *all;
    struct gateway *gateway;
    uint8_t public_key[GW_KEY_LEN]; /* the peer may be removed meanwhile */
    uint32_t number;
    struct event *timer;
    struct gw_mono asked;
    struct gw_peer_service *list;
    size_t count;
    uint32_t next; /* the index of the first one not told yet */
    gw_peer_services_fn *fn;
    void *user;
};

void gw_peer_services_init(struct gw_peer_services *all, struct gw_loop *loop, struct gw_services *services,
                           struct gw_random *random)
{
    all->loop = loop;
    all->services = services;
    all->random = random;
    gw_list_init(&all->questions);
}

static int send_message(struct gw_peer *peer, const peergate_Control *message, struct gw_mono now)
{
    uint8_t body[BODY_MAX];
    pb_ostream_t out = pb_ostream_from_buffer(body, sizeof body);
    if (!pb_encode(&out, peergate_Control_fields, message))
        return GW_E_TOO_BIG;
    return gw_peer_send_control(peer, now, body, out.bytes_written);
}

/* --- answering --- */

static void add_entry(peergate_ServicesReply *reply, const struct gw_service *service)
{
    if (reply->entries_count == sizeof reply->entries / sizeof *reply->entries)
        return;
    peergate_ServiceEntry *entry = &reply->entries[reply->entries_count++];
    snprintf(entry->name, sizeof entry->name, "%s", service->name);
    entry->is_udp = service->is_udp;
    entry->port = service->port;
}

static void answer(struct gw_peer_services *all, struct gw_peer *peer, const peergate_Control *request,
                   struct gw_mono now)
{
    const struct gw_registry *registry = gw_services_registry(all->services);
    const uint8_t *key = gw_peer_config(peer)->public_key;
    peergate_Control message = {.number = request->number, .which_body = peergate_Control_services_reply_tag};
    peergate_ServicesReply *reply = &message.body.services_reply;

    reply->first = request->body.services_request.first;
    for (size_t i = 0; i < registry->count; i++) {
        const struct gw_service *service = registry->services[i];
        if (!service->is_enabled || gw_services_may_use(all->services, service, key) != GW_VERDICT_ALLOWED)
            continue;
        if (reply->total++ >= reply->first)
            add_entry(reply, service);
    }
    int err = send_message(peer, &message, now);
    if (err != 0)
        gw_log_debug("%s: no answer to its question about services: %s", gw_peer_name(peer),
                     gw_strerror(err));
}

/* --- asking --- */

static void free_question(struct gw_question *question)
{
    gw_list_remove(&question->node);
    if (question->timer)
        event_free(question->timer);
    free(question->list);
    free(question);
}

static void end_question(struct gw_question *question, int err)
{
    question->fn(err, question->list, err == 0 ? question->count : 0, question->user);
    free_question(question);
}

void gw_peer_services_fini(struct gw_peer_services *all)
{
    if (!all->questions.next)
        return;
    gw_list_for_each (node, &all->questions)
        end_question(gw_list_entry(node, struct gw_question, node), GW_E_UNKNOWN);
}

static void ask(struct gw_question *question)
{
    const struct timeval repeat = {.tv_usec = REPEAT_MS * 1000};
    const peergate_Control message = {.number = question->number,
                                      .which_body = peergate_Control_services_request_tag,
                                      .body.services_request = {.first = question->next}};
    struct gw_peer *peer = gw_gateway_find_peer(question->gateway, question->public_key);
    struct gw_mono now = gw_loop_now(question->all->loop);

    if (!peer) {
        end_question(question, GW_E_UNKNOWN);
        return;
    }
    int err = send_message(peer, &message, now);
    if (err == -ENOTCONN)
        gw_peer_connect(peer, now);
    if (err == -EPROTONOSUPPORT || err == GW_E_NO_SEAL) {
        end_question(question, err);
        return;
    }
    evtimer_add(question->timer, &repeat);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_question *question = arg;
    (void)fd, (void)what;
    if (gw_mono_sub(gw_loop_now(question->all->loop), question->asked) < GIVE_UP_NS)
        ask(question);
    else
        end_question(question, GW_E_TIMEOUT);
}

/* A page. What a peer says is shown to a person: control characters are not. */
static int take_page(struct gw_question *question, const peergate_ServicesReply *reply)
{
    size_t room = GW_PEER_SERVICES_MAX - question->count;
    size_t count = reply->entries_count < room ? reply->entries_count : room;
    struct gw_peer_service *list = realloc(question->list, (question->count + count + 1) * sizeof *list);
    if (!list)
        return GW_E_NOMEM;
    question->list = list;
    question->next += reply->entries_count;
    for (size_t i = 0; i < count; i++) {
        const peergate_ServiceEntry *entry = &reply->entries[i];
        if (!gw_service_name_is_valid(entry->name))
            continue;
        struct gw_peer_service *service = &list[question->count++];
        snprintf(service->name, sizeof service->name, "%s", entry->name);
        service->is_udp = entry->is_udp;
        service->port = entry->port;
    }
    return 0;
}

static void take_reply(struct gw_peer_services *all, struct gw_peer *peer, const peergate_Control *message)
{
    const peergate_ServicesReply *reply = &message->body.services_reply;
    gw_list_for_each (node, &all->questions) {
        struct gw_question *question = gw_list_entry(node, struct gw_question, node);
        bool is_its = question->number == message->number &&
                      memcmp(question->public_key, gw_peer_config(peer)->public_key, GW_KEY_LEN) == 0;
        if (!is_its || reply->first != question->next)
            continue;
        int err = take_page(question, reply);
        bool is_last = reply->entries_count == 0 || question->next >= reply->total ||
                       question->next >= GW_PEER_SERVICES_MAX;
        if (err != 0 || is_last)
            end_question(question, err);
        else
            ask(question);
        return;
    }
}

void gw_peer_services_on_control(struct gw_peer_services *all, struct gw_peer *peer, struct gw_view body,
                                 struct gw_mono now)
{
    peergate_Control message = peergate_Control_init_zero;
    pb_istream_t in = pb_istream_from_buffer(body.data, body.len);
    if (!pb_decode(&in, peergate_Control_fields, &message)) {
        gw_log_debug("%s: a control message that makes no sense", gw_peer_name(peer));
        return;
    }
    if (message.which_body == peergate_Control_services_request_tag)
        answer(all, peer, &message, now);
    else if (message.which_body == peergate_Control_services_reply_tag)
        take_reply(all, peer, &message);
}

int gw_peer_services_ask(struct gw_question **out, struct gw_peer_services *all, struct gw_peer *peer,
                         gw_peer_services_fn *fn, void *user)
{
    const struct timeval at_once = {0};
    *out = NULL;
    struct gw_question *question = calloc(1, sizeof *question);
    if (!question)
        return GW_E_NOMEM;
    gw_list_init(&question->node);
    question->timer = evtimer_new(gw_loop_base(all->loop), on_timer, question);
    if (!question->timer || evtimer_add(question->timer, &at_once) < 0) {
        free_question(question);
        return GW_E_NOMEM;
    }
    question->all = all;
    question->gateway = gw_peer_gateway(peer);
    memcpy(question->public_key, gw_peer_config(peer)->public_key, GW_KEY_LEN);
    question->number = gw_random_u32(all->random);
    question->asked = gw_loop_now(all->loop);
    question->fn = fn;
    question->user = user;
    gw_list_push_back(&all->questions, &question->node);
    *out = question;
    return 0;
}

void gw_question_cancel(struct gw_question *question)
{
    free_question(question);
}
