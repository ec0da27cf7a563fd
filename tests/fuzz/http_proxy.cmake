# SPDX-License-Identifier: MIT
peergate_fuzz(NAME http_proxy SOURCES fuzz_http_proxy.c ${CMAKE_SOURCE_DIR}/tests/unit/socks5/feed.c DEPS gw_socks5)
