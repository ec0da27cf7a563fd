# SPDX-License-Identifier: MIT
peergate_fuzz(NAME carrier_frame SOURCES fuzz_carrier_frame.c DEPS gw_wire)
