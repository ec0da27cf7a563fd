/* SPDX-License-Identifier: MIT */
#include "client.h"

#include "tests/must.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void set_timeouts(int fd)
{
    struct timeval tv = {.tv_sec = 30};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
}

int server_listen(uint16_t *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&sin, len) == 0 && listen(fd, 4096) == 0);
    must(getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
    *port = ntohs(sin.sin_port);
    set_timeouts(fd);
    return fd;
}

int server_accept(int fd)
{
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    must(client >= 0);
    set_timeouts(client);
    return client;
}

int connect_to(uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    set_timeouts(fd);
    must(connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0);
    return fd;
}

int socks5_connect(uint16_t proxy, const char *host, uint16_t port, int *fd)
{
    uint8_t request[300] = {5, 1, 0, 3}, reply[10];
    size_t len = strlen(host);
    *fd = connect_to(proxy);
    send_all(*fd, "\x05\x01\x00", 3);
    must(recv_all(*fd, reply, 2) && reply[0] == 5 && reply[1] == 0);
    request[4] = (uint8_t)len;
    memcpy(request + 5, host, len);
    request[5 + len] = (uint8_t)(port >> 8);
    request[6 + len] = (uint8_t)port;
    send_all(*fd, request, 7 + len);
    must(recv_all(*fd, reply, 10) && reply[0] == 5);
    if (reply[1] != 0) {
        expect_end(*fd);
        close(*fd);
    }
    return reply[1];
}

int socks5_open(uint16_t proxy, const char *host, uint16_t port)
{
    int fd;
    must(socks5_connect(proxy, host, port, &fd) == 0);
    return fd;
}

void send_all(int fd, const void *bytes, size_t len)
{
    for (size_t n = 0; n < len;) {
        ssize_t sent = send(fd, (const uint8_t *)bytes + n, len - n, MSG_NOSIGNAL);
        must(sent > 0);
        n += (size_t)sent;
    }
}

bool recv_all(int fd, void *bytes, size_t len)
{
    for (size_t n = 0; n < len;) {
        ssize_t got = recv(fd, (uint8_t *)bytes + n, len - n, 0);
        must(got >= 0);
        if (got == 0)
            return false;
        n += (size_t)got;
    }
    return true;
}

long recv_to_end(int fd, void *bytes, size_t cap)
{
    size_t n = 0;
    while (n < cap) {
        ssize_t got = recv(fd, (uint8_t *)bytes + n, cap - n, 0);
        if (got < 0)
            return -errno;
        if (got == 0)
            return (long)n;
        n += (size_t)got;
    }
    return (long)n;
}

void expect_end(int fd)
{
    char byte;
    must(recv(fd, &byte, 1, 0) == 0);
}

void expect_reset(int fd)
{
    char bytes[65536];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    must(n < 0 && errno == ECONNRESET);
}

void close_reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

uint8_t pattern(uint64_t i, unsigned seed)
{
    return (uint8_t)((i * 2654435761u + seed) >> 11 ^ i);
}

void send_pattern(int fd, uint64_t from, uint64_t len, unsigned seed)
{
    uint8_t bytes[16384];
    while (len > 0) {
        size_t n = len < sizeof bytes ? (size_t)len : sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = pattern(from + i, seed);
        send_all(fd, bytes, n);
        from += n;
        len -= n;
    }
}

void expect_pattern(int fd, uint64_t from, uint64_t len, unsigned seed)
{
    uint8_t bytes[16384];
    while (len > 0) {
        size_t n = len < sizeof bytes ? (size_t)len : sizeof bytes;
        must(recv_all(fd, bytes, n));
        for (size_t i = 0; i < n; i++)
            must(bytes[i] == pattern(from + i, seed));
        from += n;
        len -= n;
    }
}
