/* SPDX-License-Identifier: MIT */
/* Builds the daemon in the order in which its parts need each other, and takes it down in the other one. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/conclude.h"
#include "gateway/daemon/notify.h"
#include "gateway/daemon/wall.h"
#include "gateway/wire/peer_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define EXPIRY_S 30
#define LOCK_TRIES 20u
#define LOCK_WAIT_NS 25000000

/* --- what the networks tell --- */

static void on_peer(struct gw_network *network, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    struct gw_packets *packets = gw_netstack_setup_of(&daemon->netstack, network);
    gw_dns_setup_on_peer(&daemon->dns, network, peer, now);
    if (packets)
        gw_packets_on_peer(packets, peer);
}

/* Its address may be known since the last time. */
static void on_carrier_wanted(struct gw_network *network, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)network;
    gw_tun_setup_replan(&daemon->tun);
}

static void on_peer_gone(struct gw_network *network, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    gw_netstack_setup_on_peer_gone(&daemon->netstack, network, peer, now);
}

static void on_packet(struct gw_network *network, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    struct gw_ip ip;
    if (daemon->again_peer == peer && gw_again_is(&daemon->again, &ip, packet, len)) {
        gw_device_write_parsed(daemon->tun.device, packet, &ip, is_partial);
        return;
    }
    daemon->again_peer = NULL;
    if (gw_echo_input(&network->echo, peer, packet, len, now))
        return;
    struct gw_packets *packets = gw_netstack_setup_of(&daemon->netstack, network);
    if (packets && gw_packets_input(packets, peer, packet, len, is_partial, now))
        return;
    if (!daemon->tun.device)
        return;
    if (daemon->is_in_train && gw_ip_parse(&ip, packet, len) == 0) {
        gw_again_set(&daemon->again, packet, &ip);
        daemon->again_peer = peer;
    }
    gw_device_input(daemon->tun.device, peer, packet, len, is_partial);
}

static void on_packets_begin(struct gw_network *network, uint8_t *bytes, size_t len, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)network;
    daemon->is_in_train = true;
    if (daemon->tun.device)
        gw_device_input_begin(daemon->tun.device, bytes, len);
}

static void on_packets_end(struct gw_network *network, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)network;
    daemon->is_in_train = false;
    daemon->again_peer = NULL;
    if (daemon->netstack.stack)
        gw_netstack_flush(daemon->netstack.stack, now);
    if (daemon->tun.device)
        gw_device_input_end(daemon->tun.device);
}

static void kick(struct gw_daemon *daemon, struct gw_mono now)
{
    gw_list_for_each (node, &daemon->networks)
        gw_network_kick(gw_list_entry(node, struct gw_network, node), now);
}

static void on_wake(struct gw_mono now, int64_t slept_ns, void *ctx)
{
    (void)slept_ns;
    kick(ctx, now);
}

static void on_change(struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    gw_log_info("the network changed: trying the peers again");
    kick(daemon, now);
    gw_dns_setup_tell_system(&daemon->dns);
}

static bool own_service(void *ctx, struct gateway *gateway, const struct gw_open *open, struct gw_target *out)
{
    const struct gw_daemon *daemon = ctx;
    const struct gw_network *network = gw_network_of(&daemon->networks, gateway);
    return network && gw_services_local_target(network->services, gateway, open, out);
}

/* --- building --- */

/* A daemon that was killed while it started a program (resolvconf) leaves the lock to that until it has begun: so it is tried for half a second. 0 or errno. */
static int lock_soon(int fd)
{
    const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
    for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EINTR && (errno != EWOULDBLOCK || i >= LOCK_TRIES))
            return errno;
        nanosleep(&wait, NULL);
    }
    return 0;
}

/* One daemon a control socket: whoever holds the lock. It is never deleted, so that nobody locks a file that is gone. */
static int take_lock(struct gw_daemon *daemon, struct gw_diag *diag)
{
    char path[GW_DIR_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s.lock", daemon->files.config->control.socket);
    if (len < 0 || (size_t)len >= sizeof path)
        return GW_E_TOO_BIG;
    daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (daemon->lock_fd < 0) {
        int err = -errno;
        gw_diag_error(diag, "", 0, "cannot open %s: %s", path, gw_strerror(err));
        return err;
    }
    int err = lock_soon(daemon->lock_fd);
    if (err == 0)
        return 0;
    if (err != EWOULDBLOCK) {
        gw_diag_error(diag, "", 0, "cannot lock %s: %s", path, gw_strerror(-err));
        return -err;
    }
    gw_diag_error(diag, "", 0, "a daemon is running for %s already: end it with `peergate --dir %s down`",
                  daemon->dir, daemon->dir);
    return -EALREADY;
}

static int make_control(struct gw_daemon *daemon, struct gw_diag *diag)
{
    const struct gw_config *config = daemon->files.config;
    const struct gw_control_params params = {.loop = daemon->loop,
                                             .path = config->control.socket,
                                             .mode = (unsigned)config->control.mode,
                                             .commands = gw_daemon_commands,
                                             .ctx = daemon};
    int err = gw_control_new(&daemon->control, &params);
    if (err != 0)
        gw_diag_error(diag, "", 0, "cannot listen on the control socket %s: %s", config->control.socket,
                      gw_strerror(err));
    return err;
}

static int make_shared(struct gw_daemon *daemon)
{
    daemon->budget.limit = (uint64_t)daemon->files.config->memory;
    daemon->dialer = gw_dialer_new(daemon->loop);
    daemon->endpoints = gw_endpoints_new(daemon->loop);
    daemon->resolver = gw_resolver_new();
    daemon->names = daemon->resolver ? gw_names_tier_new(daemon->resolver) : NULL;
    daemon->addresses = gw_vip_space_new();
    if (!daemon->dialer || !daemon->endpoints || !daemon->names || !daemon->addresses)
        return GW_E_NOMEM;
    gw_resolver_set_addresses(daemon->resolver, daemon->addresses);
    gw_resolver_add_tier(daemon->resolver, gw_names_tier_of(daemon->names));
    daemon->frontend = (struct gw_frontend){.loop = daemon->loop,
                                            .resolver = daemon->resolver,
                                            .dialer = daemon->dialer,
                                            .own_service = own_service,
                                            .hindered = gw_hindered,
                                            .ctx = daemon};
    daemon->events = (struct gw_network_events){.on_packets_begin = on_packets_begin,
                                                .on_packet = on_packet,
                                                .on_packets_end = on_packets_end,
                                                .on_peer = on_peer,
                                                .on_carrier_wanted = on_carrier_wanted,
                                                .on_peer_gone = on_peer_gone,
                                                .ctx = daemon};
    if (gw_connects_init(&daemon->connects, &daemon->frontend) != 0)
        return GW_E_NOMEM;
    int err = gw_netstack_setup_init(&daemon->netstack, daemon->loop, daemon->files.config);
    daemon->frontend.packets = daemon->netstack.dialer;
    const struct gw_netstack_tun tun = {.device = daemon->tun.device,
                                        .dialer = daemon->dialer,
                                        .dns = &daemon->dns,
                                        .networks = &daemon->networks};
    if (err == 0 && tun.device)
        err = gw_netstack_setup_watch(&daemon->netstack, &tun, daemon->files.config);
    return err;
}

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    struct gw_daemon *daemon = arg;
    struct gw_peers_change change;
    (void)fd, (void)what;
    gw_netstack_setup_note(&daemon->netstack);
    gw_list_for_each (node, &daemon->networks)
        gw_network_apply_peers(gw_list_entry(node, struct gw_network, node), &change);
    gw_netstack_setup_apply(&daemon->netstack, daemon->files.config, gw_loop_now(daemon->loop));
    gw_dns_setup_refresh(&daemon->dns, gw_loop_now(daemon->loop));
    gw_daemon_watch_expiry(daemon);
}

/* Until the next expiry, but not longer than EXPIRY_S: the clock may be set. next: what was found before; 0: nothing expires. */
static int64_t next_expiry_s(const struct gw_authorized_keys *keys, struct gw_wall now, int64_t next)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct gw_authorized_key *key = &keys->keys[i];
        if (!key->has_expiry)
            continue;
        int64_t left = key->expires.s <= now.s ? EXPIRY_S : key->expires.s - now.s;
        left = left < EXPIRY_S ? left : EXPIRY_S;
        next = next == 0 || left < next ? left : next;
    }
    return next;
}

void gw_daemon_watch_expiry(struct gw_daemon *daemon)
{
    struct timeval in = {0};
    for (size_t i = 0; i < daemon->files.network_count; i++)
        in.tv_sec = next_expiry_s(daemon->files.networks[i].keys, gw_wall_now(), in.tv_sec);
    evtimer_del(daemon->expiry);
    if (in.tv_sec > 0)
        event_add(daemon->expiry, &in);
}

static int make_expiry(struct gw_daemon *daemon)
{
    daemon->expiry = event_new(gw_loop_base(daemon->loop), -1, 0, on_expiry, daemon);
    if (!daemon->expiry)
        return GW_E_NOMEM;
    gw_daemon_watch_expiry(daemon);
    return 0;
}

static size_t tun_servers(void *ctx, struct gw_addr *out, size_t max)
{
    const struct gw_daemon *daemon = ctx;
    const struct gw_dns_address *address = daemon->netstack.dns_address;
    return address ? gw_dns_address_reachable(address, out, max) : 0;
}

static int make_dns(struct gw_daemon *daemon, struct gw_diag *diag)
{
    const struct gw_dns_setup_params params = {.loop = daemon->loop,
                                               .networks = &daemon->networks,
                                               .files = &daemon->files,
                                               .dir = daemon->dir,
                                               .has_tun = daemon->tun.device != NULL,
                                               .endpoints = daemon->endpoints,
                                               .tun_servers = tun_servers,
                                               .ctx = daemon};
    int err = gw_dns_setup_init(&daemon->dns, &params);
    if (err == 0)
        err = gw_dns_setup_listen(&daemon->dns, daemon->files.config, diag);
    if (err == 0)
        gw_dns_setup_refresh(&daemon->dns, gw_loop_now(daemon->loop));
    return err;
}

static void on_stop_signal(void *ctx)
{
    gw_daemon_stop(ctx);
}

static void on_reload_signal(void *ctx)
{
    struct gw_daemon *daemon = ctx;
    struct gw_diag diag = {0};
    gw_logsink_reopen(daemon->log);
    gw_daemon_reload(daemon, &diag);
    gw_daemon_log_diag(&diag);
    gw_diag_clear(&diag);
}

static int make_loop(struct gw_daemon *daemon)
{
    daemon->loop = gw_loop_new();
    if (!daemon->loop)
        return GW_E_NOMEM;
    daemon->started = gw_loop_now(daemon->loop);
    daemon->signals.on_stop = on_stop_signal;
    daemon->signals.on_reload = on_reload_signal;
    daemon->signals.ctx = daemon;
    return gw_signals_init(&daemon->signals, daemon->loop);
}

/* Files that are loaded are nobody's but the daemon's. The lists keep what they own; nothing of it is used. */
static void strip_network(struct gw_config_network *network)
{
    for (size_t i = 0; i < network->services.count; i++)
        network->services.items[i].enabled = false;
    for (size_t i = 0; i < network->peers.count; i++) {
        network->peers.items[i].endpoints.count = 0;
        network->peers.items[i].keepalive_ns = 0;
        network->peers.items[i].eager = false;
    }
}

/* What is left is enough to look at the network. */
static void strip(struct gw_files *files)
{
    struct gw_config *config = files->config;
    strip_network(&config->top);
    for (size_t i = 0; i < config->networks.count; i++)
        strip_network(&config->networks.items[i]);
    config->tun.enabled = config->dns.enabled = config->virtual_router.enabled = false;
    config->tun.fd = 0;
    config->socks.listen.count = 0;
    if (config->log.level > GW_LOG_WARN)
        config->log.level = GW_LOG_WARN;
}

static int build(struct gw_daemon *daemon, struct gw_diag *diag)
{
    int err = gw_files_load(&daemon->files, daemon->dir, diag);
    if (err != 0)
        return err;
    if (daemon->is_check)
        strip(&daemon->files);
    gw_daemon_apply_log(daemon, &daemon->files);
    if ((err = take_lock(daemon, diag)) != 0 || (err = make_loop(daemon)) != 0)
        return err;
    if ((err = gw_tun_setup_open(&daemon->tun, daemon->loop, daemon->files.config, daemon->dir, diag)) != 0)
        return err;
    if ((err = make_shared(daemon)) != 0 || (err = gw_daemon_make_networks(daemon, diag)) != 0 ||
        (err = make_expiry(daemon)) != 0)
        return err;
    if ((err = gw_daemon_apply_socks(daemon, &daemon->files, diag)) != 0 ||
        (err = make_dns(daemon, diag)) != 0 ||
        (err = gw_tun_setup_start(&daemon->tun, &daemon->networks, diag)) != 0)
        return err;
    gw_dns_setup_tell_system(&daemon->dns); /* the TUN has its addresses and routes now */
    gw_loop_on_wake(daemon->loop, on_wake, daemon);
    gw_loop_set_busy_poll(daemon->loop, daemon->files.config->busy_poll_ns);
    daemon->netwatch = gw_netwatch_new(daemon->loop, false, on_change, daemon);
    if (!daemon->netwatch)
        gw_log_info("no news of network changes from the kernel: after one, peers are found again by timers");
    /* Last: whoever can connect finds everything there. */
    return daemon->is_check ? 0 : make_control(daemon, diag);
}

static void log_network(const struct gw_network *network)
{
    char id[GW_PEER_ID_STRLEN];
    if (network->identity->has_ed25519)
        gw_peer_id_format(network->identity->ed25519, id);
    else
        gw_key_base64_format(network->identity->x25519, id);
    gw_log_info("this is %s in %s, %s", *network->hostname ? network->hostname : "-",
                *network->name ? network->name : "-", id);
    gw_log_info("listening on UDP port %u", gw_link_port(network->link));
}

static void log_start(const struct gw_daemon *daemon)
{
    char at[GW_TARGET_STRLEN];
    gw_list_for_each (node, &daemon->networks)
        log_network(gw_list_entry(node, struct gw_network, node));
    for (size_t i = 0; daemon->socks5 && i < gw_socks5_listen_count(daemon->socks5); i++)
        gw_log_info("proxy (SOCKS5%s) on %s", daemon->files.config->socks.http ? ", HTTP" : "",
                    gw_target_log(gw_socks5_listen_target(daemon->socks5, i), at));
}

int gw_daemon_new(struct gw_daemon **out, const struct gw_daemon_params *params, struct gw_diag *diag)
{
    *out = NULL;
    struct gw_daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return GW_E_NOMEM;
    snprintf(daemon->dir, sizeof daemon->dir, "%s", params->dir);
    daemon->is_check = params->is_check;
    daemon->verbose = params->verbose;
    daemon->log = params->log;
    daemon->lock_fd = -1;
    gw_list_init(&daemon->networks);
    int err = build(daemon, diag);
    if (err != 0) {
        if (diag->errors == 0)
            gw_diag_error(diag, "", 0, "cannot start: %s", gw_strerror(err));
        gw_daemon_free(daemon);
        return err;
    }
    log_start(daemon);
    *out = daemon;
    return 0;
}

/* --- running and ending --- */

int gw_daemon_run(struct gw_daemon *daemon)
{
    char status[128];
    snprintf(status, sizeof status, "listening on UDP port %u",
             gw_link_port(gw_daemon_first_network(daemon)->link));
    gw_notify_ready(status);
    int err = gw_loop_run(daemon->loop);
    gw_notify_stopping();
    if (err != 0)
        gw_log_error("the event loop failed: %s", gw_strerror(err));
    return err;
}

void gw_daemon_stop(struct gw_daemon *daemon)
{
    gw_log_info("ending");
    gw_loop_stop(daemon->loop);
}

/* What uses the networks goes first, so that its resets still reach the peers; then the networks, which send them. */
static void free_users(struct gw_daemon *daemon, struct gw_mono now)
{
    gw_control_hang_up(daemon->control);
    gw_tun_setup_end_lanes(&daemon->tun); /* while there is a gate for what they still hold */
    gw_connects_fini(&daemon->connects, now);
    if (daemon->socks5)
        gw_socks5_free(daemon->socks5, now);
    gw_dns_setup_fini(&daemon->dns, now);
    if (daemon->tun.device)
        gw_device_set_tap(daemon->tun.device, NULL, NULL);
    gw_netstack_setup_fini(&daemon->netstack, now);
    gw_list_for_each (node, &daemon->networks)
        gw_network_end_services(gw_list_entry(node, struct gw_network, node), now);
    gw_tun_setup_fini(&daemon->tun);
}

static void free_networks(struct gw_daemon *daemon, struct gw_mono now)
{
    gw_netwatch_free(daemon->netwatch);
    gw_daemon_free_networks(daemon, &daemon->networks, now);
    gw_resolver_free(daemon->resolver);
    gw_names_tier_free(daemon->names);
    gw_vip_space_free(daemon->addresses);
}

void gw_daemon_free(struct gw_daemon *daemon)
{
    if (!daemon)
        return;
    struct gw_mono now = daemon->loop ? gw_loop_now(daemon->loop) : GW_NEVER;
    free_users(daemon, now);
    free_networks(daemon, now);
    gw_control_free(daemon->control); /* `down` waits for this: whoever starts next finds the ports free */
    if (daemon->dialer)
        gw_dialer_free(daemon->dialer);
    gw_endpoints_free(daemon->endpoints);
    if (daemon->expiry)
        event_free(daemon->expiry);
    gw_signals_fini(&daemon->signals);
    gw_loop_free(daemon->loop);
    gw_files_fini(&daemon->files);
    if (daemon->lock_fd >= 0)
        close(daemon->lock_fd);
    free(daemon);
}
