# SPDX-License-Identifier: MIT
peergate_fuzz(NAME socks5 SOURCES fuzz_socks5.c ${CMAKE_SOURCE_DIR}/tests/unit/socks5/feed.c DEPS gw_socks5)
