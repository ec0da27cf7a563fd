# SPDX-License-Identifier: MIT
peergate_fuzz(NAME handshake SOURCES fuzz_handshake.c DEPS gw_session)
