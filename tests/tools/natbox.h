/* SPDX-License-Identifier: MIT */
/* natbox's parts: the box that packets go through (natbox_box.c) and the commands that change it while they do
 * (natbox_control.c); natbox.c has the devices and the loop. */
#ifndef TESTS_TOOLS_NATBOX_H
#define TESTS_TOOLS_NATBOX_H

#include "tests/nat/kinds.h"

#include <stddef.h>

#define NATBOX_INSIDES_MAX 8u
#define NATBOX_OUTSIDE NATBOX_INSIDES_MAX /* as the number of a side */
#define NATBOX_NOWHERE (NATBOX_INSIDES_MAX + 1)

struct natbox {
    enum nat_kind kind;
    struct nat_line line; /* as made: preset, pool and settings */
    struct nat *v4[NAT_BOXES_MAX];
    struct nat *v6;
    uint64_t seed;
    unsigned inside_count;
    struct {
        struct gw_addr ips[8];
        unsigned ip_count;
    } insides[NATBOX_INSIDES_MAX];
    uint64_t not_carried; /* packets of protocols that no NAT carries, malformed ones */
    uint64_t bytes_out, bytes_in;
};

struct natbox_options {
    const char *kind, *settings, *carrier_settings; /* settings as in tests/nat/settings.h; NULL: none */
    const char *public;                             /* outside IPv4 addresses, separated by commas */
    bool with_v6;
};

/* NULL, or what is wrong with the options (static); then the box is as it was. All mappings are forgotten. */
const char *natbox_set_up(struct natbox *box, const struct natbox_options *options);
void natbox_fini(struct natbox *box);
/* The packet came in on that side. Rewrites it in place; returns the number of the side that it leaves by. */
unsigned natbox_carry(struct natbox *box, struct gw_mono now, unsigned side, uint8_t *bytes, size_t len);

/* Carries out one line and writes the JSON reply, without a newline, into `reply`. */
void natbox_command(struct natbox *box, struct gw_mono now, char *line, char *reply, size_t size);
/* What the commands are. */
extern const char natbox_commands[];

#endif
