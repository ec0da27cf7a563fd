# SPDX-License-Identifier: MIT
# hsflood makes real handshakes, so unlike the other tools it links the session layer.
add_executable(hsflood "${CMAKE_SOURCE_DIR}/tests/tools/hsflood.c" "${CMAKE_SOURCE_DIR}/tests/tools/tool.c")
target_link_libraries(hsflood PRIVATE gw_session peergate_flags)
set_target_properties(hsflood PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/tools")
peergate_script_test(NAME netns/strangers COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/strangers.py ROOT BUSY)
