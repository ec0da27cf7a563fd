# SPDX-License-Identifier: MIT
peergate_fuzz(NAME tun_journal SOURCES fuzz_tun_journal.c DEPS gw_tun)
