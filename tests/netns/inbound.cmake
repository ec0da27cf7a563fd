# SPDX-License-Identifier: MIT
foreach(part by_itself asked)
    peergate_script_test(NAME netns/inbound-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/inbound.py ${part} ROOT)
endforeach()
