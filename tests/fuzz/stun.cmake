# SPDX-License-Identifier: MIT
peergate_fuzz(NAME stun SOURCES fuzz_stun.c DEPS gw_stun gw_base)
