/* SPDX-License-Identifier: MIT */
/* The bytes that bulk transfers carry: byte i is a function of i, so that a receiver can tell a lost, doubled or
 * misplaced piece from a right one; sent by sendfile() from memory, so that the sender costs next to nothing. */
#ifndef TESTS_TOOLS_PATTERN_H
#define TESTS_TOOLS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* To be called once, before the others. */
void pattern_init(void);

/* Sends up to n bytes of the pattern, from its byte `offset` on; returns what sendfile() returns. */
ssize_t pattern_send(int fd, uint64_t offset, uint64_t n);

/* Are these the n bytes from `offset` on? */
bool pattern_is(const uint8_t *bytes, uint64_t offset, size_t n);

#endif
