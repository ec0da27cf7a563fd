# SPDX-License-Identifier: MIT
peergate_fuzz(NAME redis SOURCES fuzz_redis.c ../unit/link/redis_end.c DEPS gw_link)
