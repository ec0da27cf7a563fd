/* SPDX-License-Identifier: MIT */
/* Every key of the configuration, changed under a running daemon: what the schema says of it (schema.h, gw_reload) is what happens. For each there is a configuration with one value
 * and one with another, and what the running parts have (reload_state.c) is read before and after. A key that has no line here, or that a reload passes over in silence, fails. */
#include "gateway/base/err.h"
#include "gateway/config/schema.h"
#include "gateway/daemon/daemon.h"
#include "tests/unit/daemon/reload_rows.h"
#include "tests/unit/daemon/reload_state.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_LEN 128
#define FILE_LEN 4096

/* ---- the world */

struct world {
    char dir[256];
    struct gw_logsink log;
    struct gw_daemon *daemon;
    struct gw_diag diag;
    bool has_namespace;
};

static void ignore(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0600);
}

static void make_identity(const char *dir, const char *name)
{
    struct gw_identity *identity;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(gw_identity_generate(&identity, gw_random_system()), 0);
    assert_int_equal(gw_identity_save_new(identity, path), 0);
    gw_identity_free(identity);
}

/* A network of our own, so that ports are free and a TUN harms nobody; without the right to one the TUN's keys are left out. */
static bool enter_namespace(void)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &loopback), 0);
    close(fd);
    return access("/dev/net/tun", R_OK | W_OK) == 0;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/peergate-test-reload-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    gw_log_set_sink(ignore, NULL);
    gw_logsink_init(&world->log);
    make_identity(world->dir, "identity.key");
    make_identity(world->dir, "other.key");
    write_text(world->dir, "keys_1", ID_1 "\n");
    write_text(world->dir, "keys_2", ID_2 "\n");
    world->has_namespace = enter_namespace();
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", world->dir);
    assert_int_equal(system(command), 0);
    free(world);
    return 0;
}

static bool has_named(const struct world *world, const char *key)
{
    char quoted[PATH_LEN + 2];
    snprintf(quoted, sizeof quoted, "`%s`", key);
    for (size_t i = 0; i < world->diag.count; i++) {
        const char *text = world->diag.entries[i].text;
        if (strstr(text, quoted) && strstr(text, "restart"))
            return true;
    }
    return false;
}

static void print_diag(const struct world *world)
{
    for (size_t i = 0; i < world->diag.count; i++)
        print_error("    %s\n", world->diag.entries[i].text);
}

/* ---- one key */

static const struct gw_key *find_key(const char *path)
{
    char words[PATH_LEN], *at = words, *word;
    const struct gw_section *section = &gw_schema;
    const struct gw_key *key = NULL;
    snprintf(words, sizeof words, "%s", path);
    while ((word = strsep(&at, ".[]"))) {
        if (!*word || strcmp(word, "NAME") == 0)
            continue;
        key = section ? gw_section_find(section, word) : NULL;
        if (!key)
            return NULL;
        section = key->type == GW_TYPE_SECTION ? key->section : NULL;
    }
    return key;
}

static int reload(struct world *world, const char *config)
{
    write_text(world->dir, "config.yaml", config);
    gw_diag_clear(&world->diag);
    return gw_daemon_reload(world->daemon, &world->diag);
}

/* What is wrong; NULL: nothing. */
static const char *compare(const struct world *world, const struct row *row, const struct gw_key *key,
                           const char *old, const char *fresh)
{
    bool is_named = has_named(world, row->key), is_applied = strcmp(old, fresh) != 0;
    switch (key->reload) {
    case GW_RELOAD_NOW:
    case GW_RELOAD_LATER:
        return !is_applied ? "passed over in silence"
               : is_named  ? "applied, but a restart is asked for"
                           : NULL;
    case GW_RELOAD_RESTART:
        return !is_named    ? "passed over in silence"
               : is_applied ? "applied, though it takes a restart"
                            : NULL;
    case GW_RELOAD_DEPENDS:
        return is_applied || is_named ? NULL : "passed over in silence";
    case GW_RELOAD_NOTHING:
        return is_applied ? "applied" : NULL;
    case GW_RELOAD_UNSAID:
        break;
    }
    return "not said in the schema";
}

/* The daemon runs with `before`. */
static const char *change(struct world *world, const struct row *row, const struct gw_key *key)
{
    const char *wrong = "refused";
    char *old = reload_state(world->daemon), *fresh = NULL, *same = NULL;
    if (reload(world, row->before) == 0) {
        same = reload_state(world->daemon);
        wrong = strcmp(old, same) != 0           ? "not still when nothing changes"
                : has_named(world, row->key)     ? "to be restarted for, though it is the same"
                : reload(world, row->after) != 0 ? "refused"
                                                 : NULL;
    }
    if (!wrong) {
        fresh = reload_state(world->daemon);
        wrong = compare(world, row, key, old, fresh);
    }
    /* What waits for a restart is said again, and not once the file is as it was. */
    if (!wrong && key->reload == GW_RELOAD_RESTART &&
        (reload(world, row->after) != 0 || !has_named(world, row->key)))
        wrong = "forgotten by the next reload";
    if (!wrong && key->reload == GW_RELOAD_RESTART &&
        (reload(world, row->before) != 0 || has_named(world, row->key)))
        wrong = "to be restarted for, though it is as it was";
    free(old);
    free(fresh);
    free(same);
    return wrong;
}

static const char *run(struct world *world, const struct row *row)
{
    const struct gw_daemon_params params = {.dir = world->dir, .log = &world->log};
    const struct gw_key *key = find_key(row->key);
    const char *wrong = "not in the schema";
    if (!key)
        return wrong;
    write_text(world->dir, "config.yaml", row->before);
    gw_diag_clear(&world->diag);
    wrong = gw_daemon_new(&world->daemon, &params, &world->diag) == 0
                ? change(world, row, key)
                : "no start: its first value is refused";
    if (wrong)
        print_diag(world);
    gw_daemon_free(world->daemon);
    world->daemon = NULL;
    gw_diag_clear(&world->diag);
    return wrong;
}

static void test_each_key(void **state)
{
    struct world *world = *state;
    unsigned wrong = 0, left_out = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].needs_tun && !world->has_namespace) {
            left_out++;
            continue;
        }
        const char *what = run(world, &rows[i]);
        if (what) {
            print_error("`%s` is %s\n", rows[i].key, what);
            wrong++;
        }
    }
    if (left_out > 0)
        print_message("no right to a network of our own: %u keys of the TUN are left out\n", left_out);
    assert_int_equal(wrong, 0);
}

/* ---- all keys */

static bool is_tested(const char *path)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].key, path) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        if (strcmp(elsewhere[i], path) == 0)
            return true;
    }
    return false;
}

static unsigned look(const struct gw_key *key, const char *path, bool is_in_list)
{
    unsigned wrong = 0;
    if (key->reload == GW_RELOAD_UNSAID) {
        print_error("`%s`: the schema does not say what a reload does\n", path);
        wrong++;
    }
    if (is_in_list && (key->reload == GW_RELOAD_RESTART || key->reload == GW_RELOAD_DEPENDS)) {
        print_error("`%s`: what comes and goes cannot wait for a restart\n", path);
        wrong++;
    }
    if (key->reload != GW_RELOAD_NOTHING && !is_tested(path)) {
        print_error("`%s`: no line in the table above\n", path);
        wrong++;
    }
    return wrong;
}

static unsigned walk(const struct gw_section *section, const char *path, bool is_in_list)
{
    unsigned wrong = 0;
    for (const struct gw_key *key = section->keys; key->name; key++) {
        char name[PATH_LEN], inner[PATH_LEN + 8];
        bool is_section = key->type == GW_TYPE_SECTION, is_list = key->shape == GW_LIST;
        bool is_name = section->named_key && strcmp(section->named_key, key->name) == 0;
        snprintf(name, sizeof name, "%s%s", path, key->name);
        snprintf(inner, sizeof inner, "%s%s.", name, is_list ? "[]" : key->shape == GW_NAMED ? ".NAME" : "");
        if (key->shape == GW_INLINE)
            wrong += walk(key->section, path, false);
        else if (is_section && key->shape == GW_ONE)
            wrong += walk(key->section, inner, is_in_list);
        else if (!is_name)
            wrong += look(key, name, is_in_list);
        /* The keys of `networks` are those of the top level. */
        if (is_section && (is_list || key->shape == GW_NAMED) && strcmp(name, "networks") != 0)
            wrong += walk(key->section, inner, true);
    }
    return wrong;
}

static void test_all_keys(void **state)
{
    (void)state;
    assert_int_equal(walk(&gw_schema, "", false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test_setup_teardown(test_each_key, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
