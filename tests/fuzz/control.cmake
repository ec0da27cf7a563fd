# SPDX-License-Identifier: MIT
peergate_fuzz(NAME control SOURCES fuzz_control.c DEPS gw_daemon)
peergate_fuzz(NAME control_message SOURCES fuzz_control_message.c DEPS gw_control gw_wire)
