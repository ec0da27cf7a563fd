# SPDX-License-Identifier: MIT
# The functions that the folders' CMakeLists.txt are written in.

# Sets <result> to the given files. With PEERGATE_PARTIAL those that aren't there yet are left out, and named, so that
# a tree several people are at work on still configures; otherwise CMake itself complains about them.
function(peergate_present result name)
    set(present)
    foreach(file IN LISTS ARGN)
        cmake_path(ABSOLUTE_PATH file OUTPUT_VARIABLE path)
        if(PEERGATE_PARTIAL AND NOT EXISTS "${path}")
            message(STATUS "${name}: left out ${file}, which isn't there")
        else()
            list(APPEND present "${file}")
        endif()
    endforeach()
    if(NOT present)
        file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/empty.c" CONTENT "typedef int peergate_empty;\n")
        set(present "${CMAKE_BINARY_DIR}/empty.c")
    endif()
    set(${result} ${present} PARENT_SCOPE)
endfunction()

# One static library for one folder.
#   peergate_library(NAME gw_base FILES err.c map.c DEPS peergate::sodium)
function(peergate_library)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "FILES;DEPS")
    peergate_present(files ${arg_NAME} ${arg_FILES})
    add_library(${arg_NAME} STATIC ${files})
    target_link_libraries(${arg_NAME} PUBLIC ${arg_DEPS} PRIVATE peergate_flags)
endfunction()

# A program of ours, in the top of the build folder. The target "programs" is all of them, without the tests.
#   peergate_program(NAME peergate FILES main.c DEPS gw_daemon)
function(peergate_program)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "FILES;DEPS")
    peergate_present(files ${arg_NAME} ${arg_FILES})
    add_executable(${arg_NAME} ${files})
    target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} peergate_flags)
    set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
    add_dependencies(programs ${arg_NAME})
endfunction()

# Generates <path>.pb.[ch] from <path>.proto (and <path>.options beside it) and compiles it into a library of its
# own. Included by its path from the root: #include "gateway/wire/control.pb.h".
#   peergate_nanopb(gw_control control.proto)
function(peergate_nanopb target proto)
    cmake_path(ABSOLUTE_PATH proto NORMALIZE OUTPUT_VARIABLE source)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${CMAKE_SOURCE_DIR}" OUTPUT_VARIABLE relative)
    cmake_path(REMOVE_EXTENSION relative LAST_ONLY OUTPUT_VARIABLE stem)
    set(generated "${CMAKE_BINARY_DIR}/generated")
    set(outputs "${generated}/${stem}.pb.c" "${generated}/${stem}.pb.h")
    file(GLOB options CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${stem}.options")
    file(MAKE_DIRECTORY "${generated}")
    # The plugin finds the .options file by the path it is given, so both are relative to the root.
    add_custom_command(OUTPUT ${outputs}
        COMMAND ${PROTOC} --plugin=protoc-gen-nanopb=${PROTOC_GEN_NANOPB} -I . --nanopb_out=${generated} ${relative}
        WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
        DEPENDS "${source}" ${options}
        COMMENT "nanopb ${relative}"
        VERBATIM)
    add_library(${target} STATIC ${outputs})
    target_compile_options(${target} PRIVATE -w)
    target_include_directories(${target} SYSTEM PUBLIC "${generated}")
    target_link_libraries(${target} PUBLIC peergate::nanopb)
    add_custom_target(${target}_generated DEPENDS ${outputs})
    set_property(GLOBAL APPEND PROPERTY PEERGATE_GENERATED ${target}_generated)
endfunction()

# What every ctest entry shares. Exit status 77 means "can't run here": a skip, or with CI=true a failure, which
# the script or the program that skips sees to (tests/needs-root.sh, tests/fuzz/run.sh).
# A TIMEOUT is four times what the test takes on a busy machine with sanitizers, or more; who may take longest is begun first. PROCESSORS
# are halves of a core (run_ctest in dev): two for what computes all the time.
function(peergate_test_properties name timeout labels)
    set_tests_properties(${name} PROPERTIES
        TIMEOUT ${timeout}
        COST ${timeout}
        PROCESSORS 2
        LABELS "${labels}"
        SKIP_RETURN_CODE 77
        ENVIRONMENT "ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# A cmocka test: one program, one ctest entry. Links what is in DEPS and nothing else of ours; a UNITS file is
# compiled in from its path under the root, for a module to be tested without the rest of its library.
#   peergate_test(NAME unit/base/map SOURCES test_map.c DEPS gw_base [UNITS gateway/base/map.c] [TIMEOUT 60] [LABELS slow])
# The first part of the name (unit, sim, model) is a label too.
function(peergate_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "SOURCES;DEPS;UNITS;LABELS;ARGS")
    if(NOT TARGET peergate::cmocka)
        return()
    endif()
    string(REPLACE "/" "_" target "test_${arg_NAME}")
    list(TRANSFORM arg_UNITS PREPEND "${CMAKE_SOURCE_DIR}/")
    peergate_present(files ${arg_NAME} ${arg_SOURCES} ${arg_UNITS})
    add_executable(${target} ${files})
    target_link_libraries(${target} PRIVATE ${arg_DEPS} peergate::cmocka peergate_flags)
    add_test(NAME ${arg_NAME} COMMAND ${target} ${arg_ARGS})
    string(REGEX MATCH "^[^/]+" label "${arg_NAME}")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    peergate_test_properties(${arg_NAME} ${arg_TIMEOUT} "${label};${arg_LABELS}")
endfunction()

# A test that is a script. It gets PEERGATE_BIN (the program), PEERGATE_ROOT, PEERGATE_BUILD and PEERGATE_TEST_SECONDS (its TIMEOUT)
# in its environment. ROOT: needs root, for network namespaces of its own, so it is skipped (with CI=true: fails) without.
# Such a test mostly waits, and several run at once; BUSY: this one does not (bulk traffic).
#   peergate_script_test(NAME netns/roaming COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/roaming.sh ROOT BUSY TIMEOUT 120)
function(peergate_script_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "ROOT;BUSY" "NAME;TIMEOUT" "COMMAND;LABELS;ENVIRONMENT")
    set(gate)
    if(arg_ROOT)
        set(gate "${CMAKE_SOURCE_DIR}/tests/needs-root.sh")
    endif()
    add_test(NAME ${arg_NAME} COMMAND ${gate} ${arg_COMMAND})
    string(REGEX MATCH "^[^/]+" label "${arg_NAME}")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 240)
    endif()
    peergate_test_properties(${arg_NAME} ${arg_TIMEOUT} "${label};${arg_LABELS}")
    set_property(TEST ${arg_NAME} APPEND PROPERTY ENVIRONMENT "PEERGATE_TEST_SECONDS=${arg_TIMEOUT}"
        "PEERGATE_BIN=${CMAKE_BINARY_DIR}/peergate" "PEERGATE_ROOT=${CMAKE_SOURCE_DIR}"
        "PEERGATE_BUILD=${CMAKE_BINARY_DIR}" ${arg_ENVIRONMENT})
    if(arg_ROOT AND NOT arg_BUSY)
        set_property(TEST ${arg_NAME} PROPERTY PROCESSORS 1)
    endif()
endfunction()

# A fuzz target: LLVMFuzzerTestOneInput in SOURCES, inputs in tests/fuzz/corpus/<name>/.
#   peergate_fuzz(NAME cursor SOURCES fuzz_cursor.c DEPS gw_wire)
# With PEERGATE_FUZZ a libFuzzer program. In every build the ctest entry fuzz-corpus/<name>, which runs each file of
# the corpus once; in the others also fuzz/<name>, which runs build/fuzz's program for PEERGATE_FUZZ_SECONDS.
function(peergate_fuzz)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;DEPS")
    set(target fuzz_${arg_NAME})
    set(corpus "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${arg_NAME}")
    peergate_present(files ${target} ${arg_SOURCES})
    add_executable(${target} ${files})
    target_link_libraries(${target} PRIVATE ${arg_DEPS} peergate_flags)
    if(PEERGATE_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        add_test(NAME fuzz-corpus/${arg_NAME} COMMAND ${CMAKE_SOURCE_DIR}/tests/fuzz/run.sh $<TARGET_FILE:${target}> ${corpus} 0)
    else()
        target_sources(${target} PRIVATE "${CMAKE_SOURCE_DIR}/tests/fuzz/standalone.c")
        add_test(NAME fuzz-corpus/${arg_NAME} COMMAND ${target} ${corpus})
        add_test(NAME fuzz/${arg_NAME} COMMAND ${CMAKE_SOURCE_DIR}/tests/fuzz/run.sh
            ${PEERGATE_FUZZ_BUILD}/tests/fuzz/${target} ${corpus} ${PEERGATE_FUZZ_SECONDS})
        math(EXPR limit "${PEERGATE_FUZZ_SECONDS} * 3 + 60")
        peergate_test_properties(fuzz/${arg_NAME} ${limit} "fuzz")
    endif()
    peergate_test_properties(fuzz-corpus/${arg_NAME} 60 "fuzz-corpus")
endfunction()
