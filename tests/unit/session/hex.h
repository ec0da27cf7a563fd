/* SPDX-License-Identifier: MIT */
/* Hexadecimal text to bytes, for vectors. */
#ifndef TESTS_UNIT_SESSION_HEX_H
#define TESTS_UNIT_SESSION_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t unhex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The number of bytes; out must have the room. */
static inline size_t unhex(const char *text, void *out)
{
    const size_t len = strlen(text) / 2;

    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)(unhex_digit(text[2 * i]) << 4 | unhex_digit(text[2 * i + 1]));
    return len;
}

/* cmocka.h comes first. */
#define assert_hex_equal(got, text)                                  \
    do {                                                             \
        uint8_t expected_[512];                                      \
        assert_true(strlen(text) / 2 <= sizeof expected_);           \
        assert_memory_equal(got, expected_, unhex(text, expected_)); \
    } while (0)

#endif
