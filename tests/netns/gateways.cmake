# SPDX-License-Identifier: MIT
foreach(part gateway server)
    peergate_script_test(NAME netns/gateways-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/gateways_check.py ${part} ROOT)
endforeach()
