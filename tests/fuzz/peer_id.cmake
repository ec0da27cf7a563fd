# SPDX-License-Identifier: MIT
peergate_fuzz(NAME peer_id SOURCES fuzz_peer_id.c DEPS gw_wire)
