/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/igd_router.h"

#include "gateway/wire/addr.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_MS 2000
#define ONLY_PERMANENT_LEASES 725
#define CONFLICT 718
#define CONFLICTS_MAX 4u

struct igd {
    const struct gw_igd_request *request;
    char found[256]; /* the description's URL */
    struct UPNPUrls urls;
    struct IGDdatas data;
};

/* ---- finding */

/* http://ROUTER:... or http://ROUTER/... */
static bool is_at_router(const struct igd *igd, const char *url)
{
    size_t len = strlen(igd->request->router);
    return url && strncmp(url, "http://", 7) == 0 && strncmp(url + 7, igd->request->router, len) == 0 &&
           (url[7 + len] == ':' || url[7 + len] == '/');
}

/* The description is read, and has a connection that can be asked, at the router too. Then urls are to be freed. */
static bool take_description(struct igd *igd, const char *url)
{
    char lan[64];
    if (!is_at_router(igd, url) || strlen(url) >= sizeof igd->found ||
        !UPNP_GetIGDFromUrl(url, &igd->urls, &igd->data, lan, sizeof lan))
        return false;
    snprintf(igd->found, sizeof igd->found, "%s", url);
    if (is_at_router(igd, igd->urls.controlURL) && igd->data.first.servicetype[0] != '\0')
        return true;
    FreeUPNPUrls(&igd->urls);
    return false;
}

/* ---- doing */

static int add(struct igd *igd, const char *outside, const char *lifetime)
{
    return UPNP_AddPortMapping(igd->urls.controlURL, igd->data.first.servicetype, outside,
                               igd->request->inside, igd->request->client, "peergate", "UDP", NULL, lifetime);
}

/* The port that is wished for, or one of the next: another machine may have it. outside[] is what it became, lifetime 0 where the router has only lasting ones. */
static int add_somewhere(struct igd *igd, char outside[8], const char **lifetime)
{
    long port = strtol(igd->request->outside, NULL, 10);
    int err = 0;
    *lifetime = igd->request->lifetime;
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

/* The port of the last attempt counts, not the one that was wished for. */
static void map(struct igd *igd, FILE *out)
{
    char ip[40] = "", outside[8];
    struct gw_addr external;
    const char *lifetime, *reason;
    int err = UPNP_GetExternalIPAddress(igd->urls.controlURL, igd->data.first.servicetype, ip);
    if (err == UPNPCOMMAND_SUCCESS)
        err = add_somewhere(igd, outside, &lifetime);
    /* These are the router's own words, in which there may be lines. */
    if (err == UPNPCOMMAND_SUCCESS && gw_addr_parse_ip(&external, ip, 0) == 0) {
        fprintf(out, "mapped %s %s %s %s\n", igd->found, ip, outside, lifetime);
        return;
    }
    reason = err != UPNPCOMMAND_SUCCESS ? strupnperror(err) : "it has no address outside";
    fprintf(out, "refused %s %s\n", igd->found, reason ? reason : "for a reason of its own");
}

static void act(struct igd *igd, FILE *out)
{
    const char *verb = igd->request->verb;
    if (strcmp(verb, "map") == 0) {
        map(igd, out);
        return;
    }
    if (strcmp(verb, "unmap") == 0)
        UPNP_DeletePortMapping(igd->urls.controlURL, igd->data.first.servicetype, igd->request->outside,
                               "UDP", NULL);
    fprintf(out, "found %s\n", igd->found);
}

bool gw_igd_router_ask(const struct gw_igd_request *request, const char *url, FILE *out)
{
    struct igd igd = {.request = request};
    if (!take_description(&igd, url))
        return false;
    act(&igd, out);
    FreeUPNPUrls(&igd.urls);
    return true;
}

bool gw_igd_router_search(const struct gw_igd_request *request, FILE *out)
{
    int err = 0;
    bool is_found = false;
    struct UPNPDev *list = upnpDiscover(SEARCH_MS, request->client, NULL, 0, 0, 2, &err);
    for (const struct UPNPDev *dev = list; dev && !is_found; dev = dev->pNext)
        is_found = gw_igd_router_ask(request, dev->descURL, out);
    freeUPNPDevlist(list);
    return is_found;
}
