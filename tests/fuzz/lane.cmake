# SPDX-License-Identifier: MIT
peergate_fuzz(NAME lane SOURCES fuzz_lane.c DEPS gw_lane)
