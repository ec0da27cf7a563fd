/* SPDX-License-Identifier: MIT */
/* The shares are our reading of published measurements, rounded against us where they disagree. None of these studies counted exactly
 * our kinds, most are older than the carriers' NATs of today, and their peers chose themselves; the table is an assumption to compare
 * results under, not a measurement. The papers' figures below are from memory and were not looked up again: check one before quoting it.
 *
 * Mapping and filtering:
 * - Ford, Srisuresh, Kegel, "Peer-to-Peer Communication Across Network Address Translators" (USENIX ATC 2005): 82 % of 380 NATs keep one
 *   mapping for all remotes, 24 % can hairpin. RFC 5128 (2008) has the same state of things. The 18 % of symmetric ones were fewer in later
 *   counts of homes: here 10 % of all lines, carriers' included.
 * - Guha, Francis, "Characterization and Measurement of TCP Traversal through NATs and Firewalls" (IMC 2005): most preserve ports; those with a
 *   mapping for each remote are mostly sequential or random, about alike.
 * - Hatonen and others, "An Experimental Study of Home Gateway Characteristics" (IMC 2010): 34 devices; most preserve ports, UDP
 *   bindings live from 30 s to some minutes.
 * - Halkes, Pouwelse, "UDP NAT and Firewall Puncturing in the Wild" (Networking 2011): of BitTorrent users a third had no NAT, about half
 *   the NATs map independently and filter by address and port; that is the largest group everywhere.
 * Carriers' NATs:
 * - Wang and others, "An Untold Story of Middleboxes in Cellular Networks" (SIGCOMM 2011): mobile carriers, symmetric ones among them.
 * - Richter and others, "A Multi-perspective Analysis of Carrier-Grade NAT Deployment" (IMC 2016): 17-18 % of eyeball networks and over
 *   90 % of cellular ones translate; a good part of the cellular ones with a mapping for each remote.
 * UDP blocked:
 * - Edeline and others, "Using UDP for Internet Transport Evolution" (2016): 2 to 4 % of access networks; Langley and others, "The QUIC
 *   Transport Protocol" (SIGCOMM 2017): 4.4 % of clients could not use it, for size or blocking, companies' networks mostly. Homes and
 *   phones are what we count: 2 %.
 * Success to compare with:
 * - Trautwein and others, "Decentralized Hole Punching" (DINPS 2022) and the larger campaign of 2025: about 70 % of attempts of libp2p's DCUtR.
 * IPv6: 40 % of users (Google's and APNIC's counts of 2023-2025 lie between 38 and 48 %), more behind carriers' NATs. */
#include "tests/sim/mix.h"

static const struct sim_mix_line lines[] = {
    {NAT_KIND_OPEN, 0.10, 0.40},
    {NAT_KIND_FULL_CONE, 0.09, 0.40},
    {NAT_KIND_ADDRESS_RESTRICTED, 0.04, 0.40},
    {NAT_KIND_PORT_RESTRICTED, 0.36, 0.40},
    {NAT_KIND_LINUX, 0.18, 0.40},
    {NAT_KIND_LINUX_BARE, 0.04, 0.40},
    {NAT_KIND_SYMMETRIC_SEQUENTIAL, 0.03, 0.30},
    {NAT_KIND_SYMMETRIC_RANDOM, 0.04, 0.30},
    {NAT_KIND_CGNAT_DOUBLE, 0.07, 0.50},
    {NAT_KIND_CGNAT_SYMMETRIC, 0.03, 0.50},
    {NAT_KIND_UDP_BLOCKED, 0.02, 0.20},
};

const struct sim_mix_line *sim_mix(unsigned *count)
{
    *count = sizeof lines / sizeof lines[0];
    return lines;
}

enum nat_kind sim_mix_draw(struct sim_dice *dice, bool *with_v6)
{
    double roll = sim_dice_unit(dice), v6 = sim_dice_unit(dice);
    unsigned i = 0, last = sizeof lines / sizeof lines[0] - 1;
    while (i < last && roll >= lines[i].share)
        roll -= lines[i++].share;
    *with_v6 = v6 < lines[i].share_v6;
    return lines[i].kind;
}
