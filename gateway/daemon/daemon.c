/* SPDX-License-Identifier: MIT */
/* Builds the daemon in the order in which its parts need each other, and takes it down in the other one. */
#include "gateway/daemon/daemon.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"
#include "gateway/daemon/notify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define EXPIRY_S 30

/* --- clocks --- */

struct gw_wall gw_daemon_wall(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct gw_wall){ts.tv_sec, (int32_t)ts.tv_nsec};
}

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    (void)self;
    return gw_daemon_wall();
}

static struct gw_wallclock wallclock = {read_wall};

/* --- what the gateway tells --- */

static void on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                    const struct gw_open *open, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    gw_services_on_open(gateway, peer, stream, open, now, daemon->services);
}

static void on_peer(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)gateway;
    gw_peers_on_event(&daemon->peers, peer, now);
    gw_dns_setup_on_peer(&daemon->dns, peer, now);
}

static void on_pong(struct gateway *gateway, struct gw_peer *peer, uint32_t id, int64_t rtt_ns,
                    struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)gateway;
    gw_pings_on_pong(&daemon->pings, peer, id, rtt_ns, now);
}

static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)gateway;
    if (daemon->tun.device && !gw_echo_expects(&daemon->echo, packet, len))
        gw_device_input(daemon->tun.device, peer, packet, len, is_partial);
    else
        gw_echo_input(&daemon->echo, peer, packet, len, now); /* without a TUN nothing else is for packets */
}

static void on_packets_end(struct gateway *gateway, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)gateway, (void)now;
    if (daemon->tun.device)
        gw_device_input_end(daemon->tun.device);
}

static void on_echo_pong(struct gw_peer *peer, uint32_t id, int64_t rtt_ns, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    gw_pings_on_pong(&daemon->pings, peer, id, rtt_ns, now);
}

static void on_control(struct gateway *gateway, struct gw_peer *peer, struct gw_view body, struct gw_mono now,
                       void *ctx)
{
    struct gw_daemon *daemon = ctx;
    (void)gateway;
    gw_peer_services_on_control(&daemon->peer_services, peer, body, now);
}

static void kick(struct gw_daemon *daemon, struct gw_mono now)
{
    gw_peers_look_up_again(&daemon->peers);
    gw_gateway_kick(daemon->gateway, now);
}

static void on_wake(struct gw_mono now, int64_t slept_ns, void *ctx)
{
    (void)slept_ns;
    kick(ctx, now);
}

static void on_network(struct gw_mono now, void *ctx)
{
    kick(ctx, now);
}

/* --- building --- */

static int make_identity(struct gw_daemon *daemon, struct gw_diag *diag)
{
    const struct gw_config *config = daemon->files.config;
    int err = gw_config_load_identity(&daemon->identity, config, diag);
    if (err == 0 && !gw_config_check_self(config, daemon->identity->x25519, diag))
        err = GW_E_CONFIG;
    return err;
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
        gw_diag_error(diag, "", 0, "cannot open %s: %s", path, strerror(errno));
        return -errno;
    }
    if (flock(daemon->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
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

static int make_link(struct gw_daemon *daemon, struct gw_diag *diag)
{
    const struct gw_config *config = daemon->files.config;
    struct gw_udp_params params = {.port = (uint16_t)config->port, .link = GW_LINK_PRIMARY};
    char why[512] = "";

    for (size_t i = 0; i < config->listen.count; i++) {
        const struct gw_addr *at = &config->listen.items[i];
        struct gw_addr *listen = &params.listen[at->family == 6 ? GW_UDP_V6 : GW_UDP_V4];
        *listen = *at;
        params.port = at->port ? at->port : params.port;
    }
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++)
        params.skip[family] = config->listen.count > 0 && !gw_addr_is_set(&params.listen[family]);
    int err = gw_link_new(&daemon->link, daemon->loop, &params, why, sizeof why);
    if (err != 0)
        gw_diag_error(diag, "", 0, "%s", why);
    return err;
}

static void fill_gateway_params(struct gw_gateway_params *params, struct gw_daemon *daemon)
{
    const struct gw_config *config = daemon->files.config;
    const struct gw_identity *identity = daemon->identity;

    *params = (struct gw_gateway_params){.crypto = gw_crypto_system(),
                                         .random = gw_random_system(),
                                         .wallclock = &wallclock,
                                         .budget = &daemon->budget,
                                         .events = &daemon->events,
                                         .takes_partial = gw_tun_setup_takes_partial(&daemon->tun),
                                         .has_ed25519 = identity->has_ed25519,
                                         .is_derived = identity->is_derived};
    memcpy(params->secret, identity->x25519_secret, sizeof params->secret);
    memcpy(params->ed25519, identity->ed25519, sizeof params->ed25519);
    memcpy(params->ed25519_seed, identity->ed25519_seed, sizeof params->ed25519_seed);
    snprintf(params->hostname, sizeof params->hostname, "%s", config->hostname ? config->hostname : "");
    for (size_t i = 0; i < config->addresses.count && i < 2; i++)
        params->addresses[i] = config->addresses.items[i].ip;
}

static int make_gateway(struct gw_daemon *daemon, struct gw_diag *diag)
{
    struct gw_gateway_params params;
    daemon->budget.limit = (uint64_t)daemon->files.config->memory;
    daemon->events = (struct gw_gateway_events){.on_open = on_open,
                                                .on_packet = on_packet,
                                                .on_packets_end = on_packets_end,
                                                .on_peer = on_peer,
                                                .on_pong = on_pong,
                                                .on_control = on_control,
                                                .ctx = daemon};
    fill_gateway_params(&params, daemon);
    daemon->echo.on_pong = on_echo_pong;
    daemon->echo.ctx = daemon;
    memcpy(daemon->echo.addresses, params.addresses, sizeof daemon->echo.addresses);
    daemon->pings.echo = &daemon->echo;
    int err = params.crypto ? gw_gateway_new(&daemon->gateway, &params, gw_loop_now(daemon->loop)) : -ENOSYS;
    gw_wipe(&params, sizeof params);
    if (err != 0) {
        gw_diag_error(diag, "", 0, "cannot start the engine: %s", gw_strerror(err));
        return err;
    }
    err = gw_state_init(&daemon->state, daemon->dir, daemon->gateway);
    if (err != 0) {
        gw_diag_error(diag, "", 0, "cannot make the state folder in %s: %s", daemon->dir, gw_strerror(err));
        return err;
    }
    gw_loop_add_hook(daemon->loop, &daemon->state.hook);
    return gw_link_attach(daemon->link, daemon->gateway);
}

static int make_services(struct gw_daemon *daemon, struct gw_diag *diag)
{
    daemon->dialer = gw_dialer_new(daemon->loop);
    if (!daemon->dialer)
        return GW_E_NOMEM;
    const struct gw_services_params params = {
        .loop = daemon->loop, .dialer = daemon->dialer, .wallclock = &wallclock};
    int err = gw_services_new(&daemon->services, &params);
    return err != 0 ? err : gw_daemon_apply_services(daemon, &daemon->files, diag);
}

static int make_names(struct gw_daemon *daemon, struct gw_diag *diag)
{
    const struct gw_config *config = daemon->files.config;
    daemon->resolver = gw_resolver_new();
    daemon->names = daemon->resolver ? gw_names_tier_new(daemon->resolver) : NULL;
    if (!daemon->names)
        return GW_E_NOMEM;
    gw_resolver_add_tier(daemon->resolver, gw_names_tier_of(daemon->names));
    int err =
        gw_resolver_add_gateway(daemon->resolver, daemon->gateway, config->network ? config->network : "",
                                config->hostname ? config->hostname : "");
    return err != 0 ? err : gw_daemon_apply_names(daemon, &daemon->files, diag);
}

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    struct gw_daemon *daemon = arg;
    struct gw_peers_change change;
    (void)fd, (void)what;
    gw_peers_apply(&daemon->peers, &daemon->files, gw_daemon_wall(), gw_loop_now(daemon->loop), &change);
    gw_dns_setup_refresh(&daemon->dns, gw_loop_now(daemon->loop));
}

static bool has_expiry(const struct gw_authorized_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].has_expiry)
            return true;
    }
    return false;
}

void gw_daemon_watch_expiry(struct gw_daemon *daemon)
{
    const struct timeval every = {.tv_sec = EXPIRY_S};
    evtimer_del(daemon->expiry);
    if (has_expiry(daemon->files.keys))
        event_add(daemon->expiry, &every);
}

static int make_peers(struct gw_daemon *daemon)
{
    struct gw_peers_change change;
    daemon->endpoints = gw_endpoints_new(daemon->loop);
    daemon->expiry = event_new(gw_loop_base(daemon->loop), -1, EV_PERSIST, on_expiry, daemon);
    if (!daemon->endpoints || !daemon->expiry)
        return GW_E_NOMEM;
    gw_peers_init(&daemon->peers, daemon->gateway, daemon->endpoints);
    gw_peer_services_init(&daemon->peer_services, daemon->loop, daemon->services, gw_random_system());
    gw_pings_init(&daemon->pings, daemon->loop);
    gw_connects_init(&daemon->connects, daemon->loop, daemon->resolver, daemon->dialer, daemon->services);
    gw_peers_apply(&daemon->peers, &daemon->files, gw_daemon_wall(), gw_loop_now(daemon->loop), &change);
    gw_daemon_watch_expiry(daemon);
    return 0;
}

static int make_frontends(struct gw_daemon *daemon, struct gw_diag *diag)
{
    daemon->frontend = (struct gw_frontend){.loop = daemon->loop,
                                            .resolver = daemon->resolver,
                                            .dialer = daemon->dialer,
                                            .own_service = gw_services_local_target,
                                            .ctx = daemon->services};
    return gw_daemon_apply_socks(daemon, &daemon->files, diag);
}

static int make_dns(struct gw_daemon *daemon, struct gw_diag *diag)
{
    const struct gw_dns_setup_params params = {.loop = daemon->loop,
                                               .gateway = daemon->gateway,
                                               .services = daemon->services,
                                               .peer_services = &daemon->peer_services,
                                               .files = &daemon->files,
                                               .state_dir = daemon->state.dir,
                                               .has_tun = daemon->tun.device != NULL};
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

static int build(struct gw_daemon *daemon, struct gw_diag *diag)
{
    int err = gw_files_load(&daemon->files, daemon->dir, diag);
    if (err != 0)
        return err;
    gw_daemon_apply_log(daemon, &daemon->files);
    if ((err = make_identity(daemon, diag)) != 0 || (err = take_lock(daemon, diag)) != 0 ||
        (err = make_loop(daemon)) != 0)
        return err;
    if ((err = gw_tun_setup_open(&daemon->tun, daemon->loop, daemon->files.config, daemon->dir, diag)) != 0)
        return err;
    if ((err = make_link(daemon, diag)) != 0 || (err = make_gateway(daemon, diag)) != 0)
        return err;
    if ((err = make_services(daemon, diag)) != 0 || (err = make_names(daemon, diag)) != 0 ||
        (err = make_peers(daemon)) != 0)
        return err;
    if ((err = make_frontends(daemon, diag)) != 0 || (err = make_dns(daemon, diag)) != 0)
        return err;
    if ((err = gw_tun_setup_start(&daemon->tun, daemon->gateway, gw_link_port(daemon->link), diag)) != 0)
        return err;
    gw_loop_on_wake(daemon->loop, on_wake, daemon);
    daemon->netwatch = gw_netwatch_new(daemon->loop, on_network, daemon);
    /* Last: whoever can connect finds everything there. */
    return make_control(daemon, diag);
}

static void log_start(const struct gw_daemon *daemon)
{
    char id[GW_PEER_ID_STRLEN], at[GW_TARGET_STRLEN];
    const struct gw_config *config = daemon->files.config;
    if (daemon->identity->has_ed25519)
        gw_peer_id_format(daemon->identity->ed25519, id);
    else
        gw_key_base64_format(daemon->identity->x25519, id);
    gw_log_info("this is %s in %s, %s", config->hostname ? config->hostname : "-",
                config->network ? config->network : "-", id);
    gw_log_info("listening on UDP port %u", gw_link_port(daemon->link));
    for (size_t i = 0; daemon->socks5 && i < gw_socks5_listen_count(daemon->socks5); i++)
        gw_log_info("proxy (SOCKS5%s) on %s", config->socks.http ? ", HTTP" : "",
                    gw_target_log(gw_socks5_listen_target(daemon->socks5, i), at));
}

int gw_daemon_new(struct gw_daemon **out, const struct gw_daemon_params *params, struct gw_diag *diag)
{
    *out = NULL;
    struct gw_daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return GW_E_NOMEM;
    snprintf(daemon->dir, sizeof daemon->dir, "%s", params->dir);
    daemon->verbose = params->verbose;
    daemon->log = params->log;
    daemon->lock_fd = -1;
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
    snprintf(status, sizeof status, "listening on UDP port %u", gw_link_port(daemon->link));
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

/* What uses the gateway goes first, so that its resets still reach the peers; then the gateway, which sends them. */
static void free_users(struct gw_daemon *daemon, struct gw_mono now)
{
    gw_control_hang_up(daemon->control);
    gw_connects_fini(&daemon->connects, now);
    if (daemon->socks5)
        gw_socks5_free(daemon->socks5, now);
    gw_dns_setup_fini(&daemon->dns, now);
    if (daemon->services)
        gw_services_free(daemon->services, now);
    gw_tun_setup_fini(&daemon->tun);
}

static void free_gateway(struct gw_daemon *daemon, struct gw_mono now)
{
    gw_netwatch_free(daemon->netwatch);
    if (daemon->link)
        gw_link_detach(daemon->link);
    gw_peers_fini(&daemon->peers, now);
    if (daemon->resolver && daemon->gateway)
        gw_resolver_remove_gateway(daemon->resolver, daemon->gateway);
    if (daemon->resolver)
        gw_resolver_free(daemon->resolver);
    if (daemon->names)
        gw_names_tier_free(daemon->names);
    if (daemon->state.gateway)
        gw_loop_remove_hook(daemon->loop, &daemon->state.hook);
    if (daemon->gateway)
        gw_gateway_free(daemon->gateway, now);
    gw_link_free(daemon->link);
}

void gw_daemon_free(struct gw_daemon *daemon)
{
    if (!daemon)
        return;
    struct gw_mono now = daemon->loop ? gw_loop_now(daemon->loop) : GW_NEVER;
    free_users(daemon, now);
    free_gateway(daemon, now);
    gw_control_free(daemon->control); /* `down` waits for this: whoever starts next finds the ports free */
    if (daemon->dialer)
        gw_dialer_free(daemon->dialer);
    gw_endpoints_free(daemon->endpoints);
    if (daemon->expiry)
        event_free(daemon->expiry);
    gw_signals_fini(&daemon->signals);
    gw_loop_free(daemon->loop);
    gw_identity_free(daemon->identity);
    gw_files_fini(&daemon->files);
    if (daemon->lock_fd >= 0)
        close(daemon->lock_fd);
    free(daemon);
}
