/* SPDX-License-Identifier: MIT */
/* The proxy's part of reload_state.h: its own struct and the daemon's do not go into one file. */
#include "frontends/socks5/auth.h"
#include "frontends/socks5/private.h"

#include <stdio.h>
#include <sys/stat.h>

void reload_state_socks(FILE *out, const struct gw_socks5 *socks5);

static void print_rules(FILE *out, const char *what, const struct gw_rule *rules, size_t count)
{
    char text[512];
    for (size_t i = 0; i < count; i++)
        fprintf(out, " %s=%s", what, gw_rule_format(&rules[i], text, sizeof text));
}

void reload_state_socks(FILE *out, const struct gw_socks5 *socks5)
{
    struct stat st;
    char at[GW_TARGET_STRLEN];
    fprintf(out, "socks http=%d timeout=%lld direct=%d", !socks5->no_http, (long long)socks5->dial_timeout_ns,
            socks5->policy.is_direct);
    print_rules(out, "allow", socks5->policy.allow, socks5->policy.allow_count);
    print_rules(out, "deny", socks5->policy.deny, socks5->policy.deny_count);
    for (size_t i = 0; i < socks5->listen_count; i++) {
        const struct gw_target *target = gw_socks5_listen_target(socks5, i);
        fprintf(out, " listen=%s", gw_target_format(target, at));
        if (target->kind == GW_TARGET_UNIX && stat(target->name, &st) == 0)
            fprintf(out, " mode=%o", (unsigned)st.st_mode & 0777u);
    }
    fprintf(out, " users=%d ann:a=%d ann:b=%d bob:a=%d\n", gw_auth_is_needed(socks5->auth),
            gw_auth_check(socks5->auth, "ann", 3, "a", 1), gw_auth_check(socks5->auth, "ann", 3, "b", 1),
            gw_auth_check(socks5->auth, "bob", 3, "a", 1));
}
