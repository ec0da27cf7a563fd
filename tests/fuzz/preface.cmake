# SPDX-License-Identifier: MIT
peergate_fuzz(NAME preface SOURCES fuzz_preface.c DEPS gw_flow)
