/* SPDX-License-Identifier: MIT */
/* socksload cold: from starting a program to the first byte through it. The clock starts before fork(); whoever
 * refuses is asked again, as a person's browser would be, but every half a millisecond. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/load.h"

enum { RETRY_US = 500 };

struct run {
    struct proxied_target target;
    int epoll;
    uint64_t start;
    uint64_t deadline;
    uint64_t listening; /* when the proxy first took a connection */
    uint64_t tries;
    struct load_failures failures;
    struct proxied proxied;
};

static pid_t spawn(char **command)
{
    pid_t pid = fork();

    if (pid < 0)
        tool_die("fork");
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execvp(command[0], command);
    tool_die("%s", command[0]);
}

static bool step(struct run *r)
{
    struct epoll_event event;
    char bytes[4096];
    ssize_t n;

    if (epoll_wait(r->epoll, &event, 1, load_wait_ms(r->deadline)) <= 0) {
        load_failed(&r->failures, "timed out");
        return false;
    }
    if (r->proxied.state != PROXIED_OPEN) {
        proxied_event(&r->proxied);
        if (!r->listening && r->proxied.state != PROXIED_CONNECTING && r->proxied.state != PROXIED_FAILED)
            r->listening = tool_now();
        return false;
    }
    n = recv(r->proxied.fd, bytes, sizeof bytes, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        r->proxied.state = PROXIED_FAILED;
        r->proxied.why = "closed before the first byte";
    }
    return n > 0;
}

/* One try; true when the first byte was there. */
static bool try_once(struct run *r)
{
    bool got_it = false;

    r->tries++;
    proxied_start(&r->proxied, &r->target, r->epoll, NULL);
    while (!got_it && r->proxied.state != PROXIED_FAILED && tool_now() < r->deadline)
        got_it = step(r);
    if (r->proxied.state == PROXIED_FAILED)
        load_failed(&r->failures, r->proxied.why);
    return got_it;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int i = 0; i < 300; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        usleep(10000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static double since(const struct run *r, uint64_t t)
{
    return t ? (double)(t - r->start) / 1e6 : -1;
}

int load_cold(const struct load_options *o)
{
    struct run r = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    bool got_it = false;
    uint64_t first;
    pid_t pid;

    errno = 0;
    if (!o->command[0])
        tool_die("cold wants a command behind --");
    load_target(&r.target, o, o->say);
    r.start = tool_now();
    r.deadline = r.start + (uint64_t)(o->timeout_s * 1e9);
    pid = spawn(o->command);
    while (!(got_it = try_once(&r)) && tool_now() < r.deadline) {
        proxied_close(&r.proxied);
        usleep(RETRY_US);
    }
    first = tool_now();
    proxied_close(&r.proxied);
    end_child(pid);
    printf(
        "{\"first_byte_ms\": %.3f, \"listening_ms\": %.3f, \"asked_ms\": %.3f, \"opened_ms\": %.3f, \"tries\": %llu, ",
        got_it ? since(&r, first) : -1, since(&r, r.listening), since(&r, r.proxied.asked),
        since(&r, r.proxied.opened), (unsigned long long)r.tries);
    load_print_failures(&r.failures);
    printf("}\n");
    return got_it ? 0 : 1;
}
