/* SPDX-License-Identifier: MIT */
/* The few socket calls that several files here need. None fails in a way that matters: what is wrong with the socket shows at its next use. */
#ifndef GATEWAY_LOCAL_SOCKOPT_H
#define GATEWAY_LOCAL_SOCKOPT_H

#include <sys/socket.h>
#include <sys/un.h>

/* No Nagle: what the stream delivers goes out. Nothing happens to a unix socket. */
void gw_sock_set_nodelay(int fd);
/* The next close() sends a reset instead of a FIN (TCP only). */
void gw_sock_set_abort(int fd);
/* The error that is pending on the socket, as -errno; taking it clears it. */
int gw_sock_error(int fd);
/* The address of a unix socket; "@x" is abstract. path is at most GW_TARGET_UNIX_MAX long. Returns the length for bind or connect. */
socklen_t gw_sock_unix_address(struct sockaddr_un *out, const char *path);

#endif
