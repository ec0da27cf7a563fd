# SPDX-License-Identifier: MIT
peergate_fuzz(NAME config SOURCES fuzz_config.c DEPS gw_config)
