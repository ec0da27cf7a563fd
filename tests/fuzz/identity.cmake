# SPDX-License-Identifier: MIT
peergate_fuzz(NAME identity SOURCES fuzz_identity.c DEPS gw_config)
