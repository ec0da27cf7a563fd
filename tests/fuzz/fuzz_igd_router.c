/* SPDX-License-Identifier: MIT */
/* A UPnP router that says what it likes, to what the helper asks it: HTTP, the description's XML, SOAP. Sockets are local pairs in which the answer lies already, and names are not looked
 * up. Whatever comes, at most one line is said, and it is one that the daemon can read.
 * Input: verb u8 | an answer for each connection, in their order:  length u16 | bytes. */
#include "gateway/daemon/igd_line.h"
#include "gateway/daemon/igd_router.h"
#include "gateway/wire/cursor.h"

#include <assert.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLAYED __attribute__((visibility("default")))
#define CONNECTIONS_MAX 64u

static struct {
    bool is_played;
    const uint8_t *data;
    size_t size;
    int far[CONNECTIONS_MAX];
    unsigned count;
} router;

/* ---- the network */

static struct sockaddr_in somewhere(void)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = 20480, .sin_addr = {0x0101a8c0}};
}

static void answer(int fd)
{
    if (router.size < 2)
        return;
    size_t len = gw_load16_be(router.data);
    len = len < router.size - 2 ? len : router.size - 2;
    if (len > 0 && send(fd, router.data + 2, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        abort();
    router.data += 2 + len;
    router.size -= 2 + len;
}

PLAYED int socket(int domain, int type, int protocol)
{
    int pair[2];
    if (!router.is_played)
        return (int)syscall(SYS_socket, domain, type, protocol);
    if (router.count == CONNECTIONS_MAX)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        abort();
    router.far[router.count++] = pair[1];
    return pair[0];
}

PLAYED int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    (void)address, (void)len;
    if (!router.is_played)
        return (int)syscall(SYS_connect, fd, address, len);
    answer(router.far[router.count - 1]);
    shutdown(router.far[router.count - 1], SHUT_WR);
    return 0;
}

PLAYED int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict len)
{
    const struct sockaddr_in own = somewhere();
    (void)fd;
    memcpy(address, &own, sizeof own);
    *len = sizeof own;
    return 0;
}

PLAYED int getaddrinfo(const char *restrict name, const char *restrict service,
                       const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    static struct sockaddr_in there;
    struct addrinfo *one = calloc(1, sizeof *one);
    (void)name, (void)service, (void)hints;
    if (!one)
        return EAI_MEMORY;
    there = somewhere();
    *one = (struct addrinfo){.ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_addr = (struct sockaddr *)&there,
                             .ai_addrlen = sizeof there};
    *found = one;
    return 0;
}

PLAYED void freeaddrinfo(struct addrinfo *found)
{
    free(found);
}

/* ---- what the helper says */

static void judge(char *said, bool is_answered)
{
    struct gw_igd_line line;
    size_t len = strlen(said);
    assert((len > 0) == is_answered);
    if (!is_answered)
        return;
    assert(said[len - 1] == '\n' && strchr(said, '\n') == said + len - 1);
    said[len - 1] = '\0';
    gw_igd_line_parse(&line, said);
    assert(line.verdict != GW_IGD_SAID_NONE && strcmp(line.url, "http://192.168.1.1:80/d.xml") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const verbs[] = {"map", "unmap", "find"};
    struct gw_igd_request request = {.router = "192.168.1.1",
                                     .client = "192.168.1.2",
                                     .inside = "7000",
                                     .outside = "7000",
                                     .lifetime = "3600"};
    char *said = NULL;
    size_t len;
    if (size < 1)
        return 0;
    signal(SIGPIPE, SIG_IGN);
    request.verb = verbs[data[0] % 3];
    router.data = data + 1, router.size = size - 1;
    router.count = 0;
    FILE *out = open_memstream(&said, &len);
    if (!out)
        abort();
    router.is_played = true;
    bool is_answered = gw_igd_router_ask(&request, "http://192.168.1.1:80/d.xml", out);
    router.is_played = false;
    fclose(out);
    judge(said, is_answered);
    free(said);
    while (router.count > 0)
        close(router.far[--router.count]);
    return 0;
}
