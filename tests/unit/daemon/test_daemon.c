/* SPDX-License-Identifier: MIT */
/* Whole daemons from folders of files: what starts, what does not and why, and what a reload changes. */
#include "gateway/base/err.h"
#include "gateway/daemon/daemon.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define SOME_PEER "peers: [{name: some, public_key: \"HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\"}]\n"
#define OTHER_KEY "eKjO8CuzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="

struct world {
    char dir[256];
    struct gw_logsink log;
    struct gw_daemon *daemon;
    struct gw_diag diag;
};

static void quiet(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

static void write_file(const struct world *world, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", world->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0600);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct gw_identity *identity;
    char path[512];
    snprintf(world->dir, sizeof world->dir, "/tmp/peergate-test-daemon-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    gw_log_set_sink(quiet, NULL);
    gw_logsink_init(&world->log);
    assert_int_equal(gw_identity_generate(&identity, gw_random_system()), 0);
    snprintf(path, sizeof path, "%s/identity.key", world->dir);
    assert_int_equal(gw_identity_save_new(identity, path), 0);
    gw_identity_free(identity);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[512];
    gw_daemon_free(world->daemon);
    gw_diag_clear(&world->diag);
    snprintf(command, sizeof command, "rm -rf '%s'", world->dir);
    assert_int_equal(system(command), 0);
    free(world);
    return 0;
}

static int start(struct world *world, const char *config)
{
    const struct gw_daemon_params params = {.dir = world->dir, .log = &world->log};
    write_file(world, "config.yaml", config);
    gw_diag_clear(&world->diag);
    return gw_daemon_new(&world->daemon, &params, &world->diag);
}

static int reload(struct world *world, const char *config)
{
    write_file(world, "config.yaml", config);
    gw_diag_clear(&world->diag);
    return gw_daemon_reload(world->daemon, &world->diag);
}

static bool has_said(const struct world *world, const char *text)
{
    for (size_t i = 0; i < world->diag.count; i++) {
        if (strstr(world->diag.entries[i].text, text))
            return true;
    }
    return false;
}

static unsigned peer_count(const struct world *world)
{
    unsigned count = 0;
    for (struct gw_peer *peer = gw_gateway_next_peer(gw_daemon_first_network(world->daemon)->gateway, NULL);
         peer; peer = gw_gateway_next_peer(gw_daemon_first_network(world->daemon)->gateway, peer))
        count++;
    return count;
}

/* A TCP port that somebody else has; *fd holds it. */
static unsigned taken_port(int *fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(*fd, 1), 0);
    getsockname(*fd, (struct sockaddr *)&at, &len);
    return ntohs(at.sin_port);
}

/* --- starting --- */

static void test_starts_and_ends(void **state)
{
    struct world *world = *state;
    assert_int_equal(start(world, "port: 0\nsocks: {listen: \"127.0.0.1:0\"}\n" SOME_PEER), 0);
    assert_true(gw_link_port(gw_daemon_first_network(world->daemon)->link) != 0);
    assert_int_equal(gw_socks5_listen_count(world->daemon->socks5), 1);
    assert_int_equal(peer_count(world), 1);
    /* Another one is refused, and says so. */
    struct gw_daemon *second;
    const struct gw_daemon_params params = {.dir = world->dir, .log = &world->log};
    assert_int_equal(gw_daemon_new(&second, &params, &world->diag), -EALREADY);
    assert_true(has_said(world, "running"));
    gw_daemon_stop(world->daemon);
}

static void test_no_identity(void **state)
{
    struct world *world = *state;
    char path[512];
    snprintf(path, sizeof path, "%s/identity.key", world->dir);
    unlink(path);
    assert_int_not_equal(start(world, "port: 0\n"), 0);
    assert_true(has_said(world, "init"));
}

static void test_bad_file(void **state)
{
    struct world *world = *state;
    assert_int_equal(start(world, "port: 0\nprot: 1\n"), GW_E_CONFIG);
    assert_true(has_said(world, "config.yaml:2"));
    write_file(world, "names.yaml", "[not, a, mapping]\n");
    assert_int_not_equal(start(world, "port: 0\n"), 0);
    assert_true(has_said(world, "names.yaml"));
}

static void test_port_of_the_proxy_is_taken(void **state)
{
    struct world *world = *state;
    char config[256];
    int fd;
    snprintf(config, sizeof config, "port: 0\nsocks: {listen: \"127.0.0.1:%u\"}\n", taken_port(&fd));
    assert_int_equal(start(world, config), -EADDRINUSE);
    assert_true(has_said(world, "socks.listen"));
    close(fd);
}

static void test_control_socket_cannot_be_made(void **state)
{
    struct world *world = *state;
    assert_int_not_equal(start(world, "port: 0\ncontrol: {socket: /no/such/folder/sock}\n"), 0);
    assert_true(world->diag.errors > 0);
    char path[512];
    snprintf(path, sizeof path, "%s/control.sock", world->dir);
    write_file(world, "control.sock", "a file of somebody's\n");
    assert_int_not_equal(start(world, "port: 0\n"), 0);
    assert_true(has_said(world, "control.sock"));
    assert_int_equal(access(path, F_OK), 0);
}

static void test_own_key_and_twins(void **state)
{
    struct world *world = *state;
    char key[GW_KEY_BASE64_STRLEN], config[512];
    assert_int_equal(start(world, "port: 0\n"), 0);
    gw_key_base64_format(gw_gateway_public_key(gw_daemon_first_network(world->daemon)->gateway), key);
    /* Oneself as a peer is left out, with an error in the log; in authorized_keys it is nothing at all. */
    snprintf(config, sizeof config, "port: 0\npeers: [{name: me, public_key: \"%s\"}]\n", key);
    reload(world, config);
    assert_int_equal(peer_count(world), 0);
    snprintf(config, sizeof config, "%s me\n" OTHER_KEY "\n" OTHER_KEY " again\n", key);
    write_file(world, "authorized_keys", config);
    assert_int_equal(reload(world, "port: 0\n"), 0);
    assert_int_equal(peer_count(world), 1);
}

/* --- reloading --- */

static void test_peers_come_and_go(void **state)
{
    struct world *world = *state;
    assert_int_equal(start(world, "port: 0\n"), 0);
    assert_int_equal(reload(world, "port: 0\n" SOME_PEER), 0);
    assert_int_equal(peer_count(world), 1);
    struct gw_peer *peer = gw_gateway_next_peer(gw_daemon_first_network(world->daemon)->gateway, NULL);
    assert_int_equal(reload(world, "port: 0\nhostname: other\n" SOME_PEER), 0);
    /* The same object: nothing of it has changed. */
    assert_ptr_equal(gw_gateway_next_peer(gw_daemon_first_network(world->daemon)->gateway, NULL), peer);
    assert_true(has_said(world, "`hostname` has changed"));
    write_file(world, "authorized_keys", OTHER_KEY " other\n");
    assert_int_equal(reload(world, "port: 0\n" SOME_PEER), 0);
    assert_int_equal(peer_count(world), 2);
    write_file(world, "authorized_keys", "expires=\"2001-01-01\" " OTHER_KEY "\n");
    assert_int_equal(reload(world, "port: 0\n"), 0);
    assert_int_equal(peer_count(world), 0);
}

static void test_expiry_is_watched(void **state)
{
    struct world *world = *state;
    write_file(world, "authorized_keys", "expires=\"2101-01-01\" " OTHER_KEY "\n");
    assert_int_equal(start(world, "port: 0\n"), 0);
    assert_true(evtimer_pending(world->daemon->expiry, NULL));
    assert_int_equal(peer_count(world), 1);
    write_file(world, "authorized_keys", OTHER_KEY "\n");
    assert_int_equal(reload(world, "port: 0\n"), 0);
    assert_false(evtimer_pending(world->daemon->expiry, NULL));
}

#define SOME_KEY "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="

static unsigned refused_count(const struct world *world)
{
    unsigned count = 0;
    gw_list_for_each (node, &gw_daemon_first_network(world->daemon)->peers.refused)
        count++;
    return count;
}

/* A peer of the configuration, and lines in authorized_keys that say no to it. */
static void test_configured_peer_is_refused(void **state)
{
    static const char *const no[] = {"expires=\"2001-01-01\" " SOME_KEY "\n",
                                     "revoked=\"yes\" " SOME_KEY " lost\n"};
    struct world *world = *state;
    assert_int_equal(start(world, "port: 0\n" SOME_PEER), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(peer_count(world), 1);
        write_file(world, "authorized_keys", no[i]);
        assert_int_equal(reload(world, "port: 0\n" SOME_PEER), 0);
        assert_int_equal(peer_count(world), 0);
        assert_int_equal(refused_count(world), 1);
        /* So it is after a restart. */
        gw_daemon_free(world->daemon);
        assert_int_equal(start(world, "port: 0\n" SOME_PEER), 0);
        assert_int_equal(peer_count(world), 0);
        assert_int_equal(refused_count(world), 1);
        write_file(world, "authorized_keys", i == 0 ? "" : "services=\"web\" " SOME_KEY "\n");
        assert_int_equal(reload(world, "port: 0\n" SOME_PEER), 0);
        assert_int_equal(refused_count(world), 0);
    }
    /* A line that cannot be read keeps nobody out, but gives no service either. */
    write_file(world, "authorized_keys", "services=\"web " SOME_KEY "\n");
    assert_int_equal(reload(world, "port: 0\nservices: {web: {local_address: \"127.0.0.1:80\"}}\n" SOME_PEER),
                     0);
    assert_int_equal(peer_count(world), 1);
    const uint8_t *key =
        gw_peer_config(gw_gateway_next_peer(gw_daemon_first_network(world->daemon)->gateway, NULL))
            ->public_key;
    const struct gw_service *web =
        gw_registry_find(gw_services_registry(gw_daemon_first_network(world->daemon)->services), "web");
    assert_int_equal(gw_services_may_use(gw_daemon_first_network(world->daemon)->services, web, key),
                     GW_VERDICT_NOT_THIS_SERVICE);
}

static void test_bad_reload_changes_nothing(void **state)
{
    struct world *world = *state;
    char config[512];
    int fd;
    unsigned port = taken_port(&fd);
    assert_int_equal(start(world, "port: 0\nservices: {web: {local_address: \"127.0.0.1:80\"}}\n" SOME_PEER),
                     0);
    assert_int_equal(reload(world, "port: 0\npeers: []\nservices: {ssh: {local_address: nonsense}}\n"),
                     GW_E_CONFIG);
    /* A proxy port that is taken is found out last, and everything before is put back. */
    snprintf(
        config, sizeof config,
        "port: 0\nservices: {ssh: {local_address: \"127.0.0.1:22\"}}\nsocks: {listen: \"127.0.0.1:%u\"}\n",
        port);
    assert_int_equal(reload(world, config), -EADDRINUSE);
    const struct gw_registry *registry =
        gw_services_registry(gw_daemon_first_network(world->daemon)->services);
    assert_non_null(gw_registry_find(registry, "web"));
    assert_null(gw_registry_find(registry, "ssh"));
    assert_null(world->daemon->socks5);
    assert_int_equal(peer_count(world), 1);
    close(fd);
}

static char logged[4096];
static void keep_log(void *ctx, enum gw_log_level level, const char *line)
{
    size_t len = strlen(logged);
    (void)ctx, (void)level;
    snprintf(logged + len, sizeof logged - len, "%s\n", line);
}

/* What is wrong with a new file is logged like all else: without addresses, if that is asked for. */
static void test_hidden_addresses_stay_hidden(void **state)
{
    struct world *world = *state;
    char config[256];
    int fd;
    unsigned port = taken_port(&fd);
    logged[0] = '\0';
    assert_int_equal(start(world, "port: 0\nlog: {hide_addresses: true}\n"), 0);
    gw_log_set_sink(keep_log, NULL);
    snprintf(config, sizeof config,
             "port: 0\nlog: {hide_addresses: true}\nsocks: {listen: \"127.0.0.1:%u\"}\n", port);
    assert_int_equal(reload(world, config), -EADDRINUSE);
    gw_daemon_log_diag(&world->diag);
    assert_int_equal(reload(world, "port: 0\nlisten: \"192.0.2.7 \"\n"), GW_E_CONFIG);
    gw_daemon_log_diag(&world->diag);
    gw_log_set_sink(quiet, NULL);
    gw_log_set_hide_addresses(false);
    assert_non_null(strstr(logged, "the proxy cannot listen on (hidden):"));
    assert_non_null(strstr(logged, "listen: expected"));
    assert_null(strstr(logged, "127.0.0.1"));
    assert_null(strstr(logged, "192.0.2.7"));
    close(fd);
}

static void test_services_and_proxy_follow(void **state)
{
    struct world *world = *state;
    assert_int_equal(start(world, "port: 0\n"), 0);
    write_file(world, "nobody", "# nobody\n");
    assert_int_equal(
        reload(
            world,
            "port: 0\n"
            "services:\n"
            "  web: {local_address: \"127.0.0.1:80\"}\n"
            "  unix: {local_address: \"unix:sock\", port: 99}\n"
            "  name: {local_address: \"localhost:5000\", protocol: udp, authorized_keys: nobody}\n"
            "socks: {listen: [\"127.0.0.1:0\", \"unix:proxy.sock\"], username: a, password: b, allow: [\"*.x.org\", "
            "\"10.0.0.0/8:80\"], deny: [y.org]}\n"),
        0);
    const struct gw_registry *registry =
        gw_services_registry(gw_daemon_first_network(world->daemon)->services);
    assert_int_equal(registry->count, 3);
    assert_int_equal(gw_registry_find(registry, "unix")->target.kind, GW_TARGET_UNIX);
    assert_true(gw_registry_find(registry, "name")->is_udp);
    assert_non_null(gw_registry_find(registry, "name")->grants);
    assert_int_equal(gw_socks5_listen_count(world->daemon->socks5), 2);
    assert_int_equal(reload(world, "port: 0\n"), 0);
    assert_int_equal(registry->count, 0);
    assert_null(world->daemon->socks5);
}

static void test_a_bad_line_of_authorized_keys(void **state)
{
    struct world *world = *state;
    assert_int_equal(start(world, "port: 0\n"), 0);
    write_file(world, "authorized_keys", "nonsense\n" OTHER_KEY " good\n");
    assert_int_equal(reload(world, "port: 0\n"), 0);
    assert_true(has_said(world, "authorized_keys:1"));
    assert_int_equal(peer_count(world), 1);
}

/* Names may stand in config.yaml too; those of names.yaml go before them. */
static void test_names_of_both_files(void **state)
{
    static const char one[] = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
                      other[] = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq";
    struct world *world = *state;
    char config[512], names[256];
    snprintf(config, sizeof config, "port: 0\npeers: [{peer_id: %s}]\nnames: {pal: %s, both: %s}\n", one, one,
             one);
    snprintf(names, sizeof names, "both: %s\n", other);
    write_file(world, "names.yaml", names);
    assert_int_equal(start(world, config), 0);
    const struct gw_names *all = world->daemon->files.names;
    assert_int_equal(all->count, 2);
    const uint8_t *key =
        gw_peer_config(gw_gateway_next_peer(gw_daemon_first_network(world->daemon)->gateway, NULL))
            ->public_key;
    assert_memory_equal(gw_names_find(all, "pal", "")->x25519, key, GW_KEY_LEN);
    assert_memory_not_equal(gw_names_find(all, "both", "")->x25519, key, GW_KEY_LEN);
}

/* --- ending */

static int control_client(struct world *world)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%.80s/control.sock", world->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* A client that was told why not and does not hang up: what the daemon holds for it goes with the daemon (the leak checker looks). */
static void test_ends_while_a_client_is_told_why_not(void **state)
{
    static const char request[] = "{\"command\":\"connect\",\"host\":\"some\",\"service\":\"web\"}\n";
    struct world *world = *state;
    char answer[512] = "";
    assert_int_equal(
        start(
            world,
            "port: 0\npeers: [{name: some, peer_id: 12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5}]\n"),
        0);
    int fd = control_client(world);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    for (int i = 0; i < 30000 && recv(fd, answer, sizeof answer - 1, 0) <= 0; i++) {
        event_base_loop(gw_loop_base(world->daemon->loop), EVLOOP_NONBLOCK);
        usleep(1000);
    }
    assert_non_null(strstr(answer, "no address of the peer is known"));
    gw_daemon_free(world->daemon);
    world->daemon = NULL;
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1); /* its end of the connection is closed, too */
    close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_starts_and_ends),
        T(test_no_identity),
        T(test_bad_file),
        T(test_port_of_the_proxy_is_taken),
        T(test_control_socket_cannot_be_made),
        T(test_own_key_and_twins),
        T(test_peers_come_and_go),
        T(test_expiry_is_watched),
        T(test_configured_peer_is_refused),
        T(test_bad_reload_changes_nothing),
        T(test_hidden_addresses_stay_hidden),
        T(test_services_and_proxy_follow),
        T(test_a_bad_line_of_authorized_keys),
        T(test_names_of_both_files),
        T(test_ends_while_a_client_is_told_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
