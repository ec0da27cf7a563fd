# SPDX-License-Identifier: MIT
foreach(part kinds running anchors without router)
    peergate_script_test(NAME netns/netcheck-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/netcheck.py ${part} ROOT)
endforeach()
