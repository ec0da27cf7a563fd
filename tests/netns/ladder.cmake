# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/ladder COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/ladder.py ROOT TIMEOUT 300)
