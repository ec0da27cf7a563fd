/* SPDX-License-Identifier: MIT */
#include "gateway/base/err.h"
#include "gateway/services/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_service_config service(const char *name, const char *target, uint16_t port)
{
    struct gw_service_config config = {.name = name, .is_enabled = true, .port = port};
    assert_int_equal(gw_target_parse(&config.target, target), 0);
    return config;
}

static const char *by_port(const struct gw_registry *registry, uint16_t port, bool is_udp)
{
    struct gw_open open = {.port = port, .is_datagrams = is_udp};
    const struct gw_service *found = gw_registry_lookup(registry, &open);
    return found ? found->name : "";
}

static const char *by_name(const struct gw_registry *registry, const char *name, bool is_udp)
{
    struct gw_open open = {.is_datagrams = is_udp};
    snprintf(open.service, sizeof open.service, "%s", name);
    const struct gw_service *found = gw_registry_lookup(registry, &open);
    return found ? found->name : "";
}

static void put(struct gw_registry *registry, struct gw_service_config config)
{
    assert_int_equal(gw_registry_put(registry, &config), 0);
}

static void test_ports(void **state)
{
    struct gw_registry registry;
    (void)state;
    gw_registry_init(&registry);
    put(&registry, service("web", "127.0.0.1:8000", 80));
    put(&registry, service("ssh", "unix:/run/ssh", 0));
    put(&registry, service("thing", "unix:/run/thing", 0));
    put(&registry, service("db", "localhost:5432", 0));
    struct gw_service_config dns = service("dns", "127.0.0.1:53", 0);
    dns.is_udp = true;
    put(&registry, dns);
    assert_string_equal(by_port(&registry, 80, false), "web");
    assert_string_equal(by_port(&registry, 8000, false), "");
    assert_string_equal(by_port(&registry, 22, false), "ssh");
    assert_string_equal(by_port(&registry, 5432, false), "db");
    assert_string_equal(by_port(&registry, 53, true), "dns");
    assert_string_equal(by_port(&registry, 53, false), "");
    assert_string_equal(by_port(&registry, 0, false), "");
    assert_string_equal(by_name(&registry, "WEB", false), "web");
    assert_string_equal(by_name(&registry, "web", true), "");
    assert_string_equal(by_name(&registry, "thing", false), "thing");
    assert_string_equal(by_name(&registry, "nothing", false), "");
    gw_registry_fini(&registry);
}

static void test_same_port(void **state)
{
    struct gw_registry registry;
    (void)state;
    gw_registry_init(&registry);
    put(&registry, service("a", "127.0.0.1:8000", 0));
    put(&registry, service("b", "127.0.0.2:8000", 0));
    assert_string_equal(by_port(&registry, 8000, false), "a");
    put(&registry, service("c", "127.0.0.1:9", 8000));
    assert_string_equal(by_port(&registry, 8000, false), "c");
    struct gw_service_config d = service("d", "127.0.0.1:10", 8000);
    assert_int_equal(gw_registry_put(&registry, &d), -EEXIST);
    d.is_udp = true;
    put(&registry, d);
    d.is_udp = d.is_enabled = false;
    put(&registry, d);
    gw_registry_fini(&registry);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"", "a b", "a.b", "ä",
                                      "0123456789012345678901234567890123456789012345678901234567890123"};
    struct gw_registry registry;
    (void)state;
    gw_registry_init(&registry);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gw_service_config config = service(bad[i], "a:1", 0);
        assert_int_equal(gw_registry_put(&registry, &config), GW_E_INVAL);
    }
    struct gw_service_config config = service("x", "unix:/x", 0);
    config.is_udp = true;
    assert_int_equal(gw_registry_put(&registry, &config), GW_E_INVAL);
    config = (struct gw_service_config){.name = "x"};
    assert_int_equal(gw_registry_put(&registry, &config), GW_E_INVAL);
    assert_int_equal(registry.count, 0);
    gw_registry_fini(&registry);
}

static void test_disabled_and_removed(void **state)
{
    struct gw_registry registry;
    size_t bad;
    (void)state;
    gw_registry_init(&registry);
    struct gw_service_config config = service("web", "127.0.0.1:80", 0);
    config.is_enabled = false;
    put(&registry, config);
    put(&registry, service("ssh", "127.0.0.1:22", 0));
    assert_string_equal(by_name(&registry, "web", false), "");
    assert_string_equal(by_port(&registry, 80, false), "");
    assert_non_null(gw_registry_find(&registry, "web"));
    config = service("ssh", "127.0.0.1:22", 0);
    assert_int_equal(gw_registry_replace(&registry, &config, 1, &bad), 0);
    assert_null(gw_registry_find(&registry, "web"));
    assert_string_equal(by_name(&registry, "ssh", false), "ssh");
    gw_registry_fini(&registry);
}

/* A reload: who stays where it is keeps its serial, everybody else gets another; an error changes nothing. */
static void test_replace(void **state)
{
    struct gw_registry registry;
    size_t bad = 99;
    (void)state;
    gw_registry_init(&registry);
    put(&registry, service("a", "127.0.0.1:1", 0));
    put(&registry, service("b", "127.0.0.1:2", 0));
    put(&registry, service("c", "127.0.0.1:3", 0));
    uint64_t a = gw_registry_find(&registry, "a")->serial, b = gw_registry_find(&registry, "b")->serial,
             c = gw_registry_find(&registry, "c")->serial;
    struct gw_service_config next[] = {service("b", "127.0.0.1:2", 77), service("a", "127.0.0.1:9", 0),
                                       service("d", "127.0.0.1:4", 0)};
    assert_int_equal(gw_registry_replace(&registry, next, 3, &bad), 0);
    assert_int_equal(registry.count, 3);
    assert_int_equal(gw_registry_find(&registry, "b")->serial, b);
    assert_int_equal(gw_registry_find(&registry, "b")->port, 77);
    assert_int_not_equal(gw_registry_find(&registry, "a")->serial, a);
    assert_null(gw_registry_find_serial(&registry, a));
    assert_null(gw_registry_find_serial(&registry, c));
    assert_string_equal(gw_registry_find_serial(&registry, b)->name, "b");
    next[2].name = "not a name";
    assert_int_equal(gw_registry_replace(&registry, next, 3, &bad), GW_E_INVAL);
    assert_int_equal(bad, 2);
    assert_non_null(gw_registry_find(&registry, "d"));
    gw_registry_fini(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),   cmocka_unit_test(test_same_port),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_disabled_and_removed),
        cmocka_unit_test(test_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
