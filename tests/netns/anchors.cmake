# SPDX-License-Identifier: MIT
foreach(part killed restarted rolling parted all_down flapping idle)
    peergate_script_test(NAME netns/anchors-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/anchors.py ${part} ROOT TIMEOUT 400)
endforeach()
