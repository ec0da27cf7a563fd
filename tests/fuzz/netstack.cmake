# SPDX-License-Identifier: MIT
peergate_fuzz(NAME netstack SOURCES fuzz_netstack.c DEPS gw_netstack)
peergate_fuzz(NAME gate SOURCES fuzz_gate.c DEPS gw_netstack)
