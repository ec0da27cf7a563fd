# SPDX-License-Identifier: MIT
peergate_fuzz(NAME url SOURCES fuzz_url.c DEPS gw_config)
