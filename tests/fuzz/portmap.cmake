# SPDX-License-Identifier: MIT
peergate_fuzz(NAME portmap SOURCES fuzz_portmap.c DEPS gw_portmap gw_base)
