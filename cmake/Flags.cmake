# SPDX-License-Identifier: MIT
# How our code is compiled. What holds for all objects, lwIP's included, is set globally; the warnings are an
# interface target, peergate_flags, that our own libraries and programs link.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON) # the engine also goes into a shared library, for mobile
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()
set_property(CACHE CMAKE_BUILD_TYPE PROPERTY STRINGS Release Debug)

# No -DNDEBUG in Release: an assertion guards a promise between our own functions, and a program that faces
# strangers rather stops than goes on with a broken one.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-Og -g3")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fstack-protector-strong -fno-strict-aliasing -fno-omit-frame-pointer)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT PEERGATE_SANITIZE)
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now)

if(PEERGATE_SANITIZE)
    add_compile_options(-fsanitize=${PEERGATE_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${PEERGATE_SANITIZE})
endif()
if(PEERGATE_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "PEERGATE_FUZZ needs clang: cmake -DCMAKE_C_COMPILER=clang")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(PEERGATE_COVERAGE)
    add_compile_options(--coverage -fprofile-update=atomic)
    add_link_options(--coverage)
endif()

add_library(peergate_flags INTERFACE)
target_compile_options(peergate_flags INTERFACE
    -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wpointer-arith -Wundef -Wformat=2 -Wwrite-strings -Werror)
# gcc guesses wrong about initialisation when the sanitizers' checks are in between; the release build decides.
if(PEERGATE_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(peergate_flags INTERFACE -Wno-maybe-uninitialized)
endif()
# Includes are spelled from the root: "gateway/base/err.h". Generated headers keep their source's path.
target_include_directories(peergate_flags INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
