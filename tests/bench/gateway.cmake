# SPDX-License-Identifier: MIT
peergate_program(NAME bench_gateway FILES bench_gateway.c DEPS gw_gateway)
