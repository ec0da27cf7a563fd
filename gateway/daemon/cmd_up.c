/* SPDX-License-Identifier: MIT */
/* `up`: the daemon, in the foreground unless asked otherwise. In the background it is a child that tells its parent, through a pipe,
 * when it listens; so `up -b` returns when everything works, or says why it does not. */
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/daemon.h"

#include "gateway/base/log.h"
#include "gateway/config/dir.h"
#include "gateway/daemon/client.h"
#include "gateway/daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct up_options {
    bool background, to_syslog, has_cores;
    const char *log_file;
};

/* From now on nothing of the terminal is used. */
static void leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || chdir("/") < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

/* A daemon in the background works in "/". */
static bool absolute(const char *name, char *path, size_t path_len)
{
    char here[GW_DIR_PATH_MAX] = "";
    if (name[0] != '/' && !getcwd(here, sizeof here))
        return false;
    int len = snprintf(path, path_len, "%s%s%s", here, name[0] == '/' ? "" : "/", name);
    return len > 0 && (size_t)len < path_len;
}

static bool choose_log(struct gw_cmd_context *ctx, struct gw_logsink *log, const struct up_options *options,
                       char *path, size_t path_len)
{
    if (options->to_syslog) {
        gw_logsink_to_syslog(log);
        return true;
    }
    if (!options->log_file && !options->background)
        return true;
    if (!options->log_file)
        gw_cmd_path(ctx, "peergate.log", path, path_len);
    else if (!absolute(options->log_file, path, path_len))
        return gw_cmd_fail(ctx, "the log's path is too long") == GW_EXIT_OK;
    int err = gw_logsink_to_file(log, path);
    if (err != 0)
        gw_cmd_fail(ctx, "cannot open the log %s: %s", path, strerror(-err));
    return err == 0;
}

/* Every connection is a descriptor, and the usual soft limit is 1024. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        gw_log_debug("cannot raise the limit of open files: %s", strerror(errno));
}

/* ready_fd: where to say that everything listens; -1 in the foreground. */
static int run_daemon(struct gw_cmd_context *ctx, const struct up_options *options, int ready_fd)
{
    struct gw_daemon *daemon;
    struct gw_diag diag = {0};
    struct gw_logsink log;
    char log_path[GW_DIR_PATH_MAX];

    gw_logsink_init(&log);
    if (!choose_log(ctx, &log, options, log_path, sizeof log_path))
        return GW_EXIT_FAILED;
    gw_logsink_use(&log);
    raise_limits();
    int err = options->has_cores ? 0 : gw_process_hide_memory();
    if (err != 0)
        gw_log_warn("other programs of this user may be able to read the keys in memory: %s", strerror(-err));
    const struct gw_daemon_params params = {.dir = ctx->dir, .verbose = ctx->verbose, .log = &log};
    err = gw_daemon_new(&daemon, &params, &diag);
    if (err != 0) {
        gw_cmd_print_diag(ctx, &diag);
        gw_diag_clear(&diag);
        return GW_EXIT_FAILED;
    }
    gw_daemon_log_diag(&diag);
    gw_diag_clear(&diag);
    if (ctx->json) {
        json_t *ready = gw_daemon_ready_json(daemon);
        gw_client_print_json_line(ctx, ready);
        json_decref(ready);
    }
    if (ready_fd >= 0) {
        leave_terminal();
        if (write(ready_fd, "", 1) != 1)
            gw_log_debug("whoever started us is gone");
        close(ready_fd);
    }
    err = gw_daemon_run(daemon);
    gw_daemon_free(daemon);
    gw_log_info("ended");
    return err == 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int wait_for_child(int ready_fd, pid_t child)
{
    char byte;
    int status;
    ssize_t got;
    do
        got = read(ready_fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1)
        return GW_EXIT_OK;
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return GW_EXIT_FAILED;
}

static int run_in_background(struct gw_cmd_context *ctx, const struct up_options *options)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return gw_cmd_fail(ctx, "cannot make a pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return gw_cmd_fail(ctx, "cannot start another process: %s", strerror(errno));
    if (child > 0) {
        close(ready[1]);
        return wait_for_child(ready[0], child);
    }
    close(ready[0]);
    setsid();
    return run_daemon(ctx, options, ready[1]);
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    struct up_options options = {0};
    bool foreground = false;
    const struct gw_cmd_option table[] = {{"--background", &options.background, NULL},
                                          {"-b", &options.background, NULL},
                                          {"--foreground", &foreground, NULL},
                                          {"--syslog", &options.to_syslog, NULL},
                                          {"--log", NULL, &options.log_file},
                                          {"--cores", &options.has_cores, NULL},
                                          {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, table, 0, 0);
    if (status != GW_EXIT_OK)
        return status;
    if (options.to_syslog && options.log_file)
        return gw_cmd_usage_error(ctx, "--syslog and --log exclude each other");
    if (options.background && !foreground)
        return run_in_background(ctx, &options);
    return run_daemon(ctx, &options, -1);
}

const struct gw_command gw_cmd_up = {
    .name = "up",
    .summary = "start the daemon (in the foreground; Ctrl-C ends it)",
    .usage = "usage: peergate up [-b] [--log FILE | --syslog] [--cores] [--json]\n\n"
             "Starts the daemon of the folder: its peers, its services, its proxy. It logs to\n"
             "stderr and ends with Ctrl-C; -v says more.\n\n"
             "  -b, --background   return as soon as it listens; it then logs to DIR/peergate.log\n"
             "  --log FILE         log to this file\n"
             "  --syslog           log to syslog\n"
             "  --cores            let it be debugged: cores are written, and other programs of\n"
             "                     the user may look into its memory, where the keys are\n\n"
             "With --json a line on stdout says that it listens, and where.\n"
             "SIGHUP, or `peergate reload`, reads the files again.\n",
    .run = run,
};
