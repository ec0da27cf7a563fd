# SPDX-License-Identifier: MIT
peergate_fuzz(NAME message SOURCES fuzz_message.c DEPS gw_wire)
