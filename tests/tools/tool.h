/* SPDX-License-Identifier: MIT */
/* What the test tools share: a clock, command-line options from a table, addresses, and quantiles. A tool that
 * can't do what it is asked says so in one line and ends: there is nobody to hand an error to. */
#ifndef TESTS_TOOLS_TOOL_H
#define TESTS_TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define TOOL_S UINT64_C(1000000000)
#define TOOL_MS UINT64_C(1000000)
#define TOOL_NEVER UINT64_MAX

/* CLOCK_MONOTONIC, in nanoseconds. */
uint64_t tool_now(void);

/* Prints "tool: what" (with errno's text where errno is not 0) to stderr and exits with 1. */
_Noreturn void tool_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum tool_kind { TOOL_FLAG, TOOL_COUNT, TOOL_NUMBER, TOOL_TEXT };

/* One option, "--name" or "--name VALUE"; `to` is a bool, uint64_t, double or const char * by kind. */
struct tool_option {
    const char *name;
    enum tool_kind kind;
    void *to;
    const char *help;
};

/* Reads options up to the first word that is none, or up to "--". Returns the index of that word (or the one
 * after "--"). `options` ends with a NULL name. On --help prints `usage` and the table, and exits. */
int tool_options(int argc, char **argv, const char *usage, const struct tool_option *options);

struct tool_address {
    struct sockaddr_storage sa;
    socklen_t len;
};

/* "127.0.0.1:80", "[::1]:80" or "unix:/path"; dies of anything else. */
struct tool_address tool_address(const char *text);

/* A growing list of measurements. Zeroed memory is an empty one. */
struct tool_samples {
    double *values;
    size_t count;
    size_t room;
};

void tool_samples_add(struct tool_samples *, double value);
/* Sorts; q from 0 to 1. An empty list gives 0. */
double tool_samples_quantile(struct tool_samples *, double q);
void tool_samples_fini(struct tool_samples *);

/* Raises RLIMIT_NOFILE to its hard limit and returns it. */
size_t tool_raise_files(void);

#endif
