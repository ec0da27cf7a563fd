/* SPDX-License-Identifier: MIT */
/* What a mistyped word is taken for, and what is too far away to ask about. */
#include "gateway/config/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const words[] = {"hostname", "network", "port", "peers", "services",
                                    "socks",    "status",  "up",   "down"};

static const struct {
    const char *word, *best;
} vectors[] = {
    {"hostnam", "hostname"},
    {"hsotname", "hostname"},
    {"HOSTNAME", "hostname"},
    {"netwrok", "network"},
    {"prot", "port"},
    {"pears", "peers"},
    {"service", "services"},
    {"statis", "status"},
    {"upp", "up"},
    {"xyzzy", NULL},
    {"", NULL},
    {"q", NULL},
    {"donw", "down"},
    {"ab", NULL},
};

static void vectors_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct gw_nearest nearest;
        gw_nearest_init(&nearest, vectors[i].word);
        for (size_t j = 0; j < sizeof words / sizeof *words; j++)
            gw_nearest_offer(&nearest, words[j]);
        if (!vectors[i].best)
            assert_null(nearest.best);
        else
            assert_string_equal(nearest.best ? nearest.best : "-", vectors[i].best);
    }
}

static void long_words_have_no_neighbours(void **state)
{
    struct gw_nearest nearest;
    char word[1000], other[1000];
    (void)state;
    memset(word, 'a', sizeof word);
    memset(other, 'a', sizeof other);
    word[999] = other[998] = '\0';
    gw_nearest_init(&nearest, word);
    gw_nearest_offer(&nearest, other);
    assert_null(nearest.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors_hold),
                                       cmocka_unit_test(long_words_have_no_neighbours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
