/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/auth.h"

#include "frontends/socks5/socks5.h"
#include "gateway/base/err.h"
#include "gateway/base/secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Padded to one size, so that lengths are compared with the rest. */
struct entry {
    uint8_t name[1 + GW_AUTH_FIELD_MAX];
    uint8_t password[1 + GW_AUTH_FIELD_MAX];
};

struct gw_auth {
    unsigned users;
    size_t count;
    struct entry entries[];
};

static bool set_field(uint8_t out[1 + GW_AUTH_FIELD_MAX], const void *bytes, size_t len)
{
    if (len == 0 || len > GW_AUTH_FIELD_MAX)
        return false;
    memset(out, 0, 1 + GW_AUTH_FIELD_MAX);
    out[0] = (uint8_t)len;
    memcpy(out + 1, bytes, len);
    return true;
}

int gw_auth_new(struct gw_auth **out, const struct gw_socks5_user *users, size_t count)
{
    struct gw_auth *auth = calloc(1, sizeof *auth + count * sizeof auth->entries[0]);
    if (!auth)
        return GW_E_NOMEM;
    auth->users = 1;
    for (; auth->count < count; auth->count++) {
        const struct gw_socks5_user *user = &users[auth->count];
        struct entry *entry = &auth->entries[auth->count];
        if (!set_field(entry->name, user->name, strlen(user->name)) ||
            !set_field(entry->password, user->password, strlen(user->password))) {
            gw_auth_put(auth);
            return GW_E_INVAL;
        }
    }
    *out = auth;
    return 0;
}

struct gw_auth *gw_auth_get(struct gw_auth *auth)
{
    auth->users++;
    return auth;
}

void gw_auth_put(struct gw_auth *auth)
{
    if (!auth || --auth->users > 0)
        return;
    gw_wipe(auth->entries, auth->count * sizeof auth->entries[0]);
    free(auth);
}

bool gw_auth_is_needed(const struct gw_auth *auth)
{
    return auth && auth->count > 0;
}

bool gw_auth_check(const struct gw_auth *auth, const void *name, size_t name_len, const void *password,
                   size_t password_len)
{
    struct entry given;
    bool is_known = false;
    if (!gw_auth_is_needed(auth))
        return true;
    if (!set_field(given.name, name, name_len) || !set_field(given.password, password, password_len))
        return false;
    for (size_t i = 0; i < auth->count; i++) {
        bool has_name = gw_secret_equal(given.name, auth->entries[i].name, sizeof given.name);
        bool has_password = gw_secret_equal(given.password, auth->entries[i].password, sizeof given.password);
        is_known |= has_name & has_password;
    }
    gw_wipe(&given, sizeof given);
    return is_known;
}
