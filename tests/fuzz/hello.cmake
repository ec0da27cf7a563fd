# SPDX-License-Identifier: MIT
peergate_fuzz(NAME hello SOURCES fuzz_hello.c DEPS gw_wire)
