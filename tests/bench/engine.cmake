# SPDX-License-Identifier: MIT
peergate_program(NAME bench_engine FILES bench_engine.c DEPS gw_session)
