# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/relay_failover COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/relay_failover.py ROOT)
