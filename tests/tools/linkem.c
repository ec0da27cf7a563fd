/* SPDX-License-Identifier: MIT */
/* A link with delay, loss and a rate limit between two network namespaces, in user space: the kernels that we test
 * on often have no netem. It makes a TUN device in each namespace and carries packets from one to the other, a
 * thread a direction. The devices offer no offloads, so the kernel cuts super-packets (TSO, UDP GSO) before they get
 * here, and loss hits single packets as on a wire. Good for about 1 Gbit/s; nothing faster is measured through it.
 *
 *   namespace LEFT                                             namespace RIGHT
 *   [ TUN 10.9.0.1/24 ] <- delayline <---- linkem ----> delayline -> [ TUN 10.9.0.2/24 ]
 *
 *   linkem --delay 10 --rate 1000 --loss 0.1 LEFT,DEVICE,10.9.0.1/24 RIGHT,DEVICE,10.9.0.2/24
 *
 * A side is the namespace's name, or "-" for the one it is started in, the device's name and any number of addresses.
 * A line {"ready": true} says when the devices are there; SIGUSR1 prints the counters, SIGTERM and SIGINT print
 * them and end it (the devices go away with it). */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/tools/delayline.h"
#include "tests/tools/tool.h"
#include "tests/tools/tundev.h"

enum {
    BATCH = 64,         /* packets moved between two looks at the clock */
    LATE_BUCKETS = 24,  /* of 2^n microseconds */
    MEMORY = 256 << 20, /* for packets on the way, a direction; taken as it is needed */
};

struct direction {
    const char *name;
    int in;
    int out;
    int stop;
    uint64_t quantum_ns;
    struct delayline *line;
    uint64_t late[LATE_BUCKETS];
    uint64_t late_max_ns;
    uint64_t out_refused;
    pthread_t thread;
};

struct options {
    double delay_ms;
    double jitter_ms;
    double rate_mbit;
    double buffer_ms;
    uint64_t buffer_bytes;
    double loss;
    double burst;
    double reorder;
    double reorder_ms;
    double duplicate;
    uint64_t seed;
    uint64_t mtu;
    uint64_t quantum_us;
    bool reverse_clean;
};

/* --- moving packets ------------------------------------------------------------------------------------------ */

static void take_in(struct direction *d, size_t mtu)
{
    for (;;) {
        uint64_t now = tool_now();

        for (int i = 0; i < BATCH; i++) {
            ssize_t n = read(d->in, delayline_slot(d->line), mtu);

            if (n < 0)
                return;
            delayline_push(d->line, now, (size_t)n);
        }
        if (delayline_next(d->line) <= now)
            return; /* some are due: those first */
    }
}

static void note_lateness(struct direction *d, uint64_t late_ns)
{
    uint64_t us = late_ns / 1000;
    int bucket = us ? 64 - __builtin_clzll(us) : 0;

    d->late[bucket < LATE_BUCKETS ? bucket : LATE_BUCKETS - 1]++;
    if (late_ns > d->late_max_ns)
        d->late_max_ns = late_ns;
}

static void give_out(struct direction *d)
{
    for (;;) {
        uint64_t now = tool_now();

        for (int i = 0; i < BATCH; i++) {
            uint64_t due = delayline_next(d->line);
            const uint8_t *bytes;
            size_t len;

            if (due > now)
                return;
            note_lateness(d, now - due);
            bytes = delayline_peek(d->line, &len);
            if (write(d->out, bytes, len) < 0)
                d->out_refused++;
            delayline_pop(d->line);
        }
    }
}

/* Until the next packet is due, but at least one quantum: a packet is at most so late, and the thread sleeps between. */
static struct timespec time_to_sleep(uint64_t next, uint64_t quantum_ns)
{
    uint64_t now = tool_now();
    uint64_t ns = next > now + quantum_ns ? next - now : quantum_ns;

    return (struct timespec){.tv_sec = (time_t)(ns / TOOL_S), .tv_nsec = (long)(ns % TOOL_S)};
}

static void be_punctual(void)
{
    struct sched_param param = {.sched_priority = 1};

    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    (void)pthread_setschedparam(pthread_self(), SCHED_RR,
                                &param); /* late where that is refused; `late_us` tells */
}

static size_t mtu_bytes;

static void *direction_run(void *arg)
{
    struct direction *d = arg;
    struct pollfd fds[] = {{.fd = d->in, .events = POLLIN}, {.fd = d->stop, .events = POLLIN}};

    be_punctual();
    while (!fds[1].revents) {
        uint64_t next;
        struct timespec sleep;

        take_in(d, mtu_bytes);
        give_out(d);
        next = delayline_next(d->line);
        sleep = time_to_sleep(next, d->quantum_ns);
        if (ppoll(fds, 2, next == TOOL_NEVER ? NULL : &sleep, NULL) < 0 && errno != EINTR)
            tool_die("ppoll");
    }
    return NULL;
}

/* --- reporting ----------------------------------------------------------------------------------------------- */

/* An upper bound in microseconds. */
static uint64_t late_quantile(const struct direction *d, double q)
{
    uint64_t total = 0;
    uint64_t seen = 0;

    for (int i = 0; i < LATE_BUCKETS; i++)
        total += d->late[i];
    for (int i = 0; i < LATE_BUCKETS; i++) {
        seen += d->late[i];
        if ((double)seen >= q * (double)total)
            return UINT64_C(1) << i;
    }
    return 0;
}

#define U(x) ((unsigned long long)(x))

static void print_direction(const struct direction *d, const struct tundev *from)
{
    const struct delayline_stats *s = delayline_stats(d->line);

    printf("\"%s\": {\"packets_in\": %llu, \"bytes_in\": %llu, \"packets_out\": %llu, \"bytes_out\": %llu, ",
           d->name, U(s->packets_in), U(s->bytes_in), U(s->packets_out), U(s->bytes_out));
    printf("\"lost\": %llu, \"dropped_queue\": %llu, \"dropped_room\": %llu, \"dropped_kernel\": %llu, ",
           U(s->lost), U(s->dropped_queue), U(s->dropped_room), U(tundev_kernel_drops(from)));
    printf("\"refused\": %llu, \"reordered\": %llu, \"duplicated\": %llu, \"queue_max_ms\": %.3f, ",
           U(d->out_refused), U(s->reordered), U(s->duplicated), (double)s->queue_max_ns / 1e6);
    printf("\"late_us_p50\": %llu, \"late_us_p99\": %llu, \"late_us_max\": %llu}", U(late_quantile(d, 0.5)),
           U(late_quantile(d, 0.99)), U(d->late_max_ns / 1000));
}

static void print_all(const struct direction d[2], const struct tundev sides[2])
{
    printf("{");
    print_direction(&d[0], &sides[0]);
    printf(", ");
    print_direction(&d[1], &sides[1]);
    printf("}\n");
    fflush(stdout);
}

/* --- main ---------------------------------------------------------------------------------------------------- */

static struct delayline_config line_config(const struct options *o, uint64_t seed, bool clean)
{
    struct delayline_config c = {
        .delay_ns = (uint64_t)(o->delay_ms * 1e6),
        .rate = (uint64_t)(o->rate_mbit * 1e6),
        .buffer_ns = (uint64_t)(o->buffer_ms * 1e6),
        .buffer_bytes = o->buffer_bytes,
        .seed = seed,
        .packet_max = (size_t)o->mtu,
        .packets_max = MEMORY / (size_t)o->mtu,
    };

    if (!clean) {
        c.jitter_ns = (uint64_t)(o->jitter_ms * 1e6);
        c.loss = o->loss / 100;
        c.burst = o->burst;
        c.reorder = o->reorder / 100;
        c.reorder_ns = (uint64_t)(o->reorder_ms * 1e6);
        c.duplicate = o->duplicate / 100;
    }
    return c;
}

static void start(struct direction *d, const struct tundev *from, const struct tundev *to, const char *name,
                  int stop, const struct options *o, bool clean)
{
    struct delayline_config config = line_config(o, o->seed + (from > to), clean);

    *d = (struct direction){
        .name = name,
        .in = from->fd,
        .out = to->fd,
        .stop = stop,
        .quantum_ns = o->quantum_us * 1000,
        .line = delayline_new(&config),
    };
    if (pthread_create(&d->thread, NULL, direction_run, d))
        tool_die("pthread_create");
}

static struct options read_options(int argc, char **argv, char *side[2])
{
    struct options o = {.seed = 1, .mtu = 1500, .quantum_us = 50, .reorder_ms = 1};
    const struct tool_option table[] = {
        {"delay", TOOL_NUMBER, &o.delay_ms, "one way, in ms"},
        {"jitter", TOOL_NUMBER, &o.jitter_ms, "up to so many ms more, order kept"},
        {"rate", TOOL_NUMBER, &o.rate_mbit, "Mbit/s of IP packets; 0: no limit"},
        {"buffer", TOOL_NUMBER, &o.buffer_ms, "the queue before the rate limit, in ms; 0: no limit"},
        {"buffer-bytes", TOOL_COUNT, &o.buffer_bytes, "the same in bytes"},
        {"loss", TOOL_NUMBER, &o.loss, "percent of packets, each way"},
        {"burst-loss", TOOL_NUMBER, &o.burst, "losses come in bursts of so many packets in the mean"},
        {"reorder", TOOL_NUMBER, &o.reorder, "percent of packets held back"},
        {"reorder-by", TOOL_NUMBER, &o.reorder_ms, "by so many ms (1)"},
        {"duplicate", TOOL_NUMBER, &o.duplicate, "percent of packets delivered twice"},
        {"clean-reverse", TOOL_FLAG, &o.reverse_clean, "right to left only delay and rate, no faults"},
        {"seed", TOOL_COUNT, &o.seed, "of the chances (1)"},
        {"mtu", TOOL_COUNT, &o.mtu, "of the devices (1500)"},
        {"quantum", TOOL_COUNT, &o.quantum_us, "the shortest sleep, in microseconds (50)"},
        {0},
    };
    int at = tool_options(argc, argv, "linkem [OPTIONS] NETNS,DEVICE[,ADDRESS/PREFIX...] NETNS,DEVICE[,...]",
                          table);

    errno = 0;
    if (argc - at != 2)
        tool_die("two sides are wanted (--help)");
    if (o.mtu < 68 || o.mtu > 65535)
        tool_die("--mtu is from 68 to 65535");
    if (o.loss > 100 || o.reorder > 100 || o.duplicate > 100)
        tool_die("a percentage is above 100");
    side[0] = argv[at];
    side[1] = argv[at + 1];
    return o;
}

int main(int argc, char **argv)
{
    char *text[2];
    struct options o = read_options(argc, argv, text);
    struct tundev sides[2];
    struct direction d[2];
    int stop = eventfd(0, EFD_CLOEXEC);
    sigset_t signals;
    int signal;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 0; i < 2; i++)
        sides[i] = tundev_open(text[i], (int)o.mtu);
    mtu_bytes = (size_t)o.mtu;
    start(&d[0], &sides[0], &sides[1], "left_to_right", stop, &o, false);
    start(&d[1], &sides[1], &sides[0], "right_to_left", stop, &o, o.reverse_clean);
    puts("{\"ready\": true}");
    fflush(stdout);
    while (sigwait(&signals, &signal) == 0 && signal == SIGUSR1)
        print_all(d, sides);
    if (eventfd_write(stop, 1))
        tool_die("eventfd");
    for (int i = 0; i < 2; i++)
        pthread_join(d[i].thread, NULL);
    print_all(d, sides);
    for (int i = 0; i < 2; i++)
        delayline_free(d[i].line);
    return 0;
}
