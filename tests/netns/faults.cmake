# SPDX-License-Identifier: MIT
# wallshift is preloaded, in front of a sanitizer's library if there is one: it is built without any.
add_library(wallshift MODULE "${CMAKE_SOURCE_DIR}/tests/tools/wallshift.c")
set_target_properties(wallshift PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/tools")
target_compile_options(wallshift PRIVATE -fno-sanitize=all)
target_link_options(wallshift PRIVATE -fno-sanitize=all)
target_link_libraries(wallshift PRIVATE ${CMAKE_DL_LIBS})
peergate_script_test(NAME netns/faults COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/faults.py ROOT)
