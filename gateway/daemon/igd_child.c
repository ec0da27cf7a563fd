/* SPDX-License-Identifier: MIT */
/* `peergate igd VERB ROUTER CLIENT INSIDE OUTSIDE LIFETIME URL`: what the daemon starts to ask a UPnP router (igd.h); nobody types it. It gives up every privilege, looks for the
 * router (only at ROUTER: whoever else answers in the local network is not it), does what VERB says (map, unmap, find) and prints one line. The asking is igd_router.c's. */
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/igd_router.h"

#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534u
#define CPU_S 5u
#define MEMORY (256ul << 20)

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* What a daemon that is not root was given (ambient ones, or the file's) is there after exec, too. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return syscall(SYS_capset, &head, none) == 0;
}

/* false: it could not, and nothing more is done. */
static bool drop_privileges(void)
{
    const struct rlimit cpu = {CPU_S, CPU_S}, memory = {MEMORY, MEMORY}, none = {0, 0};
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &none);
    if (!IS_SANITIZED) /* which reserves terabytes */
        setrlimit(RLIMIT_AS, &memory);
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return false;
    return drop_capabilities() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    if (argc != 8)
        return gw_cmd_usage_error(ctx, "the daemon asks this, nobody else");
    const struct gw_igd_request request = {.verb = argv[1],
                                           .router = argv[2],
                                           .client = argv[3],
                                           .inside = argv[4],
                                           .outside = argv[5],
                                           .lifetime = argv[6]};
    if (!drop_privileges())
        return gw_cmd_fail(ctx, "cannot give up privileges");
    bool is_known = strcmp(argv[7], "-") != 0;
    if ((!is_known || !gw_igd_router_ask(&request, argv[7], stdout)) &&
        !gw_igd_router_search(&request, stdout))
        printf("none\n");
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_igd = {
    .name = "igd",
    .summary = NULL,
    .usage = "usage: peergate igd VERB ROUTER CLIENT INSIDE OUTSIDE LIFETIME URL\n\n"
             "What the daemon starts to ask a UPnP router for a port.\n",
    .run = run,
};
