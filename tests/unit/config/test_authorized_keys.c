/* SPDX-License-Identifier: MIT */
/* authorized_keys: lines and their errors, who may do what until when, and edits that keep all else. */
#include "gateway/config/authorized_keys.h"

#include "folder.h"
#include "gateway/config/authorized_line.h"
#include "gateway/config/peer_key.h"
#include "gateway/wire/peer_id.h"
#include "keys.h"

#include "gateway/base/err.h"

#include <sys/wait.h>

static struct gw_authorized_keys *parse(const char *text, struct gw_diag *diag)
{
    struct gw_authorized_keys *list;
    assert_int_equal(gw_authorized_keys_parse(&list, text, strlen(text), "a", diag), 0);
    return list;
}

static void key_of(uint8_t x25519[32], const char *text)
{
    struct gw_peer_key key;
    const char *why;
    assert_int_equal(gw_peer_key_parse(&key, text, &why), 0);
    memcpy(x25519, key.x25519, 32);
}

/* ---- reading */

static const char sample[] =
    "# Who may connect\r\n"
    "\n"
    "  " ID_1 "  my laptop \n"
    "services=\"ssh,web\",expires=\"2027-01-01\" " ID_2 "\t# a friend\n" KEY_3; /* without a newline */

static void lines(void **state)
{
    struct gw_diag diag = {0};
    struct gw_authorized_keys *list = parse(sample, &diag);
    (void)state;
    assert_int_equal(diag.count, 0);
    assert_int_equal(list->count, 3);
    assert_int_equal(list->keys[0].line, 3);
    assert_string_equal(list->keys[0].comment, "my laptop");
    assert_null(list->keys[0].services);
    assert_true(list->keys[0].has_ed25519);
    assert_string_equal(list->keys[1].comment, "a friend");
    assert_string_equal(list->keys[1].services[0], "ssh");
    assert_string_equal(list->keys[1].services[1], "web");
    assert_null(list->keys[1].services[2]);
    assert_true(list->keys[1].has_expiry);
    assert_int_equal(list->keys[1].expires.s, 1798761600);
    assert_null(list->keys[2].comment);
    assert_false(list->keys[2].has_ed25519);
    gw_authorized_keys_free(list);
    gw_authorized_keys_free(NULL);
}

static const char *const bad[][2] = {
    {"hello", "a:1: expected a peer ID or a base64 key; this line grants nothing"},
    {"12D3KooW", "a:1: expected a peer ID or a base64 key; this line grants nothing"},
    {"services=\"ssh\"", "a:1: expected a blank behind the options; this line grants nothing"},
    {"services=\"ssh\" ", "a:1: expected a peer ID or a base64 key; this line grants nothing"},
    {"services=\"ssh " ID_1, "a:1: a quotation mark is missing; this line grants nothing"},
    {"services=\"\" " ID_1,
     "a:1: services: expected names with commas between them, such as \"ssh,web\"; this line grants nothing"},
    {"services=\"a,,b\" " ID_1,
     "a:1: services: expected names with commas between them, such as \"ssh,web\"; this line grants nothing"},
    {"services=\"a b\" " ID_1,
     "a:1: services: expected names with commas between them, such as \"ssh,web\"; this line grants nothing"},
    {"services=\"a\",services=\"b\" " ID_1, "a:1: services is there twice; this line grants nothing"},
    {"expires=\"soon\" " ID_1,
     "a:1: expires: expected a date such as \"2027-01-01\" or \"2027-01-01T12:00:00Z\"; this line grants nothing"},
    {"from=\"10.0.0.1\" " ID_1,
     "a:1: unknown option; there are services=\"...\", expires=\"...\" and revoked=\"yes\"; this line grants nothing"},
    {"revoked=\"no\" " ID_1, "a:1: revoked: expected \"yes\"; this line grants nothing"},
    {"services=\"a\" services=\"b\" " ID_1,
     "a:1: expected a peer ID or a base64 key; this line grants nothing"},
    {ID_1 "\n" ID_1_FLIPPED, "a:2: this peer is in line 1 already, which counts; this line grants nothing"},
    {ID_1 "\n\n" KEY_1, "a:3: this peer is in line 1 already, which counts; this line grants nothing"},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
     "a:1: this key is refused: a point of small order, which anybody shares a secret with; this line grants nothing"},
    {"\x1b[1m" ID_1, "a:1: there is a control character; this line grants nothing"},
};

/* The other lines hold all the same. */
static void errors_name_the_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gw_diag diag = {0};
        uint8_t key[32];
        char text[512];
        snprintf(text, sizeof text, "%s\n" ID_2 "\n", bad[i][0]);
        struct gw_authorized_keys *list = parse(text, &diag);
        key_of(key, ID_2);
        assert_non_null(gw_authorized_keys_find(list, key));
        if (diag.errors != 1)
            fail_msg("%zu: %zu errors", i, diag.errors);
        assert_string_equal(diag.entries[0].text, bad[i][1]);
        gw_authorized_keys_free(list);
        gw_diag_clear(&diag);
    }
}

static void long_lines_are_refused(void **state)
{
    struct gw_diag diag = {0};
    char text[3000];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    memcpy(text, ID_1 " ", 53);
    text[sizeof text - 1] = '\0';
    struct gw_authorized_keys *list = parse(text, &diag);
    assert_int_equal(list->count, 1);
    assert_true(list->keys[0].is_void);
    assert_string_equal(diag.entries[0].text, "a:1: the line is too long; this line grants nothing");
    gw_authorized_keys_free(list);
    gw_diag_clear(&diag);
}

/* s -1: refused. Seconds are those of `date -u +%s`. */
static const struct {
    const char *text;
    int64_t s;
} dates[] = {
    {"2027-01-01", 1798761600},
    {"2028-02-29", 1835395200},
    {"1970-01-01", 0},
    {"2027-01-01T12:00:00Z", 1798804800},
    {"2027-01-01t12:00:00z", 1798804800},
    {"2027-01-01 12:00:00Z", 1798804800},
    {"2027-01-01T12:00:00.999Z", 1798804800},
    {"2027-01-01T12:00:00+02:00", 1798797600},
    {"2027-01-01T12:00:00-05:30", 1798824600},
    {"2027-02-29", -1},
    {"2027-13-01", -1},
    {"2027-00-01", -1},
    {"2027-01-32", -1},
    {"2027-1-1", -1},
    {"27-01-01", -1},
    {"2027-01-01T", -1},
    {"2027-01-01T12:00", -1},
    {"2027-01-01T12:00:00", -1},
    {"2027-01-01T24:00:00Z", -1},
    {"2027-01-01T12:00:00.Z", -1},
    {"2027-01-01T12:00:00Zx", -1},
    {"2027-01-01T12:00:00+2", -1},
    {"2027-01-01x", -1},
    {"", -1},
};

static void dates_are_utc(void **state)
{
    (void)state;
    setenv("TZ", "America/New_York", 1);
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        struct gw_wall wall = {0};
        int err = gw_expiry_parse(&wall, dates[i].text);
        if (err != (dates[i].s < 0 ? GW_E_MALFORMED : 0) || (!err && wall.s != dates[i].s))
            fail_msg("%s: %d %lld", dates[i].text, err, (long long)wall.s);
    }
}

static void who_may_do_what(void **state)
{
    struct gw_diag diag = {0};
    struct gw_authorized_keys *list = parse(sample, &diag);
    uint8_t all[32], some[32], flipped[32], none[32] = {9};
    const struct gw_wall before = {.s = 1798761599, .ns = 999999999}, after = {.s = 1798761600};
    (void)state;
    key_of(all, ID_1);
    key_of(flipped, ID_1_FLIPPED);
    key_of(some, ID_2);
    assert_true(gw_authorized_keys_allow(list, all, NULL, after));
    assert_true(gw_authorized_keys_allow(list, flipped, "anything", after));
    assert_true(gw_authorized_keys_allow(list, some, NULL, before));
    assert_true(gw_authorized_keys_allow(list, some, "SSH", before));
    assert_false(gw_authorized_keys_allow(list, some, "smb", before));
    assert_false(gw_authorized_keys_allow(list, some, "ssh", after));
    assert_false(gw_authorized_keys_allow(list, some, NULL, after));
    assert_false(gw_authorized_keys_allow(list, none, NULL, before));
    gw_authorized_keys_free(list);
}

/* A line that says no, and lines that say nothing: none of them may be taken for there being no line. */
static void revoked_and_void(void **state)
{
    static const char text[] = "revoked=\"yes\" " ID_1 " lost\n"
                               "servces=\"ssh\" " ID_2 " typo\n"
                               "servces=\"ssh\" " ID_3 " mended below\n" ID_3 "\n" KEY_3 " again\n";
    struct gw_diag diag = {0};
    struct gw_authorized_keys *list = parse(text, &diag);
    uint8_t key[32];
    (void)state;
    assert_int_equal(diag.errors, 3);
    assert_int_equal(list->count, 5);
    key_of(key, ID_1);
    assert_true(gw_authorized_keys_find(list, key)->is_revoked);
    assert_false(gw_authorized_keys_allow(list, key, NULL, (struct gw_wall){0}));
    key_of(key, ID_2);
    assert_true(gw_authorized_keys_find(list, key)->is_void);
    assert_false(gw_authorized_keys_allow(list, key, NULL, (struct gw_wall){0}));
    key_of(key, ID_3);
    assert_int_equal(gw_authorized_keys_find(list, key)->line, 4);
    assert_true(gw_authorized_keys_allow(list, key, "ssh", (struct gw_wall){0}));
    assert_true(list->keys[4].is_void);
    gw_authorized_keys_free(list);
    gw_diag_clear(&diag);
}

/* ---- edits */

struct fixture {
    struct folder folder;
    char path[FILE_LEN];
    struct gw_diag diag;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    folder_make(&fixture->folder);
    folder_file(&fixture->folder, "authorized_keys", fixture->path);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    folder_remove(&fixture->folder);
    gw_diag_clear(&fixture->diag);
    free(fixture);
    return 0;
}

static void expect_file(const struct fixture *fixture, const char *expected)
{
    char text[4096];
    struct stat st;
    assert_true(file_read(fixture->path, text, sizeof text) >= 0);
    assert_string_equal(text, expected);
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static int authorize(struct fixture *fixture, struct gw_authorize what, bool *replaced)
{
    return gw_authorized_keys_authorize(fixture->path, &what, replaced, &fixture->diag);
}

static void edits_keep_all_else(void **state)
{
    struct fixture *fixture = *state;
    static const char before[] =
        "# mine\n\n from=\"x\" who knows\n" ID_2 " b\n\xff\xfe binary\nlast without newline";
    bool replaced;
    file_write(fixture->path, before, strlen(before), 0600);
    assert_int_equal(
        authorize(fixture,
                  (struct gw_authorize){
                      .peer = ID_1, .services = "ssh,web", .expires = "2027-01-01", .comment = "me too"},
                  &replaced),
        0);
    assert_false(replaced);
    expect_file(fixture,
                "# mine\n\n from=\"x\" who knows\n" ID_2 " b\n\xff\xfe binary\nlast without newline\n"
                "services=\"ssh,web\",expires=\"2027-01-01\" " ID_1 " me too\n");
    assert_int_equal(
        authorize(fixture, (struct gw_authorize){.peer = ID_2, .expires = "2028-01-01"}, &replaced), 0);
    assert_true(replaced);
    expect_file(fixture, "# mine\n\n from=\"x\" who knows\nexpires=\"2028-01-01\" " ID_2
                         " b\n\xff\xfe binary\nlast without newline\n"
                         "services=\"ssh,web\",expires=\"2027-01-01\" " ID_1 " me too\n");
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, KEY_2, &fixture->diag), 0);
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, ID_1_FLIPPED, &fixture->diag), 0);
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, ID_1, &fixture->diag), GW_E_UNKNOWN);
    expect_file(fixture, "# mine\n\n from=\"x\" who knows\n\xff\xfe binary\nlast without newline\n");
    assert_int_equal(fixture->diag.count, 0);
}

static void made_when_absent(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, ID_1, &fixture->diag), GW_E_UNKNOWN);
    assert_int_equal(authorize(fixture, (struct gw_authorize){.peer = ID_1}, NULL), 0);
    expect_file(fixture, ID_1 "\n");
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, ID_1, &fixture->diag), 0);
    expect_file(fixture, "");
}

static void revoking(void **state)
{
    struct fixture *fixture = *state;
    static const char before[] = "# mine\nservices=\"ssh\" " ID_1 " laptop\n";
    bool replaced;
    file_write(fixture->path, before, strlen(before), 0600);
    assert_int_equal(gw_authorized_keys_revoke(fixture->path, ID_1, &replaced, &fixture->diag), 0);
    assert_true(replaced);
    assert_int_equal(gw_authorized_keys_revoke(fixture->path, KEY_2, &replaced, &fixture->diag), 0);
    assert_false(replaced);
    expect_file(fixture, "# mine\nrevoked=\"yes\" " ID_1 " laptop\nrevoked=\"yes\" " KEY_2 "\n");
    assert_int_equal(authorize(fixture, (struct gw_authorize){.peer = ID_1}, &replaced), 0);
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, ID_2, &fixture->diag), 0);
    expect_file(fixture, "# mine\n" ID_1 " laptop\n");
}

/* A line that is wrong grants nothing, but somebody may mend it; and a peer may be there more than once. */
static void nothing_of_the_peer_is_left(void **state)
{
    struct fixture *fixture = *state;
    static const char before[] =
        "servces=\"ssh\" " ID_1 " typo\n" ID_1 "\n" KEY_1 " again\n# " ID_1 " a comment\n" ID_2 "\n";
    file_write(fixture->path, before, strlen(before), 0600);
    assert_int_equal(gw_authorized_keys_deauthorize(fixture->path, ID_1, &fixture->diag), 0);
    expect_file(fixture, "# " ID_1 " a comment\n" ID_2 "\n");
    file_write(fixture->path, before, strlen(before), 0600);
    assert_int_equal(authorize(fixture, (struct gw_authorize){.peer = ID_1, .comment = "new"}, NULL), 0);
    expect_file(fixture, ID_1 " new\n# " ID_1 " a comment\n" ID_2 "\n");
}

static void a_link_stays_a_link(void **state)
{
    struct fixture *fixture = *state;
    char real[FILE_LEN];
    struct stat st;
    folder_file(&fixture->folder, "real", real);
    file_write(real, "# mine\n", 7, 0600);
    assert_int_equal(symlink(real, fixture->path), 0);
    assert_int_equal(authorize(fixture, (struct gw_authorize){.peer = ID_1}, NULL), 0);
    assert_int_equal(lstat(fixture->path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    expect_file(fixture, "# mine\n" ID_1 "\n");
}

static void what_is_refused(void **state)
{
    static const struct {
        struct gw_authorize what;
        const char *message;
    } wrong[] = {
        {{.peer = "hello"}, "expected a peer ID (12D3KooW...) or a base64 key, found \"hello\""},
        {{.peer = ""}, "expected a peer ID (12D3KooW...) or a base64 key, found \"\""},
        {{.peer = ID_1, .services = ""},
         "services: expected names with commas between them, such as ssh,web; found \"\""},
        {{.peer = ID_1, .services = "a\" x"},
         "services: expected names with commas between them, such as ssh,web; found \"a\" x\""},
        {{.peer = ID_1, .expires = "tomorrow"},
         "expires: expected a date such as 2027-01-01 or 2027-01-01T12:00:00Z, found \"tomorrow\""},
        {{.peer = ID_1, .comment = "a\n" ID_2}, "comment: expected one line of at most 512 bytes"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(authorize(fixture, wrong[i].what, NULL), GW_E_INVAL);
        assert_string_equal(fixture->diag.entries[0].text, wrong[i].message);
        gw_diag_clear(&fixture->diag);
    }
    assert_int_equal(access(fixture->path, F_OK), -1);
    file_write(fixture->path, "# mine\n", 7, 0644);
    assert_int_equal(authorize(fixture, (struct gw_authorize){.peer = ID_1}, NULL), GW_E_PERMISSION);
    assert_int_equal(chmod(fixture->path, 0600), 0);
    expect_file(fixture, "# mine\n");
}

static void unsafe_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct gw_authorized_keys *list;
    char expected[FILE_LEN * 3];
    file_write(fixture->path, ID_1 "\n", strlen(ID_1) + 1, 0640);
    assert_int_equal(gw_authorized_keys_load(&list, fixture->path, &fixture->diag), GW_E_PERMISSION);
    assert_null(list);
    snprintf(expected, sizeof expected, "%s: others may read this file (mode 0640): chmod 600 %s",
             fixture->path, fixture->path);
    assert_string_equal(fixture->diag.entries[0].text, expected);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(gw_authorized_keys_load(&list, fixture->path, &fixture->diag), 0);
    assert_int_equal(list->count, 0);
    gw_authorized_keys_free(list);
}

/* ---- many at once */

#define WRITERS 8
#define EDITS 25

static void peer_number(char out[GW_KEY_BASE64_STRLEN], unsigned number)
{
    uint8_t key[32] = {9, (uint8_t)number, (uint8_t)(number >> 8)};
    gw_key_base64_format(key, out);
}

static void write_many(const struct fixture *fixture, unsigned writer)
{
    for (unsigned i = 0; i < EDITS; i++) {
        struct gw_diag diag = {0};
        char peer[GW_KEY_BASE64_STRLEN];
        peer_number(peer, writer * EDITS + i);
        if (gw_authorized_keys_authorize(fixture->path, &(struct gw_authorize){.peer = peer}, NULL, &diag) !=
            0)
            _exit(1);
    }
    _exit(0);
}

static void parallel_edits_lose_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct gw_authorized_keys *list;
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_many(fixture, writer);
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(gw_authorized_keys_load(&list, fixture->path, &fixture->diag), 0);
    assert_int_equal(list->count, WRITERS * EDITS);
    assert_int_equal(fixture->diag.count, 0);
    gw_authorized_keys_free(list);
    assert_int_equal(folder_count(&fixture->folder), 2); /* the file and its lock */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(long_lines_are_refused),
        cmocka_unit_test(dates_are_utc),
        cmocka_unit_test(who_may_do_what),
        cmocka_unit_test(revoked_and_void),
        cmocka_unit_test_setup_teardown(revoking, setup, teardown),
        cmocka_unit_test_setup_teardown(edits_keep_all_else, setup, teardown),
        cmocka_unit_test_setup_teardown(made_when_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_the_peer_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_stays_a_link, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(unsafe_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(parallel_edits_lose_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
