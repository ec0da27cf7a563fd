# SPDX-License-Identifier: MIT
peergate_fuzz(NAME dns SOURCES fuzz_dns.c DEPS gw_dns)
