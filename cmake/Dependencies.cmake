# SPDX-License-Identifier: MIT
# The libraries we stand on, each as one imported target: peergate::sodium, ::event, ::b2, ::yaml, ::jansson,
# ::nanopb, ::mnl, ::hiredis, ::miniupnpc, ::ldns, ::tls (unless PEERGATE_TLS is off), ::systemd (only where there is one)
# and, for tests, ::cmocka.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# Makes peergate::<name> from pkg-config modules.
function(peergate_pkg name)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${ARGN})
    add_library(peergate::${name} ALIAS PkgConfig::${name})
endfunction()

peergate_pkg(event libevent_core libevent_extra)
peergate_pkg(b2 libb2)
peergate_pkg(yaml yaml-0.1)
peergate_pkg(jansson jansson)
peergate_pkg(mnl libmnl)
peergate_pkg(hiredis hiredis)
# Its .pc file asks for _FILE_OFFSET_BITS, which its headers have no use for: files of ours would get another open() than the rest.
set_property(TARGET PkgConfig::hiredis PROPERTY INTERFACE_COMPILE_OPTIONS "")
peergate_pkg(miniupnpc miniupnpc)

# ldns has a .pc file on Debian 13 and only ldns-config on 12; both put it in the default places.
find_path(LDNS_INCLUDE_DIR ldns/ldns.h REQUIRED)
find_library(LDNS_LIBRARY ldns REQUIRED)
add_library(peergate::ldns UNKNOWN IMPORTED)
set_target_properties(peergate::ldns PROPERTIES
    IMPORTED_LOCATION "${LDNS_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${LDNS_INCLUDE_DIR}")

pkg_check_modules(systemd IMPORTED_TARGET libsystemd)
if(systemd_FOUND)
    add_library(peergate::systemd ALIAS PkgConfig::systemd)
endif()

# TLS, for carriers where UDP is blocked; small builds may leave it out.
if(PEERGATE_TLS)
    pkg_check_modules(tls IMPORTED_TARGET libevent_openssl libssl>=3.0 libcrypto>=3.0)
    if(NOT tls_FOUND)
        message(FATAL_ERROR "no libevent_openssl, or no OpenSSL from 3.0 up: run ./dev deps, or configure with -DPEERGATE_TLS=OFF")
    endif()
    add_library(peergate::tls ALIAS PkgConfig::tls)
endif()

# libsodium: the static one of ./dev deps, or the system's where that is new enough.
if(EXISTS "${PEERGATE_DEPS}/libsodium/lib/libsodium.a")
    add_library(peergate::sodium STATIC IMPORTED)
    set_target_properties(peergate::sodium PROPERTIES
        IMPORTED_LOCATION "${PEERGATE_DEPS}/libsodium/lib/libsodium.a"
        INTERFACE_INCLUDE_DIRECTORIES "${PEERGATE_DEPS}/libsodium/include"
        INTERFACE_COMPILE_DEFINITIONS SODIUM_STATIC
        INTERFACE_LINK_LIBRARIES Threads::Threads)
else()
    pkg_check_modules(sodium IMPORTED_TARGET libsodium>=1.0.22)
    if(NOT sodium_FOUND)
        message(FATAL_ERROR "no libsodium >= 1.0.22: run ./dev deps")
    endif()
    add_library(peergate::sodium ALIAS PkgConfig::sodium)
endif()

# nanopb: the runtime from its library, the generator as a protoc plugin.
find_path(NANOPB_INCLUDE_DIR pb.h PATH_SUFFIXES nanopb REQUIRED)
find_library(NANOPB_LIBRARY protobuf-nanopb REQUIRED)
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_GEN_NANOPB protoc-gen-nanopb REQUIRED)
add_library(peergate::nanopb UNKNOWN IMPORTED)
set_target_properties(peergate::nanopb PROPERTIES
    IMPORTED_LOCATION "${NANOPB_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${NANOPB_INCLUDE_DIR}")

# lwIP: its source only; netstack/CMakeLists.txt builds it with our lwipopts.h.
set(LWIP_DIR "${PEERGATE_DEPS}/lwip-src")
if(NOT EXISTS "${LWIP_DIR}/src/Filelists.cmake")
    message(FATAL_ERROR "no lwIP source in ${LWIP_DIR}: run ./dev deps")
endif()

if(PEERGATE_TESTS)
    pkg_check_modules(cmocka IMPORTED_TARGET cmocka)
    if(cmocka_FOUND)
        add_library(peergate::cmocka ALIAS PkgConfig::cmocka)
    else()
        message(STATUS "no cmocka: the unit tests are left out (./dev deps without --build-only brings it)")
    endif()
endif()
