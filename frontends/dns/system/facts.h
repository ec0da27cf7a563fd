/* SPDX-License-Identifier: MIT */
/* What can be seen in a machine's files of how it resolves names. Looking only: nothing is asked of anybody. */
#ifndef FRONTENDS_DNS_SYSTEM_FACTS_H
#define FRONTENDS_DNS_SYSTEM_FACTS_H

#include <stdbool.h>
#include <stddef.h>

enum gw_sysdns_program {
    GW_SYSDNS_NO_RESOLVCONF,
    GW_SYSDNS_DEBIAN,
    GW_SYSDNS_OPENRESOLV,
    GW_SYSDNS_RESOLVECTL
};

struct gw_sysdns_facts {
    char link[256]; /* what /etc/resolv.conf is a symbolic link to, as it is written there; "" = none */
    bool is_by_networkmanager, is_by_resolvconf; /* its head says so */
    bool names_stub;                             /* it names 127.0.0.53 or 127.0.0.54 as a server */
    bool has_nss_resolve;                  /* the C library asks systemd-resolved: hosts in nsswitch.conf */
    bool has_resolved, has_networkmanager; /* their folders in /run are there: they run, or ran */
    enum gw_sysdns_program resolvconf;     /* whose program of that name is installed */
    char resolvconf_path[64];
    /* The machine's resolvers live in another network namespace than this process: what answers on our 127.0.0.1 is not what they would ask. */
    bool is_elsewhere;
};

/* root: "" for this machine, or a folder to look at instead. */
void gw_sysdns_look(struct gw_sysdns_facts *out, const char *root);

/* namespace_linux.c: is pid 1, whose files and programs these are, in our network namespace? true when that can't be told. */
bool gw_sysdns_is_machines_network(void);
/* Does somebody listen on the unix socket of this path in our network namespace? true when that can't be told. */
bool gw_sysdns_is_socket_here(const char *path);

#endif
