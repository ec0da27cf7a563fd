/* SPDX-License-Identifier: MIT */
/* The proxy's users. Comparing takes the same time whatever is wrong. */
#ifndef FRONTENDS_SOCKS5_AUTH_H
#define FRONTENDS_SOCKS5_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#define GW_AUTH_FIELD_MAX 255u

struct gw_socks5_user;
struct gw_auth;

/* Copies; count 0 = everybody. 0, GW_E_NOMEM, GW_E_INVAL (a field is empty or too long). */
int gw_auth_new(struct gw_auth **out, const struct gw_socks5_user *users, size_t count);
/* Another user of the same list (a reload must not pull it from under a handshake). Returns auth. */
struct gw_auth *gw_auth_get(struct gw_auth *auth);
/* The last one wipes and frees. NULL is fine. */
void gw_auth_put(struct gw_auth *auth);
bool gw_auth_is_needed(const struct gw_auth *auth);
bool gw_auth_check(const struct gw_auth *auth, const void *name, size_t name_len, const void *password,
                   size_t password_len);

#endif
