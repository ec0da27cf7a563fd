/* SPDX-License-Identifier: MIT */
/* A load generator for SOCKS5 proxies: what many programs that use one would do, and how long each step took.
 * One thread, epoll. The modes are in load_<mode>.c; tests/tools/service.c is what to point it at. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "tests/tools/load.h"
#include "tests/tools/pattern.h"

static const char usage[] =
    "socksload open|ttfb|hold|get|put|cold|rtt [OPTIONS] [-- COMMAND]\n"
    "  open   --count connections, --parallel at a time, each to its first byte (the service speaks first, or --say)\n"
    "  ttfb   the same one at a time, with the request right behind CONNECT, --gap apart\n"
    "  hold   opens --count; prints; on a line on stdin uses all once more; prints; on another line closes\n"
    "  get    --parallel downloads of --bytes or for --seconds from a service's http port\n"
    "  put    --parallel uploads to a service's sink port\n"
    "  cold   starts COMMAND and tries until the first byte comes through it\n"
    "  rtt    round trips to --target (IPv4) by ICMP echo";

static const struct {
    const char *name;
    int (*run)(const struct load_options *);
    uint64_t count;
    uint64_t parallel;
    enum proxied_pipeline pipeline;
} modes[] = {
    {"open", load_open, 1000, 64, PROXIED_STEPWISE}, {"ttfb", load_open, 100, 1, PROXIED_REQUEST},
    {"hold", load_hold, 1000, 64, PROXIED_STEPWISE}, {"get", load_get, 0, 1, PROXIED_STEPWISE},
    {"put", load_put, 0, 1, PROXIED_STEPWISE},       {"cold", load_cold, 1, 1, PROXIED_REQUEST},
    {"rtt", load_rtt, 100, 1, PROXIED_STEPWISE},
};

/* --- what the modes share ------------------------------------------------------------------------------------- */

void load_failed(struct load_failures *f, const char *why)
{
    size_t room = sizeof f->reasons / sizeof *f->reasons;

    f->total++;
    for (size_t i = 0; i < room; i++) {
        if (f->reasons[i].why && strcmp(f->reasons[i].why, why) != 0)
            continue;
        f->reasons[i].why = why;
        f->reasons[i].count++;
        return;
    }
}

void load_print_failures(const struct load_failures *f)
{
    printf("\"failed\": %llu, \"why\": {", (unsigned long long)f->total);
    for (size_t i = 0; i < sizeof f->reasons / sizeof *f->reasons && f->reasons[i].why; i++)
        printf("%s\"%s\": %llu", i ? ", " : "", f->reasons[i].why, (unsigned long long)f->reasons[i].count);
    printf("}");
}

void load_print_times(const char *name, struct tool_samples *s)
{
    printf("\"%s_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}", name,
           tool_samples_quantile(s, 0.5) / 1e3, tool_samples_quantile(s, 0.9) / 1e3,
           tool_samples_quantile(s, 0.99) / 1e3, tool_samples_quantile(s, 1) / 1e3);
}

void load_target(struct proxied_target *t, const struct load_options *o, const char *request)
{
    proxied_target_init(t, o->proxy, o->target, o->pipeline, request, strlen(request));
    t->congestion = o->congestion;
}

void *load_zeroed(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);

    if (!p)
        tool_die("no memory");
    return p;
}

int load_wait_ms(uint64_t deadline)
{
    uint64_t now = tool_now();

    return deadline > now ? (int)((deadline - now) / TOOL_MS) + 1 : 0;
}

/* --- main ---------------------------------------------------------------------------------------------------- */

static enum proxied_pipeline pipeline_by_name(const char *name)
{
    static const char *const names[] = {"stepwise", "request", "all"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum proxied_pipeline)i;
    }
    errno = 0;
    tool_die("--pipeline is stepwise, request or all");
}

static size_t mode_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, name) == 0)
            return i;
    }
    errno = 0;
    tool_die("no mode %s (--help)", name);
}

int main(int argc, char **argv)
{
    struct load_options o = {.timeout_s = 30, .say = ""};
    const char *pipeline = NULL;
    const struct tool_option table[] = {
        {"proxy", TOOL_TEXT, &o.proxy,
         "SOCKS5 at 127.0.0.1:1080 or unix:/path; without it straight to the target"},
        {"target", TOOL_TEXT, &o.target, "HOST:PORT, by name through a proxy"},
        {"count", TOOL_COUNT, &o.count, "connections"},
        {"parallel", TOOL_COUNT, &o.parallel, "of them at a time"},
        {"bytes", TOOL_COUNT, &o.bytes, "of a transfer"},
        {"seconds", TOOL_NUMBER, &o.seconds, "how long transfers last"},
        {"timeout", TOOL_NUMBER, &o.timeout_s, "seconds that anything may take (30)"},
        {"gap", TOOL_NUMBER, &o.gap_ms, "ms between two connections, one at a time"},
        {"say", TOOL_TEXT, &o.say, "send this first; without it the service speaks first"},
        {"pipeline", TOOL_TEXT, &pipeline, "stepwise, request (right behind CONNECT), all"},
        {"congestion", TOOL_TEXT, &o.congestion, "TCP congestion control of our sockets, e.g. cubic"},
        {"check", TOOL_FLAG, &o.check, "compare what comes with what was to come"},
        {0},
    };
    size_t mode;
    int at;

    errno = 0;
    if (argc > 1 && argv[1][0] == '-')
        tool_options(argc, argv, usage, table);
    if (argc < 2 || argv[1][0] == '-')
        tool_die("which mode? (--help)");
    mode = mode_by_name(argv[1]);
    o.count = modes[mode].count;
    o.parallel = modes[mode].parallel;
    o.pipeline = modes[mode].pipeline;
    at = tool_options(argc - 1, argv + 1, usage, table) + 1;
    if (pipeline)
        o.pipeline = pipeline_by_name(pipeline);
    o.command = argv + at;
    errno = 0;
    if (!o.target)
        tool_die("--target is missing");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    tool_raise_files();
    pattern_init();
    return modes[mode].run(&o);
}
