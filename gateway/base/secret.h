/* SPDX-License-Identifier: MIT */
/* Secrets in memory: wiped when done, compared in constant time. Thin names over libsodium. */
#ifndef GATEWAY_BASE_SECRET_H
#define GATEWAY_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Not optimised away. */
void gw_wipe(void *secret, size_t len);
/* Constant time in the contents. */
__attribute__((warn_unused_result)) bool gw_secret_equal(const void *a, const void *b, size_t len);
bool gw_is_zero(const void *bytes, size_t len);

#endif
