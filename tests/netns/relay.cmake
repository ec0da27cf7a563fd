# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/relay COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/relay.py ROOT)
