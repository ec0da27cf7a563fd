/* SPDX-License-Identifier: MIT */
#include "tests/tools/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>

uint64_t tool_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * TOOL_S + (uint64_t)t.tv_nsec;
}

void tool_die(const char *format, ...)
{
    int error = errno;
    va_list args;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (error)
        fprintf(stderr, ": %s", strerror(error));
    fputc('\n', stderr);
    exit(1);
}

/* --- options ------------------------------------------------------------------------------------------------- */

static void tool_help(const char *usage, const struct tool_option *option)
{
    static const char *const value[] = {"", " N", " X", " TEXT"};

    puts(usage);
    for (; option->name; option++) {
        char left[40];

        snprintf(left, sizeof left, "--%s%s", option->name, value[option->kind]);
        printf("  %-22s %s\n", left, option->help);
    }
    exit(0);
}

static void tool_option_set(const struct tool_option *option, const char *value)
{
    char *end = NULL;

    errno = 0;
    switch (option->kind) {
    case TOOL_FLAG:
        *(bool *)option->to = true;
        return;
    case TOOL_TEXT:
        *(const char **)option->to = value;
        return;
    case TOOL_COUNT:
        *(uint64_t *)option->to = strtoull(value, &end, 10);
        break;
    case TOOL_NUMBER:
        *(double *)option->to = strtod(value, &end);
        break;
    }
    if (errno || end == value || *end || *value == '-')
        tool_die("--%s wants a number, not \"%s\"", option->name, value);
}

int tool_options(int argc, char **argv, const char *usage, const struct tool_option *options)
{
    int i = 1;

    while (i < argc && strncmp(argv[i], "--", 2) == 0) {
        const char *name = argv[i++] + 2;
        const struct tool_option *option = options;

        if (!*name)
            break;
        if (strcmp(name, "help") == 0)
            tool_help(usage, options);
        while (option->name && strcmp(option->name, name) != 0)
            option++;
        errno = 0;
        if (!option->name)
            tool_die("no option --%s (--help lists them)", name);
        if (option->kind != TOOL_FLAG && i == argc)
            tool_die("--%s wants a value", name);
        tool_option_set(option, option->kind == TOOL_FLAG ? NULL : argv[i++]);
    }
    return i;
}

/* --- addresses ----------------------------------------------------------------------------------------------- */

static bool address_unix(const char *path, struct tool_address *a)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;

    if (strlen(path) >= sizeof un->sun_path)
        return false;
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    a->len = sizeof *un;
    return true;
}

static bool address_inet(const char *host, uint16_t port, struct tool_address *a)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&a->sa;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->sa;

    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        a->len = sizeof *in;
        return true;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        a->len = sizeof *in6;
        return true;
    }
    return false;
}

struct tool_address tool_address(const char *text)
{
    struct tool_address a = {0};
    char host[64];
    unsigned port;

    if (strncmp(text, "unix:", 5) == 0 && address_unix(text + 5, &a))
        return a;
    if ((sscanf(text, "[%63[^]]]:%u", host, &port) == 2 || sscanf(text, "%63[^:]:%u", host, &port) == 2) &&
        port < 65536 && address_inet(host, (uint16_t)port, &a))
        return a;
    errno = 0;
    tool_die("not an address: \"%s\" (1.2.3.4:80, [::1]:80 or unix:/path)", text);
}

/* --- samples ------------------------------------------------------------------------------------------------- */

void tool_samples_add(struct tool_samples *s, double value)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        s->values = realloc(s->values, s->room * sizeof *s->values);
        if (!s->values)
            tool_die("no memory for %zu samples", s->room);
    }
    s->values[s->count++] = value;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double tool_samples_quantile(struct tool_samples *s, double q)
{
    size_t at;

    if (!s->count)
        return 0;
    qsort(s->values, s->count, sizeof *s->values, by_value);
    at = (size_t)(q * (double)s->count);
    return s->values[at < s->count ? at : s->count - 1];
}

void tool_samples_fini(struct tool_samples *s)
{
    free(s->values);
    *s = (struct tool_samples){0};
}

size_t tool_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        tool_die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        tool_die("setrlimit");
    return limit.rlim_cur;
}
