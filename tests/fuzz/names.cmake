# SPDX-License-Identifier: MIT
peergate_fuzz(NAME names SOURCES fuzz_names.c DEPS gw_config)
