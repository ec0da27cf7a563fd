# SPDX-License-Identifier: MIT
peergate_fuzz(NAME http_connect SOURCES fuzz_http_connect.c DEPS gw_wire)
