# SPDX-License-Identifier: MIT
peergate_script_test(NAME netns/punch COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/punch.py ROOT BUSY)
foreach(part some unrelayed unrelayed_hard)
    peergate_script_test(NAME netns/punch-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/punch_kinds.py ${part} ROOT)
endforeach()
