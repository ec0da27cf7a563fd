# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/neighbour COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/neighbour.py ROOT)
