# SPDX-License-Identifier: MIT
peergate_fuzz(NAME addr SOURCES fuzz_addr.c DEPS gw_wire)
