# SPDX-License-Identifier: MIT
if(PEERGATE_TLS)
    peergate_script_test(NAME netns/carrier COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/carrier.py ROOT BUSY TIMEOUT 500)
endif()
