# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/punch COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/punch.py ROOT LOCK netns TIMEOUT 150)
foreach(part some unrelayed)
    peergate_script_test(NAME netns/punch-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/punch_kinds.py ${part} ROOT LOCK netns TIMEOUT 240)
endforeach()
