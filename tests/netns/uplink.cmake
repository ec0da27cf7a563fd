# SPDX-License-Identifier: MIT
# sleepshift is preloaded, in front of a sanitizer's library if there is one: it is built without any.
add_library(sleepshift MODULE "${CMAKE_SOURCE_DIR}/tests/tools/sleepshift.c")
set_target_properties(sleepshift PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/tools")
target_compile_options(sleepshift PRIVATE -fno-sanitize=all)
target_link_options(sleepshift PRIVATE -fno-sanitize=all)
target_link_libraries(sleepshift PRIVATE ${CMAKE_DL_LIBS})
foreach(part switches routers sleeps)
    peergate_script_test(NAME netns/uplink-${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/uplink.py ${part} ROOT TIMEOUT 600)
endforeach()
