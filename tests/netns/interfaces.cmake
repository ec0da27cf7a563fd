# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/interfaces COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/interfaces.py ROOT)
