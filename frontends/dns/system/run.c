/* SPDX-License-Identifier: MIT */
/* posix_spawn, and a look at the child every few milliseconds: its pipes say nothing of its end, as what it starts may hold them for ever. */
#include "frontends/dns/system/run.h"

#include "gateway/base/err.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 10u
#define SAID_MAX 4096u
#define CLEAN_UP_MS 500u /* from SIGTERM to SIGKILL */
#define PATIENCE_MS 2000u

struct gw_sysdns_run {
    struct event *tick;
    pid_t pid; /* -1: it has ended */
    int said_fd;
    unsigned looks_left;
    bool is_told; /* to end */
    gw_sysdns_run_fn *on_end;
    void *ctx;
};

/* ---- starting */

/* A file in memory with the text, at its beginning. -errno. */
static int text_fd(const char *text)
{
    int fd = memfd_create("peergate", MFD_CLOEXEC);
    size_t len = strlen(text);
    if (fd < 0)
        return -errno;
    if (write(fd, text, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -EIO;
}

/* Nothing of our signals and descriptors gets into it. */
static int spawn(pid_t *pid, const struct gw_sysdns_run_params *params, int in, int out)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
    static char *const environment[] = {path, language, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int err = posix_spawn_file_actions_init(&files);
    if (err != 0)
        return -err;
    err = posix_spawnattr_init(&attr);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
    if (err == 0 && params->keep_fd >= 0) /* onto itself: without its close-on-exec */
        err = posix_spawn_file_actions_adddup2(&files, params->keep_fd, params->keep_fd);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (err == 0)
        err = posix_spawn(pid, params->argv[0], &files, &attr, (char *const *)(uintptr_t)params->argv,
                          environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return -err;
}

/* ---- its end */

/* The last line that is not empty. */
static void read_said(int fd, char said[SAID_MAX])
{
    ssize_t len = pread(fd, said, SAID_MAX - 1, 0);
    said[len > 0 ? len : 0] = '\0';
    char *end = said + strlen(said), *start;
    while (end > said && (end[-1] == '\n' || end[-1] == ' '))
        *--end = '\0';
    start = strrchr(said, '\n');
    if (start)
        memmove(said, start + 1, strlen(start));
}

static void end(struct gw_sysdns_run *run, int status)
{
    char said[SAID_MAX];
    gw_sysdns_run_fn *on_end = run->on_end;
    void *ctx = run->ctx;
    read_said(run->said_fd, said);
    gw_sysdns_run_free(run);
    on_end(status, said, ctx);
}

/* A shell script that may clean up behind itself leaves nothing. */
static void tell_to_end(struct gw_sysdns_run *run)
{
    kill(-run->pid, SIGTERM);
    run->is_told = true;
    run->looks_left = CLEAN_UP_MS / LOOK_MS;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_sysdns_run *run = arg;
    int status = 0;
    (void)fd, (void)what;
    pid_t got = waitpid(run->pid, &status, WNOHANG);
    if (got == run->pid || (got < 0 && errno == ECHILD)) {
        run->pid = -1;
        end(run, run->is_told                                               ? GW_E_TIMEOUT
                 : got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0
                                                                            : GW_E_STATE);
    } else if (run->looks_left > 0) {
        run->looks_left--;
    } else if (run->is_told) {
        end(run, GW_E_TIMEOUT);
    } else {
        tell_to_end(run);
    }
}

/* ---- */

static int start(struct gw_sysdns_run *run, const struct gw_sysdns_run_params *params)
{
    const struct timeval every = {.tv_usec = LOOK_MS * 1000};
    int in = text_fd(params->input ? params->input : "");
    run->said_fd = text_fd("");
    run->tick = event_new(params->base, -1, EV_PERSIST, on_tick, run);
    int err = in < 0 ? in : run->said_fd < 0 ? run->said_fd : run->tick ? 0 : GW_E_NOMEM;
    if (err == 0)
        err = spawn(&run->pid, params, in, run->said_fd);
    if (err != 0)
        run->pid = -1;
    else
        event_add(run->tick, &every);
    if (in >= 0)
        close(in);
    return err;
}

int gw_sysdns_run_new(struct gw_sysdns_run **out, const struct gw_sysdns_run_params *params)
{
    struct gw_sysdns_run *run = calloc(1, sizeof *run);
    *out = NULL;
    if (!run)
        return GW_E_NOMEM;
    run->pid = run->said_fd = -1;
    run->looks_left = params->timeout_ms / LOOK_MS;
    run->on_end = params->on_end;
    run->ctx = params->ctx;
    int err = start(run, params);
    if (err != 0) {
        gw_sysdns_run_free(run);
        return err;
    }
    *out = run;
    return 0;
}

/* Has it ended within that time? */
static bool wait_for(struct gw_sysdns_run *run, unsigned ms)
{
    const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    for (unsigned i = 0; run->pid > 0 && i <= ms / LOOK_MS; i++) {
        if (waitpid(run->pid, NULL, WNOHANG) != 0)
            run->pid = -1;
        else
            nanosleep(&look, NULL);
    }
    return run->pid < 0;
}

void gw_sysdns_run_kill(struct gw_sysdns_run *run)
{
    if (run && run->pid > 0) {
        kill(-run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
        run->pid = -1;
    }
    gw_sysdns_run_free(run);
}

void gw_sysdns_run_free(struct gw_sysdns_run *run)
{
    if (!run)
        return;
    if (run->pid > 0 && !run->is_told && !wait_for(run, PATIENCE_MS))
        tell_to_end(run);
    if (run->pid > 0 && !wait_for(run, run->looks_left * LOOK_MS)) {
        kill(-run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
    }
    if (run->tick)
        event_free(run->tick);
    if (run->said_fd >= 0)
        close(run->said_fd);
    free(run);
}
