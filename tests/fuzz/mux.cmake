# SPDX-License-Identifier: MIT
peergate_fuzz(NAME mux SOURCES fuzz_mux.c DEPS gw_flow)
