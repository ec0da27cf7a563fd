# SPDX-License-Identifier: MIT
peergate_fuzz(NAME nat SOURCES fuzz_nat.c ${CMAKE_SOURCE_DIR}/tests/tools/natbox_box.c DEPS nat_model nat_packets)
