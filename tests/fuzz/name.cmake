# SPDX-License-Identifier: MIT
peergate_fuzz(NAME name SOURCES fuzz_name.c DEPS gw_socks5)
