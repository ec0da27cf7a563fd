/* SPDX-License-Identifier: MIT */
/* The command line's end of the control socket: requests out, lines in, blocking. Every function that fails has told the person why. */
#ifndef GATEWAY_DAEMON_CLIENT_H
#define GATEWAY_DAEMON_CLIENT_H

#include "gateway/daemon/cmd.h"
#include "gateway/daemon/table.h"

#include <jansson.h>
#include <stddef.h>

struct gw_client {
    const struct gw_cmd_context *ctx;
    int fd;
    char *data; /* what was read and not used yet */
    size_t len, cap;
};

/* Connects to the daemon of ctx->dir. false: told (no daemon is running, not allowed), with --json also on stdout, as the daemon itself would. */
bool gw_client_open(struct gw_client *client, const struct gw_cmd_context *ctx);
void gw_client_close(struct gw_client *client);
/* Is a daemon there? Says nothing. */
bool gw_client_is_running(const struct gw_cmd_context *ctx);

/* Consumes the request. */
bool gw_client_send(struct gw_client *client, json_t *request);
/* The next line, or NULL at the end of the connection (told only when a line is not JSON). The caller's. */
json_t *gw_client_receive(struct gw_client *client);
/* The next line if it says ok; else the daemon's sentence was told and NULL is returned. */
json_t *gw_client_receive_ok(struct gw_client *client);
/* Open, one request, one answer, close. With --json the answer was printed already and an empty object is returned. */
json_t *gw_client_ask(const struct gw_cmd_context *ctx, json_t *request);
/* The same, but nothing is said of a daemon that says no: its answer as it is; NULL: there was none, which was told. */
json_t *gw_client_ask_as_is(const struct gw_cmd_context *ctx, json_t *request);
/* Prints it on stdout, for programs that people look at, too. */
void gw_client_print_json(const struct gw_cmd_context *ctx, const json_t *object);
/* The same as one line: of several. */
void gw_client_print_json_line(const struct gw_cmd_context *ctx, const json_t *object);

/* Members of an answer, with a default for what is absent. */
const char *gw_json_text(const json_t *object, const char *key);
json_int_t gw_json_int(const json_t *object, const char *key);
double gw_json_real(const json_t *object, const char *key);
/* How a path goes, with what it goes to to follow: "direct", "relay", "tls via", or "tls via anchor" for a relay behind TLS. */
const char *gw_json_path_kind(const json_t *path);
/* A peer's state as people are told it; colour may be NULL. */
const char *gw_json_state_word(const json_t *peer, enum gw_colour *colour);
/* Is the answer about several networks? */
bool gw_json_are_of_several(const json_t *answer);

#endif
