# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/vain COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/vain.py ROOT)
