/* SPDX-License-Identifier: MIT */
/* The daemon: the networks that the owner's files ask for, and what they share: the loop, names, front-ends and the control socket. This is the one
 * place that knows all of them; what is built from the struct's parts is given the parts it needs. */
#ifndef GATEWAY_DAEMON_DAEMON_H
#define GATEWAY_DAEMON_DAEMON_H

#include "frontends/frontend.h"
#include "frontends/socks5/socks5.h"
#include "gateway/daemon/connect.h"
#include "gateway/daemon/control.h"
#include "gateway/daemon/dns_setup.h"
#include "gateway/daemon/endpoints.h"
#include "gateway/daemon/files.h"
#include "gateway/daemon/logsink.h"
#include "gateway/daemon/netstack_setup.h"
#include "gateway/daemon/network.h"
#include "gateway/daemon/signals.h"
#include "gateway/daemon/tun_setup.h"
#include "gateway/link/netwatch.h"
#include "gateway/packet/again.h"
#include "resolver/names_tier.h"
#include "resolver/resolver.h"

struct gw_daemon {
    char dir[GW_DIR_PATH_MAX];
    bool is_check;          /* as in gw_daemon_params */
    int verbose;            /* -v: the log says more than the configuration asks for */
    struct gw_logsink *log; /* borrowed */
    struct gw_files files;

    struct gw_loop *loop;
    struct gw_signals signals;
    int lock_fd; /* holds <control socket>.lock */
    struct gw_control *control;

    bool is_in_train; /* between on_packets_begin and on_packets_end */
    /* Of the packet before in it, when that was for the interface. */
    const struct gw_peer *again_peer;
    struct gw_again again;

    struct gw_list networks; /* struct gw_network.node, in the order of the file; never empty while it runs */
    struct gw_network_events events;
    struct gw_vip_space *addresses; /* what of virtual addresses is taken on this machine */
    unsigned connected;             /* peers */
    struct gw_flow_budget budget;
    struct gw_endpoints *endpoints;
    struct gw_netwatch *netwatch;
    struct event *expiry; /* authorized keys expire */

    struct gw_dialer *dialer;
    struct gw_resolver *resolver;
    struct gw_names_tier *names;
    struct gw_frontend frontend;
    struct gw_socks5 *socks5; /* NULL: none is asked for */
    struct gw_tun_setup tun;
    struct gw_netstack_setup netstack;
    struct gw_dns_setup dns;

    struct gw_connects connects;

    struct gw_mono started;
};

struct gw_daemon_params {
    const char *dir;
    int verbose;
    struct gw_logsink *log;
    bool
        is_check; /* only to look at the network for a moment: no front-end, no control socket, no service, and it begins nothing with any peer but the anchors */
};

/* Builds everything, listens, and logs that it does. On failure (0 is success) every reason is in the log or in diag. */
int gw_daemon_new(struct gw_daemon **out, const struct gw_daemon_params *params, struct gw_diag *diag);
/* Until it is told to stop (a signal, `down`). 0 or -errno. */
int gw_daemon_run(struct gw_daemon *daemon);
/* Ends flows, says so to the peers, closes. NULL is fine. */
void gw_daemon_free(struct gw_daemon *daemon);
void gw_daemon_stop(struct gw_daemon *daemon);

/* reload.c: loads the files again; when all are good, applies what changed and logs it. 0, or an error with the reasons in diag: then the
 * daemon goes on as it was. */
int gw_daemon_reload(struct gw_daemon *daemon, struct gw_diag *diag);
/* The parts of a (re)load, also used at the start. bad configuration: in diag. */
int gw_daemon_apply_names(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag);
int gw_daemon_apply_socks(struct gw_daemon *daemon, const struct gw_files *files, struct gw_diag *diag);
void gw_daemon_apply_log(struct gw_daemon *daemon, const struct gw_files *files);
/* networks.c: makes those of the files; at the start. */
int gw_daemon_make_networks(struct gw_daemon *daemon, struct gw_diag *diag);
/* Those that are new in the files, in the list `made`, for gw_daemon_change_networks or to be freed; struct gw_network.fresh of those that run is set. 0, or an error: then
 * none is left. */
int gw_daemon_prepare_networks(struct gw_daemon *daemon, const struct gw_files *fresh, struct gw_list *made,
                               struct gw_diag *diag);
/* Who has no fresh files goes, the made ones come, all in the order of daemon->files. What they are told of peers is summed up. */
void gw_daemon_change_networks(struct gw_daemon *daemon, struct gw_list *made,
                               struct gw_peers_change *change);
/* NULL is fine. */
void gw_daemon_free_networks(struct gw_daemon *daemon, struct gw_list *networks, struct gw_mono now);
/* By name, in any case; NULL: none. */
struct gw_network *gw_daemon_find_network(const struct gw_daemon *daemon, const char *name);
/* The first of the file: what is said where there is room for one. */
struct gw_network *gw_daemon_first_network(const struct gw_daemon *daemon);
/* Looks for expired keys from time to time, if the files have any that can expire. */
void gw_daemon_watch_expiry(struct gw_daemon *daemon);
/* Each message of diag as a line of the log. */
void gw_daemon_log_diag(const struct gw_diag *diag);

/* The control socket's commands: control_*.c. */
gw_control_fn gw_control_status, gw_control_peers, gw_control_ping, gw_control_why, gw_control_resolve,
    gw_control_services, gw_control_reload, gw_control_down, gw_control_connect, gw_control_forward,
    gw_control_verdict, gw_control_dns, gw_control_netcheck;
extern const struct gw_control_command gw_daemon_commands[];

/* The network that the request is about ("network"), or NULL: all. false: there is none of that name, and the client was told. */
bool gw_control_network(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                        const struct gw_network **only);
/* This node's services in a network, or in all (NULL), as JSON. */
json_t *gw_daemon_services_json(const struct gw_daemon *daemon, const struct gw_network *only);
/* That it listens, for whoever started it. */
json_t *gw_daemon_ready_json(const struct gw_daemon *daemon);
/* Their names. */
json_t *gw_daemon_networks_json(const struct gw_daemon *daemon, const struct gw_network *only);
/* The DNS server and the virtual router; null where there is none. */
json_t *gw_daemon_tun_json(const struct gw_daemon *daemon, struct gw_mono now);
json_t *gw_daemon_netstack_json(const struct gw_daemon *daemon);
json_t *gw_daemon_dns_json(const struct gw_daemon *daemon);
json_t *gw_daemon_virtual_router_json(const struct gw_daemon *daemon);

/* Looks the name "host" of the request up and goes on with fn, unless the name is unknown (which the client is then told). The client is free again
 * when fn is called. request is kept while it lasts. */
typedef void gw_control_host_fn(struct gw_daemon *daemon, struct gw_control_client *client,
                                const json_t *request, const struct gw_answer *answer);
void gw_control_with_host(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                          gw_control_host_fn *fn);

#endif
