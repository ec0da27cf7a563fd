/* SPDX-License-Identifier: MIT */
/* A phone's uplink changes in every way there is, or the direct way dies in silence, on lines of all lengths, with losses, and on machines that have more to do than processors: their loops run late.
 * For how long does nothing arrive, how soon is the way direct again, and how often do the two ends change their minds? A search over seeds, of which everything in a run follows:
 *
 *   test_gaps                     the seeds of the test
 *   test_gaps 500 [first]         as many of each change, without limits, and the worst seed of each
 *   GW_DEBUG=1 test_gaps 1 77 3   one seed of the fourth change, with what the engines say */
#include "tests/sim/travel.h"

#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RTT_LEAST_MS 5.0
#define RTT_MOST_MS 200.0
#define LOSS_MOST 0.05
#define HELD_MOST_NS GW_MS(100)
#define HELD_EVERY_NS GW_MS(400) /* on average, each node by itself */
#define WATCHED_NS GW_S(5)       /* for gaps and switches */
#define DIRECT_NS GW_S(40)       /* for the direct way */
#define CALM_NS GW_S(2)          /* direct for so long */

static struct sim_travel at;

/* What the seed says of the run. */
static struct {
    int64_t rtt_ns;
    double loss;
    bool is_late;
    struct sim_dice dice;
} run;

/* ---- loops that run late */

static struct late {
    struct sim_event event;
    struct sim_node *node;
} late[4];

static void hold_again(struct late *one)
{
    double wait = -log(1 - sim_dice_unit(&run.dice)) * (double)HELD_EVERY_NS;
    sim_clock_at(&at.net.clock, &one->event, gw_mono_add(at.net.clock.now, (int64_t)wait));
}

static void on_late(struct sim_clock *clock, struct sim_event *event)
{
    struct late *one = gw_container_of(event, struct late, event);
    (void)clock;
    sim_node_hold(one->node, (int64_t)(sim_dice_unit(&run.dice) * (double)HELD_MOST_NS));
    hold_again(one);
}

static void be_late(void)
{
    struct sim_node *nodes[] = {at.phone, at.home, at.anchors[0], at.anchors[1]};
    for (unsigned i = 0; i < 4; i++) {
        late[i] = (struct late){.event.fire = on_late, .node = nodes[i]};
        if (run.is_late)
            hold_again(&late[i]);
    }
}

static void be_on_time(void)
{
    for (unsigned i = 0; i < 4; i++)
        sim_clock_cancel(&at.net.clock, &late[i].event);
}

/* ---- a run */

static unsigned switches[2];
static struct gw_tuple last_tuple[2];

static void on_peer(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    unsigned side = gateway != at.phone->gateway;
    const struct gw_path *path = gw_paths_current(&peer->paths);
    (void)now, (void)ctx;
    if ((peer != at.to_home && peer != at.to_phone) || !path ||
        gw_tuple_equal(&path->tuple, &last_tuple[side]))
        return;
    last_tuple[side] = path->tuple;
    switches[side]++;
}

static bool are_direct(void)
{
    return sim_travel_is_direct(&at, at.to_home) && sim_travel_is_direct(&at, at.to_phone);
}

static void begin(uint64_t seed)
{
    run.dice.state = seed;
    double part = sim_dice_unit(&run.dice);
    run.rtt_ns = (int64_t)(RTT_LEAST_MS * pow(RTT_MOST_MS / RTT_LEAST_MS, part) * (double)GW_MS(1));
    run.loss = sim_dice_unit(&run.dice) < 0.25 ? 0 : sim_dice_unit(&run.dice) * LOSS_MOST;
    run.is_late = sim_dice_unit(&run.dice) >= 0.25;
    sim_travel_begin(&at, seed, NAT_KIND_PORT_RESTRICTED, run.rtt_ns / 2);
    at.phone->events.on_peer = at.home->events.on_peer = on_peer;
    sim_travel_start(&at, GW_MS(500), GW_S(4));
    for (unsigned i = 0; i < 200 && !are_direct(); i++)
        sim_net_run(&at.net, GW_MS(100));
    assert_true(are_direct());
    at.loss = run.loss;
    be_late();
    /* At any moment of whatever the engines do in turns. */
    sim_net_run(&at.net, GW_S(1) + (int64_t)(sim_dice_unit(&run.dice) * (double)GW_S(1)));
}

static void end(void)
{
    be_on_time();
    sim_net_run(&at.net, GW_S(1));
    sim_travel_end(&at);
}

/* ---- what happens */

static void to_lte(void)
{
    sim_travel_move(&at, &at.lte);
}

static void to_v6(void)
{
    sim_travel_move(&at, &at.v6);
}

static void wait_until_direct(void)
{
    for (unsigned i = 0; i < 400 && !are_direct(); i++)
        sim_net_run(&at.net, GW_MS(100));
    sim_net_run(&at.net, GW_S(1));
    sim_travel_watch(&at);
}

static void v6_to_wifi(void)
{
    sim_travel_move(&at, &at.v6);
    wait_until_direct();
    sim_travel_move(&at, &at.lines[0]);
}

static void torn(struct sim_nat_line *line)
{
    sim_travel_leave(&at);
    sim_net_run(&at.net, GW_MS(900));
    sim_travel_watch(&at); /* without a network there can be none */
    sim_travel_move(&at, line);
}

static void torn_away(void)
{
    torn(&at.lte);
}

static void bounced(void)
{
    torn(&at.lines[0]);
}

static void rebound(void)
{
    nat_rebind(at.lines[0].home->v4);
}

static void renumbered(void)
{
    struct gw_addr ip;
    assert_int_equal(gw_addr_parse(&ip, "11.0.250.1:1"), 0);
    nat_renumber(at.lines[0].home->v4, 0, &ip);
}

static void home_rebound(void)
{
    nat_rebind(at.lines[1].home->v4);
}

static void stopped(void)
{
    sim_node_hold(at.phone, GW_S(30));
    sim_net_run(&at.net, GW_S(30) - GW_MS(1));
    nat_rebind(at.lines[0].home->v4);
    sim_net_run(&at.net, GW_MS(1));
    sim_travel_watch(&at);
}

/* What it says at once is said from where it was. */
static void stopped_and_forgotten(void)
{
    sim_node_hold(at.phone, GW_S(30));
    sim_net_run(&at.net, GW_S(30));
    nat_rebind(at.lines[0].home->v4);
    sim_travel_watch(&at);
}

static void slept(void)
{
    sim_node_sleep(at.phone);
    sim_net_run(&at.net, GW_S(2));
    nat_rebind(at.lines[0].home->v4);
    sim_travel_watch(&at);
    sim_node_wake(at.phone, GW_S(3600));
}

static void dies(void)
{
    at.is_direct_dead = true;
}

static const struct change {
    const char *name;
    void (*happens)(void);
} changes[] = {
    {"Wi-Fi to LTE", to_lte},           {"Wi-Fi to IPv6 only", to_v6},
    {"IPv6 only to Wi-Fi", v6_to_wifi}, {"torn, then LTE", torn_away},
    {"torn, then back", bounced},       {"the router forgets", rebound},
    {"another address", renumbered},    {"home's router forgets", home_rebound},
    {"stopped for 30 s", stopped},      {"stopped, forgotten then", stopped_and_forgotten},
    {"asleep for an hour", slept},      {"the direct way dies", dies},
};
#define CHANGES (sizeof changes / sizeof changes[0])

/* ---- figures */

struct figure {
    int64_t ns;
    uint64_t seed;
};

struct figures {
    struct figure *all;
    unsigned count;
};

static void note(struct figures *figures, int64_t ns, uint64_t seed)
{
    figures->all = realloc(figures->all, (figures->count + 1) * sizeof *figures->all);
    if (!figures->all)
        abort();
    figures->all[figures->count++] = (struct figure){ns, seed};
}

static int compare(const void *a, const void *b)
{
    const struct figure *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

/* At least `part` of them are no longer than that. */
static int64_t quantile(const struct figures *figures, double part)
{
    unsigned i = (unsigned)ceil(part * figures->count);
    return figures->all[i > 0 ? i - 1 : 0].ns;
}

static void print(const char *what, struct figures *figures, const char *more)
{
    if (figures->count == 0)
        return;
    qsort(figures->all, figures->count, sizeof figures->all[0], compare);
    struct figure *worst = &figures->all[figures->count - 1];
    unsigned above = 0;
    for (unsigned i = 0; i < figures->count; i++)
        above += figures->all[i].ns > GW_S(1);
    print_message(
        "%-24s %5u: median %4lld ms, 95 %% %4lld, 99 %% %4lld, worst %5lld (seed %llu); %u above 1 s%s\n",
        what, figures->count, (long long)(quantile(figures, 0.5) / GW_MS(1)),
        (long long)(quantile(figures, 0.95) / GW_MS(1)), (long long)(quantile(figures, 0.99) / GW_MS(1)),
        (long long)(worst->ns / GW_MS(1)), (unsigned long long)worst->seed, above, more);
}

/* ---- the search */

static struct figures gaps[CHANGES], directs[CHANGES], all_gaps, all_directs, short_gaps;
static unsigned switched[CHANGES];

/* From now on until both ends have a direct path, and keep it for a while. */
static int64_t until_direct(struct gw_mono began)
{
    struct gw_mono last = at.net.clock.now;
    if (are_direct() && gw_mono_sub(at.net.clock.now, began) > WATCHED_NS)
        return 0;
    while (gw_mono_sub(last, began) < DIRECT_NS && gw_mono_sub(at.net.clock.now, last) < CALM_NS) {
        sim_net_run(&at.net, GW_MS(20));
        if (!are_direct())
            last = at.net.clock.now;
    }
    return gw_mono_sub(last, began);
}

static void one_run(unsigned which, uint64_t seed)
{
    begin(seed);
    switches[0] = switches[1] = 0;
    sim_travel_watch(&at);
    changes[which].happens();
    struct gw_mono began = at.net.clock.now, last = began;
    for (int64_t passed = 0; passed < WATCHED_NS; passed += GW_MS(20)) {
        sim_net_run(&at.net, GW_MS(20));
        if (!are_direct())
            last = at.net.clock.now;
    }
    int64_t gap = sim_travel_gap(&at), direct = 0;
    unsigned most = switches[0] > switches[1] ? switches[0] : switches[1];
    if (changes[which].happens != dies) {
        direct =
            gw_mono_sub(at.net.clock.now, last) >= CALM_NS ? gw_mono_sub(last, began) : until_direct(began);
        note(&directs[which], direct, seed);
        note(&all_directs, direct, seed);
    }
    if (getenv("GW_EACH"))
        print_message(
            "%s, seed %llu: RTT %lld ms, loss %.1f %%, %s: nothing for %lld ms, direct after %lld, %u and %u switches\n",
            changes[which].name, (unsigned long long)seed, (long long)(run.rtt_ns / GW_MS(1)), 100 * run.loss,
            run.is_late ? "late" : "on time", (long long)(gap / GW_MS(1)), (long long)(direct / GW_MS(1)),
            switches[0], switches[1]);
    note(&gaps[which], gap, seed);
    note(&all_gaps, gap, seed);
    if (run.rtt_ns <= GW_MS(60))
        note(&short_gaps, gap, seed);
    switched[which] = most > switched[which] ? most : switched[which];
    end();
}

static void tell(void)
{
    print_message("without a byte:\n");
    for (unsigned i = 0; i < CHANGES; i++) {
        char more[48];
        snprintf(more, sizeof more, "; %u switches at most", switched[i]);
        print(changes[i].name, &gaps[i], more);
    }
    print("all", &all_gaps, "");
    print("of RTTs up to 60 ms", &short_gaps, "");
    print_message("until it is direct:\n");
    for (unsigned i = 0; i < CHANGES; i++)
        print(changes[i].name, &directs[i], "");
    print("all", &all_directs, "");
}

static void forget(struct figures *figures)
{
    free(figures->all);
    *figures = (struct figures){0};
}

static void forget_all(void)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        forget(&gaps[i]);
        forget(&directs[i]);
    }
    forget(&all_gaps);
    forget(&all_directs);
    forget(&short_gaps);
}

#define SEEDS 24u

static void test_gaps(void **state)
{
    (void)state;
    for (unsigned which = 0; which < CHANGES; which++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            one_run(which, 1000 * which + seed);
    }
    tell();
    assert_true(quantile(&short_gaps, 0.99) < GW_S(1));
    assert_true(quantile(&short_gaps, 1) < GW_S(2));
    /* To notice takes three round trips of the direct way, and what follows two of the relay's, which are twice as long. */
    assert_true(quantile(&all_gaps, 0.9) < GW_MS(1500));
    assert_true(quantile(&all_gaps, 1) < GW_S(4));
    assert_true(quantile(&all_directs, 0.95) < GW_S(5));
    assert_true(quantile(&all_directs, 1) < DIRECT_NS);
    for (unsigned i = 0; i < CHANGES; i++)
        assert_in_range(switched[i], 0, 12);
    forget_all();
}

/* ---- */

static void log_line(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level;
    const struct sim_node *who = at.net.running;
    print_message("%10.3f %-7s %s\n", (double)at.net.clock.now.ns / 1e9,
                  who == at.phone  ? "phone"
                  : who == at.home ? "home"
                                   : "anchor",
                  line);
}

static int search(int argc, char **argv)
{
    unsigned long runs = strtoul(argv[1], NULL, 10), first = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    unsigned long only = argc > 3 ? strtoul(argv[3], NULL, 10) : CHANGES;
    for (unsigned which = 0; which < CHANGES; which++) {
        for (uint64_t seed = first; seed < first + runs && (only == CHANGES || only == which); seed++)
            one_run(which, seed);
    }
    tell();
    forget_all();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaps),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    gw_log_set_sink(log_line, NULL);
    return argc > 1 ? search(argc, argv) : cmocka_run_group_tests(tests, NULL, NULL);
}
