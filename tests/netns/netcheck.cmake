# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/netcheck COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/netcheck.py ROOT LOCK netns TIMEOUT 300)
