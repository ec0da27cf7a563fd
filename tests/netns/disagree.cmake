# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/disagree COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/disagree.py ROOT)
