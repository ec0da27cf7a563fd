# SPDX-License-Identifier: MIT
peergate_program(NAME bench_netstack FILES bench_netstack.c DEPS gw_netstack)
