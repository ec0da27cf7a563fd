/* SPDX-License-Identifier: MIT */
/* What the process gives up once it is set up: all capabilities but those it still needs, and the way to get them back. */
#ifndef FRONTENDS_TUN_PRIVILEGES_H
#define FRONTENDS_TUN_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

enum gw_privilege {
    GW_PRIVILEGE_NET_ADMIN = 1, /* routes and addresses, to be taken back at the end */
    GW_PRIVILEGE_FILES = 2,     /* the node's folder is another user's */
};

/* Keeps of what the process has only `keep` (gw_privilege bits) and lets no program that it runs gain any. 0 or -errno. */
int gw_privileges_drop(unsigned keep);
/* The effective ones, of those above. */
unsigned gw_privileges_held(void);

#endif
