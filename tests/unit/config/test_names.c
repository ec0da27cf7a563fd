/* SPDX-License-Identifier: MIT */
/* names.yaml: its shapes, its errors, and which entry answers. */
#include "gateway/config/names.h"

#include "folder.h"
#include "keys.h"

#include "gateway/base/err.h"

static struct gw_names *parse(const char *text)
{
    struct gw_names *names;
    struct gw_diag diag = {0};
    int err = gw_names_parse(&names, text, strlen(text), "n", &diag);
    if (err)
        fail_msg("%d: %s", err, diag.count ? diag.entries[0].text : "");
    return names;
}

static void shapes(void **state)
{
    struct gw_names *names =
        parse("laptop: " ID_1 "\nHome.Grewal: " KEY_2 "\nfiles: {peer_id: " ID_3 ", service: web}\n"
              "phone.bob.p2p: " ID_1 "\n");
    (void)state;
    assert_int_equal(names->count, 4);
    const struct gw_name *files = gw_names_find(names, "files", "");
    assert_string_equal(files->service, "web");
    assert_true(files->has_ed25519);
    assert_int_equal(files->line, 3);
    assert_false(gw_names_find(names, "home", "grewal")->has_ed25519);
    assert_string_equal(gw_names_find(names, "PHONE", "Bob")->network, "bob");
    gw_names_free(names);
    names = parse("names:\n  home: " ID_1 "\n");
    assert_non_null(gw_names_find(names, "home", ""));
    gw_names_free(names);
    names = parse("names: " ID_1 "\n");
    assert_non_null(gw_names_find(names, "names", ""));
    gw_names_free(names);
    names = parse("names: {}\n");
    assert_int_equal(names->count, 0);
    gw_names_free(names);
    gw_names_free(parse(""));
    gw_names_free(NULL);
}

static const char *service_of(const struct gw_names *names, const char *host, const char *network)
{
    const struct gw_name *name = gw_names_find(names, host, network);
    return name ? name->service : "none";
}

/* The service tells the entries apart. */
static void which_entry_answers(void **state)
{
    struct gw_names *names = parse("a: {peer_id: " ID_1 ", service: any}\n"
                                   "a.one: {peer_id: " ID_1 ", service: one}\n"
                                   "b.one: {peer_id: " ID_1 ", service: b-one}\n"
                                   "c.one: {peer_id: " ID_1 ", service: c-one}\n"
                                   "c.two: {peer_id: " ID_1 ", service: c-two}\n");
    (void)state;
    assert_string_equal(service_of(names, "a", ""), "any");
    assert_string_equal(service_of(names, "a", "one"), "one");
    assert_string_equal(service_of(names, "a", "two"), "any");
    assert_string_equal(service_of(names, "b", ""), "b-one");
    assert_string_equal(service_of(names, "b", "two"), "none");
    assert_string_equal(service_of(names, "c", ""), "none");
    assert_string_equal(service_of(names, "d", ""), "none");
    gw_names_free(names);
}

static const char *const bad[][2] = {
    {"a: hello", "n:1: a: expected a peer ID or a base64 key, found \"hello\""},
    {"a:", "n:1: a: expected a peer ID or a base64 key, found nothing"},
    {"a: [" ID_1 "]", "n:1: a: expected a peer ID or a base64 key, found a list"},
    {"a: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
     "n:1: a: expected a peer ID or a base64 key, found \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\": this key is refused: a point of "
     "small order, which anybody shares a secret with"},
    {"a.b.c: " ID_1, "n:1: a.b.c: expected HOST or HOST.NETWORK of letters, digits, - and _"},
    {"-a: " ID_1, "n:1: -a: expected HOST or HOST.NETWORK of letters, digits, - and _"},
    {"a.: " ID_1, "n:1: a.: expected HOST or HOST.NETWORK of letters, digits, - and _"},
    {".p2p: " ID_1, "n:1: .p2p: expected HOST or HOST.NETWORK of letters, digits, - and _"},
    {"a: {service: web}", "n:1: a: expected peer_id, found a mapping without it"},
    {"a: {peer_id: " ID_1 ", port: 5}",
     "n:1: a.port: unknown key; there are peer_id, public_key and service"},
    {"a: {peer_id: " ID_1 ", service: [x]}", "n:1: a.service: expected a service's name"},
    {"a: " ID_1 "\nb: " ID_2 "\nA: " ID_3, "n:3: a: is there already, in line 1"},
    {"a.x: " ID_1 "\na.X.p2p: " ID_3, "n:2: a.x: is there already, in line 1"},
    {"- a", "n:1: expected a mapping from names to peer IDs, found a list"},
    {"a: [",
     "n:2: not YAML: did not find expected node content (while parsing a flow node that begins in line 2)"},
};

static void errors_name_the_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gw_names *names;
        struct gw_diag diag = {0};
        char text[512];
        snprintf(text, sizeof text, "%s\n", bad[i][0]);
        assert_int_equal(gw_names_parse(&names, text, strlen(text), "n", &diag), GW_E_CONFIG);
        assert_null(names);
        assert_int_equal(diag.errors, 1);
        assert_string_equal(diag.entries[0].text, bad[i][1]);
        gw_diag_clear(&diag);
    }
}

static void loaded_from_a_file(void **state)
{
    struct folder folder;
    struct gw_names *names;
    struct gw_diag diag = {0};
    char path[FILE_LEN];
    (void)state;
    folder_make(&folder);
    folder_file(&folder, "names.yaml", path);
    assert_int_equal(gw_names_load(&names, path, &diag), 0); /* none: no names */
    assert_int_equal(names->count, 0);
    gw_names_free(names);
    file_write(path, "a: " ID_1 "\n", strlen("a: " ID_1 "\n"), 0644);
    assert_int_equal(gw_names_load(&names, path, &diag), 0);
    assert_int_equal(names->count, 1);
    gw_names_free(names);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(gw_names_load(&names, path, &diag), GW_E_PERMISSION);
    assert_null(names);
    folder_remove(&folder);
    gw_diag_clear(&diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(which_entry_answers),
                                       cmocka_unit_test(errors_name_the_line),
                                       cmocka_unit_test(loaded_from_a_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
