# SPDX-License-Identifier: MIT
peergate_fuzz(NAME frame SOURCES fuzz_frame.c DEPS gw_wire)
