# SPDX-License-Identifier: MIT
add_executable(tunpipe tunpipe.c "${CMAKE_SOURCE_DIR}/tests/tools/tool.c")
target_link_libraries(tunpipe PRIVATE peergate_flags)
set_target_properties(tunpipe PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/bench")
