/* SPDX-License-Identifier: MIT */
/* Blocking sockets of a test: servers, and clients that go through the proxy. Every wait ends after 10 s with a failure. */
#ifndef TESTS_UNIT_SOCKS5_CLIENT_H
#define TESTS_UNIT_SOCKS5_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A listening TCP socket on 127.0.0.1; *port is the kernel's choice. */
int server_listen(uint16_t *port);
/* A connected client of it. */
int server_accept(int fd);
int connect_to(uint16_t port);
/* The SOCKS5 reply code of a CONNECT without authentication; on 0 the socket is in *fd, else it is closed. */
int socks5_connect(uint16_t proxy, const char *host, uint16_t port, int *fd);
/* The same, must be 0. */
int socks5_open(uint16_t proxy, const char *host, uint16_t port);

void send_all(int fd, const void *bytes, size_t len);
/* Exactly len bytes; false when EOF came first. */
bool recv_all(int fd, void *bytes, size_t len);
/* Up to EOF; the number, or -errno. */
long recv_to_end(int fd, void *bytes, size_t cap);
/* EOF and nothing before it. */
void expect_end(int fd);
/* ECONNRESET, after any bytes. */
void expect_reset(int fd);
/* close() with a TCP reset. */
void close_reset(int fd);
/* Byte i of a stream that each test can check. */
uint8_t pattern(uint64_t i, unsigned seed);
/* Sends, or receives and checks, the bytes [from, from + len) of the pattern. */
void send_pattern(int fd, uint64_t from, uint64_t len, unsigned seed);
void expect_pattern(int fd, uint64_t from, uint64_t len, unsigned seed);

#endif
