# SPDX-License-Identifier: MIT
peergate_fuzz(NAME anchor SOURCES fuzz_anchor.c ../sim/simnet.c ../sim/app.c ../sim/link.c ../sim/clock.c DEPS gw_gateway)
peergate_fuzz(NAME candidate SOURCES fuzz_candidate.c DEPS gw_wire)
peergate_fuzz(NAME fleet SOURCES fuzz_fleet.c DEPS gw_anchor gw_session gw_wire gw_base)
peergate_fuzz(NAME fleet_heard SOURCES fuzz_fleet_heard.c ../sim/store.c ../sim/simnet.c ../sim/app.c ../sim/link.c ../sim/clock.c DEPS gw_gateway)
