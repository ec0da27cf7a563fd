/* SPDX-License-Identifier: MIT */
/* Series of tests, each of one length of silence, and what follows from them; see lifetime.h. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <string.h>

#define BEGIN_NS GW_S(15) /* behind all that goes on when an anchor is new */
#define BUSY_NS GW_S(1)
#define WAIT_NS GW_MS(300) /* or 2 RTT: for an answer */
#define TRIES 3u
#define SETTLE_NS GW_S(3)     /* Linux: 2 s */
#define REVIEW_NS GW_S(21600) /* a series on one network */
#define HASTEN_NS GW_S(600)
#define RETRY_NS GW_S(300) /* after a test that told nothing; doubling, up to REVIEW_NS */
#define TESTS_MAX 8u
#define LEAST_NS GW_S(5) /* no interval is shorter: 720 an hour */
/* None grows longer: with this, the request that renews the keys (anchors.c) is hardly ever one more. */
#define MOST_NS GW_S(85)
#define MIDDLE_NS GW_S(55)  /* below what many NATs have: 60 s */
#define LONGEST_NS GW_S(95) /* silence that is tried */
#define GROW_ANCHORS 2u     /* with one alone its restart would leave us unfindable for an interval */

enum seq { SEQ_OPEN = 1, SEQ_UNASKED = 6 };

static void arm(struct gw_discovery *discovery, struct gw_mono at)
{
    gw_deadline_arm(&discovery->host->deadlines, &discovery->lifetime.deadline, at);
}

/* ---- whom to ask, and where we are */

static struct gw_anchor_use *nearest(const struct gw_discovery *discovery)
{
    struct gw_anchor_use *best = NULL;
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (gw_anchor_use_v4_way(use) && !use->is_silent && use->observed.family == 4 &&
            (!best || gw_peer_rtt(use->peer) < gw_peer_rtt(best->peer)))
            best = use;
    }
    return best;
}

static bool may_grow(const struct gw_discovery *discovery)
{
    unsigned count = 0;
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        count += !use->is_neighbour && use->is_registered && !use->is_silent;
    }
    return count >= GROW_ANCHORS;
}

static bool is_network(const struct gw_lifetime_network *network, const struct gw_addr *local,
                       const struct gw_addr *seen)
{
    return gw_addr_is_set(&network->seen) && gw_addr_same_ip(&network->seen, seen) &&
           gw_addr_same_ip(&network->local, local);
}

/* Its place, or that of the one that we were in longest ago. */
static struct gw_lifetime_network *find_network(struct gw_lifetime *lifetime, const struct gw_addr *local,
                                                const struct gw_addr *seen, struct gw_mono now)
{
    struct gw_lifetime_network *oldest = &lifetime->networks[0];
    for (unsigned i = 0; i < GW_LIFETIME_NETWORKS; i++) {
        struct gw_lifetime_network *network = &lifetime->networks[i];
        if (is_network(network, local, seen))
            return network;
        if (!gw_addr_is_set(&oldest->seen))
            continue;
        if (!gw_addr_is_set(&network->seen) || gw_mono_before(network->used, oldest->used))
            oldest = network;
    }
    *oldest = (struct gw_lifetime_network){.local = *local, .seen = *seen, .review_at = now};
    oldest->seen.port = 0;
    return oldest;
}

/* ---- what follows */

int64_t gw_lifetime_interval(const struct gw_discovery *discovery, const struct gw_anchor_use *use,
                             int64_t configured_ns)
{
    const struct gw_lifetime_network *here = discovery->lifetime.here;
    if (!here || (use && !gw_anchor_use_v4_way(use)))
        return configured_ns;
    int64_t safe = here->alive_ns > 0 ? here->alive_ns - here->alive_ns / 10 : here->dead_ns / 2;
    if (safe > MOST_NS)
        safe = MOST_NS;
    if (safe < LEAST_NS)
        safe = LEAST_NS;
    if (safe < configured_ns)
        return here->dead_ns > 0 ? safe : configured_ns;
    return here->alive_ns > 0 && may_grow(discovery) ? safe : configured_ns;
}

/* Anchors are spoken to as often as that asks for, and so are the peers to which streams are open. */
static void apply(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_peer_host *host = discovery->host;
    int64_t most = gw_lifetime_interval(discovery, NULL, INT64_MAX);
    most = most == INT64_MAX ? 0 : most;
    gw_list_for_each (node, &discovery->anchors)
        gw_anchor_use_refit(gw_list_entry(node, struct gw_anchor_use, node), now);
    if (host->keepalive_most_ns == most)
        return;
    host->keepalive_most_ns = most;
    gw_list_for_each (node, &discovery->reaches)
        gw_peer_keepalive_fit(gw_list_entry(node, struct gw_reach, node)->peer, now);
}

/* ---- the end of a test */

static void stop(struct gw_discovery *discovery)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    gw_token_clear(discovery, &lifetime->token);
    if (lifetime->has_link)
        gw_links_release(&discovery->links, lifetime->link);
    lifetime->has_link = false;
    lifetime->use = NULL;
    lifetime->number = 0;
    lifetime->step = GW_LIFETIME_IDLE;
    gw_deadline_disarm(&discovery->host->deadlines, &lifetime->deadline);
}

/* The silence to try next; 0: what is known is enough. */
static int64_t next_silence(const struct gw_discovery *discovery, int64_t configured_ns)
{
    const struct gw_lifetime *lifetime = &discovery->lifetime;
    int64_t first = configured_ns + configured_ns / 8 + GW_S(1);
    int64_t low = lifetime->longest, high = lifetime->shortest;
    first = first < LONGEST_NS ? first : LONGEST_NS;
    if (lifetime->tests >= TESTS_MAX)
        return 0;
    if (low == 0 && high == 0)
        return first;
    if (low == 0)
        return high > LEAST_NS + GW_S(1) ? high * 2 / 3 : 0;
    if (high == 0)
        return low >= LONGEST_NS || !may_grow(discovery) ? 0 : low < MIDDLE_NS ? MIDDLE_NS : LONGEST_NS;
    return low < first && high - low > low / 3 ? (low + high) / 2 : 0;
}

static void end_series(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    stop(discovery);
    if (lifetime->tests > 0)
        gw_log_info("NAT: a way was still open after %lld s of silence, closed after %lld s (0: not known)",
                    (long long)(lifetime->here->alive_ns / GW_S(1)),
                    (long long)(lifetime->here->dead_ns / GW_S(1)));
    lifetime->here->lacks_anchor = lifetime->longest > 0 && lifetime->longest < LONGEST_NS &&
                                   lifetime->shortest == 0 && !may_grow(discovery);
    lifetime->longest = lifetime->shortest = 0;
    lifetime->tests = 0;
    lifetime->here->review_at = gw_mono_add(now, REVIEW_NS);
    arm(discovery, lifetime->here->review_at);
}

/* Nothing was learnt. */
static void test_failed(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    int64_t wait = RETRY_NS << (lifetime->failures < 7 ? lifetime->failures : 7);
    stop(discovery);
    lifetime->failures++;
    arm(discovery, gw_mono_add(now, wait < REVIEW_NS ? wait : REVIEW_NS));
}

static void test_over(struct gw_discovery *discovery, bool was_open, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    struct gw_lifetime_network *here = lifetime->here;
    int64_t silence = lifetime->silence_ns;
    stop(discovery);
    lifetime->failures = 0;
    lifetime->tests++;
    gw_log_debug("NAT: a way was %s after %lld ms of silence", was_open ? "open" : "closed",
                 (long long)(silence / GW_MS(1)));
    if (was_open) {
        lifetime->longest = silence;
        here->alive_ns = here->alive_ns > silence ? here->alive_ns : silence;
        if (here->dead_ns != 0 && here->dead_ns <= silence)
            here->dead_ns = 0;
    } else {
        lifetime->shortest = silence;
        here->dead_ns = here->dead_ns != 0 && here->dead_ns < silence ? here->dead_ns : silence;
        if (here->alive_ns >= silence)
            here->alive_ns = lifetime->longest;
    }
    apply(discovery, now);
    arm(discovery, now);
}

/* ---- steps */

static int64_t wait_of(const struct gw_lifetime *lifetime)
{
    int64_t rtts = 2 * gw_peer_rtt(lifetime->use->peer);
    return rtts > WAIT_NS ? rtts : WAIT_NS;
}

static void ask(struct gw_discovery *discovery, uint16_t send_to, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    peergate_Control message = {.which_body = peergate_Control_nat_probe_tag};
    while (lifetime->number == 0)
        lifetime->number = gw_random_u32(discovery->host->random);
    message.number = lifetime->number;
    message.body.nat_probe.send_to = send_to;
    gw_peer_send_message(lifetime->use->peer, now, &message);
}

static void probe(struct gw_discovery *discovery)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    struct gw_probe out = {.seq = SEQ_OPEN};
    struct gw_tuple tuple = {.remote = lifetime->at.remote, .link = lifetime->link};
    memcpy(out.token, lifetime->token.id, sizeof out.token);
    gw_probes_push(&discovery->host->probes, &tuple, &out, lifetime->token.key);
}

static void send_step(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    int64_t wait = wait_of(lifetime);
    switch (lifetime->step) {
    case GW_LIFETIME_TOKEN:
    case GW_LIFETIME_RETURN:
        ask(discovery, 0, now);
        break;
    case GW_LIFETIME_OPEN:
    case GW_LIFETIME_ASSURE:
    case GW_LIFETIME_CHECK:
        probe(discovery);
        break;
    case GW_LIFETIME_KNOCK:
        ask(discovery, lifetime->port, now);
        break;
    case GW_LIFETIME_SETTLE:
        wait = SETTLE_NS;
        break;
    case GW_LIFETIME_REST:
        wait = lifetime->silence_ns;
        break;
    case GW_LIFETIME_IDLE:
        return;
    }
    lifetime->tries++;
    arm(discovery, gw_mono_add(now, wait));
}

static void enter(struct gw_discovery *discovery, enum gw_lifetime_step step, struct gw_mono now)
{
    discovery->lifetime.step = step;
    discovery->lifetime.tries = 0;
    send_step(discovery, now);
}

/* An anchor has one token for us at a time. */
static bool is_busy(const struct gw_discovery *discovery)
{
    return discovery->measure.step != GW_MEASURE_IDLE || discovery->inbound.step != GW_INBOUND_IDLE;
}

static void begin(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    struct gw_anchor_use *use = nearest(discovery);
    if (!use || !lifetime->here)
        return; /* gw_lifetime_moved comes with the next registration */
    if (is_busy(discovery)) {
        arm(discovery, gw_mono_add(now, BUSY_NS));
        return;
    }
    if (lifetime->tests == 0 && gw_mono_before(now, lifetime->here->review_at)) {
        arm(discovery, lifetime->here->review_at);
        return;
    }
    lifetime->silence_ns = next_silence(discovery, gw_anchor_use_configured(use));
    if (lifetime->silence_ns == 0) {
        end_series(discovery, now);
        return;
    }
    lifetime->use = use;
    lifetime->at = gw_anchor_use_v4_way(use)->tuple;
    enter(discovery, GW_LIFETIME_TOKEN, now);
}

static void rest_over(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    if (!gw_anchor_use_v4_way(lifetime->use) || is_busy(discovery)) {
        stop(discovery);
        arm(discovery, gw_mono_add(now, BUSY_NS)); /* the same again */
        return;
    }
    lifetime->number = 0;
    enter(discovery, GW_LIFETIME_RETURN, now);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_discovery *discovery = gw_container_of(deadline, struct gw_discovery, lifetime.deadline);
    struct gw_lifetime *lifetime = &discovery->lifetime;
    switch (lifetime->step) {
    case GW_LIFETIME_IDLE:
        begin(discovery, now);
        break;
    case GW_LIFETIME_SETTLE:
        enter(discovery, GW_LIFETIME_ASSURE, now);
        break;
    case GW_LIFETIME_REST:
        rest_over(discovery, now);
        break;
    default:
        if (lifetime->tries < TRIES)
            send_step(discovery, now);
        else if (lifetime->step == GW_LIFETIME_KNOCK)
            enter(discovery, GW_LIFETIME_CHECK, now);
        else
            test_failed(discovery, now);
    }
}

/* ---- what comes in */

void gw_lifetime_answer(struct gw_discovery *discovery, const struct gw_anchor_use *use, uint32_t number,
                        const peergate_NatProbe *answer, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    bool is_first = lifetime->step == GW_LIFETIME_TOKEN;
    uint16_t port;
    if ((!is_first && lifetime->step != GW_LIFETIME_RETURN) || use != lifetime->use ||
        number != lifetime->number)
        return;
    if (answer->refusal != peergate_Refusal_REFUSAL_NONE ||
        !gw_token_set(discovery, &lifetime->token, use->peer->session, use->peer->config.public_key,
                      answer->token, answer->secret, now)) {
        test_failed(discovery, now);
        return;
    }
    if (is_first)
        lifetime->has_link = gw_links_open(&discovery->links, &lifetime->link, &port) == 0;
    if (!lifetime->has_link)
        test_failed(discovery, now);
    else
        enter(discovery, is_first ? GW_LIFETIME_OPEN : GW_LIFETIME_KNOCK, now);
}

void gw_lifetime_probe(struct gw_discovery *discovery, struct gw_mono now, const struct gw_tuple *from,
                       const struct gw_probe *in)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    bool is_answer = in->is_reply && in->seq == SEQ_OPEN && gw_addr_is_set(&in->seen);
    if (!lifetime->has_link || from->link != lifetime->link ||
        !gw_addr_equal(&from->remote, &lifetime->at.remote))
        return;
    if (lifetime->step == GW_LIFETIME_OPEN && is_answer) {
        enter(discovery, GW_LIFETIME_SETTLE, now);
    } else if (lifetime->step == GW_LIFETIME_ASSURE && is_answer) {
        lifetime->port = in->seen.port;
        gw_token_clear(discovery, &lifetime->token);
        enter(discovery, GW_LIFETIME_REST, now);
    } else if (lifetime->step == GW_LIFETIME_KNOCK && !in->is_reply && in->role == 1 &&
               in->seq == SEQ_UNASKED) {
        test_over(discovery, true, now);
    } else if (lifetime->step == GW_LIFETIME_CHECK && is_answer) {
        test_over(discovery, false, now);
    }
}

/* ---- what happens */

/* The series ended where one anchor alone ends it, and now there is another one. */
static void go_on(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    lifetime->here->lacks_anchor = false;
    lifetime->here->review_at = now;
    lifetime->longest = lifetime->here->alive_ns;
    arm(discovery, gw_mono_add(now, BEGIN_NS));
}

void gw_lifetime_moved(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    struct gw_anchor_use *use = nearest(discovery);
    struct gw_addr local = gw_discovery_own_v4(discovery);
    if (!use)
        return;
    bool is_same = lifetime->here && is_network(lifetime->here, &local, &use->observed);
    if (!is_same) {
        stop(discovery);
        lifetime->here = find_network(lifetime, &local, &use->observed, now);
        lifetime->here->used = now;
        lifetime->longest = lifetime->shortest = 0;
        lifetime->tests = lifetime->failures = 0;
    }
    apply(discovery, now); /* also when there are more anchors, or fewer */
    if (lifetime->step == GW_LIFETIME_IDLE && lifetime->here->lacks_anchor && may_grow(discovery))
        go_on(discovery, now);
    if (lifetime->step == GW_LIFETIME_IDLE && (!is_same || gw_mono_is_never(lifetime->deadline.at)))
        arm(discovery, gw_mono_add(now, BEGIN_NS));
}

void gw_lifetime_disturbed(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    lifetime->disturbed = now;
    if (lifetime->step == GW_LIFETIME_IDLE)
        return;
    stop(discovery);
    arm(discovery, gw_mono_add(now, BEGIN_NS));
}

void gw_lifetime_lost(struct gw_discovery *discovery, int64_t silence_ns, struct gw_mono began,
                      struct gw_mono now)
{
    struct gw_lifetime *lifetime = &discovery->lifetime;
    struct gw_lifetime_network *here = lifetime->here;
    bool is_undisturbed =
        gw_mono_is_never(lifetime->disturbed) || gw_mono_sub(began, lifetime->disturbed) > silence_ns;
    if (!here || silence_ns < LEAST_NS || !is_undisturbed)
        return;
    gw_log_debug("NAT: our mapping did not outlive %lld s of silence", (long long)(silence_ns / GW_S(1)));
    if (here->dead_ns == 0 || here->dead_ns > silence_ns)
        here->dead_ns = silence_ns;
    if (here->alive_ns >= here->dead_ns)
        here->alive_ns = 0;
    apply(discovery, now);
    /* A router that was switched off and on again looks alike: measuring tells. */
    if (!gw_mono_is_never(lifetime->hastened) && gw_mono_sub(now, lifetime->hastened) < HASTEN_NS)
        return;
    lifetime->hastened = here->review_at = now;
    if (lifetime->step == GW_LIFETIME_IDLE && lifetime->tests == 0)
        arm(discovery, gw_mono_add(now, BEGIN_NS));
}

static bool has_token(const struct gw_discovery *discovery)
{
    enum gw_lifetime_step step = discovery->lifetime.step;
    return step != GW_LIFETIME_IDLE && step != GW_LIFETIME_REST;
}

void gw_lifetime_yield(struct gw_discovery *discovery, struct gw_mono now)
{
    if (!has_token(discovery))
        return;
    stop(discovery);
    arm(discovery, gw_mono_add(now, BUSY_NS));
}

void gw_lifetime_forget(struct gw_discovery *discovery, const struct gw_anchor_use *use, struct gw_mono now)
{
    if (discovery->lifetime.use != use)
        return;
    stop(discovery);
    arm(discovery, gw_mono_add(now, BEGIN_NS));
}

int gw_lifetime_init(struct gw_discovery *discovery)
{
    discovery->lifetime.disturbed = discovery->lifetime.hastened = GW_NEVER;
    gw_deadline_init(&discovery->lifetime.deadline, on_deadline);
    return gw_deadlines_reserve(&discovery->host->deadlines);
}

void gw_lifetime_fini(struct gw_discovery *discovery)
{
    stop(discovery);
    gw_deadlines_release(&discovery->host->deadlines);
}
