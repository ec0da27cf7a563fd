/* SPDX-License-Identifier: MIT */
/* `peergate igd VERB ROUTER CLIENT INSIDE OUTSIDE LIFETIME URL`: what the daemon starts to ask a UPnP router (igd.h); nobody types it. It gives up every privilege, looks for the
 * router (only at ROUTER: whoever else answers in the local network is not it), does what VERB says (map, unmap, find) and prints one line. */
#include "gateway/daemon/cmd.h"

#include <grp.h>
#include <linux/capability.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEARCH_MS 2000
#define NOBODY 65534u
#define CPU_S 5u
#define MEMORY (256ul << 20)
#define ONLY_PERMANENT_LEASES 725
#define CONFLICT 718
#define CONFLICTS_MAX 4u

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

struct igd {
    const char *router, *client, *inside, *outside, *lifetime;
    char found[256]; /* the description's URL */
    struct UPNPUrls urls;
    struct IGDdatas data;
};

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

/* ---- finding */

/* http://ROUTER:... or http://ROUTER/... */
static bool is_at_router(const struct igd *igd, const char *url)
{
    size_t len = strlen(igd->router);
    return url && strncmp(url, "http://", 7) == 0 && strncmp(url + 7, igd->router, len) == 0 &&
           (url[7 + len] == ':' || url[7 + len] == '/');
}

/* The description is read, and has a connection that can be asked, at the router too. */
static bool take_description(struct igd *igd, const char *url)
{
    char lan[64];
    if (!is_at_router(igd, url) || strlen(url) >= sizeof igd->found ||
        !UPNP_GetIGDFromUrl(url, &igd->urls, &igd->data, lan, sizeof lan))
        return false;
    snprintf(igd->found, sizeof igd->found, "%s", url);
    return is_at_router(igd, igd->urls.controlURL) && igd->data.first.servicetype[0] != '\0';
}

static bool find(struct igd *igd, const char *url)
{
    int err = 0;
    bool is_found = strcmp(url, "-") != 0 && take_description(igd, url);
    if (is_found)
        return true;
    struct UPNPDev *list = upnpDiscover(SEARCH_MS, igd->client, NULL, 0, 0, 2, &err);
    for (const struct UPNPDev *dev = list; dev && !is_found; dev = dev->pNext)
        is_found = take_description(igd, dev->descURL);
    freeUPNPDevlist(list);
    return is_found;
}

/* ---- doing */

static int add(struct igd *igd, const char *outside, const char *lifetime)
{
    return UPNP_AddPortMapping(igd->urls.controlURL, igd->data.first.servicetype, outside, igd->inside,
                               igd->client, "peergate", "UDP", NULL, lifetime);
}

/* The port that is wished for, or one of the next: another machine may have it. outside[] is what it became, lifetime 0 where the router has only lasting ones. */
static int add_somewhere(struct igd *igd, char outside[8], const char **lifetime)
{
    long port = strtol(igd->outside, NULL, 10);
    int err = 0;
    *lifetime = igd->lifetime;
    for (unsigned tries = 0; tries < CONFLICTS_MAX; tries++) {
        snprintf(outside, 8, "%ld", port);
        err = add(igd, outside, *lifetime);
        if (err == ONLY_PERMANENT_LEASES) {
            *lifetime = "0";
            err = add(igd, outside, *lifetime);
        }
        if (err != CONFLICT)
            return err;
        port = port >= 65000 ? 1025 : port + 1;
    }
    return err;
}

/* The port of the last attempt counts, not the one on the command line. */
static int map(struct igd *igd)
{
    char ip[40] = "", outside[8];
    const char *lifetime, *reason;
    int err = UPNP_GetExternalIPAddress(igd->urls.controlURL, igd->data.first.servicetype, ip);
    if (err == UPNPCOMMAND_SUCCESS)
        err = add_somewhere(igd, outside, &lifetime);
    if (err == UPNPCOMMAND_SUCCESS && ip[0] != '\0') {
        printf("mapped %s %s %s %s\n", igd->found, ip, outside, lifetime);
        return GW_EXIT_OK;
    }
    reason = err != UPNPCOMMAND_SUCCESS ? strupnperror(err) : "it has no address outside";
    printf("refused %s %s\n", igd->found, reason ? reason : "for a reason of its own");
    return GW_EXIT_OK;
}

static int unmap(struct igd *igd)
{
    UPNP_DeletePortMapping(igd->urls.controlURL, igd->data.first.servicetype, igd->outside, "UDP", NULL);
    printf("found %s\n", igd->found);
    return GW_EXIT_OK;
}

static int act(struct igd *igd, const char *verb)
{
    if (strcmp(verb, "map") == 0)
        return map(igd);
    if (strcmp(verb, "unmap") == 0)
        return unmap(igd);
    printf("found %s\n", igd->found);
    return GW_EXIT_OK;
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    if (argc != 8)
        return gw_cmd_usage_error(ctx, "the daemon asks this, nobody else");
    struct igd igd = {
        .router = argv[2], .client = argv[3], .inside = argv[4], .outside = argv[5], .lifetime = argv[6]};
    if (!drop_privileges())
        return gw_cmd_fail(ctx, "cannot give up privileges");
    if (!find(&igd, argv[7])) {
        printf("none\n");
        return GW_EXIT_OK;
    }
    int status = act(&igd, argv[1]);
    FreeUPNPUrls(&igd.urls);
    return status;
}

const struct gw_command gw_cmd_igd = {
    .name = "igd",
    .summary = NULL,
    .usage = "usage: peergate igd VERB ROUTER CLIENT INSIDE OUTSIDE LIFETIME URL\n\n"
             "What the daemon starts to ask a UPnP router for a port.\n",
    .run = run,
};
