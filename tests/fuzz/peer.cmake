# SPDX-License-Identifier: MIT
peergate_fuzz(NAME peer SOURCES fuzz_peer.c ../sim/simnet.c ../sim/app.c ../sim/link.c ../sim/clock.c DEPS gw_gateway)
