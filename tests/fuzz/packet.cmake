# SPDX-License-Identifier: MIT
peergate_fuzz(NAME packet SOURCES fuzz_packet.c DEPS gw_tun gw_packet)
