# SPDX-License-Identifier: MIT
peergate_fuzz(NAME authorized_keys SOURCES fuzz_authorized_keys.c DEPS gw_config)
