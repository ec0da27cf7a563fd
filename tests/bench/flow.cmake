# SPDX-License-Identifier: MIT
peergate_program(NAME bench_flow FILES bench_flow.c DEPS gw_flow)
