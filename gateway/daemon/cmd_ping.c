/* SPDX-License-Identifier: MIT */
/* `ping`: round trips through the session, as they come. */
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/table.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct tally {
    unsigned sent, received;
    double min, max, sum, squares;
};

/* Ctrl-C ends the conversation with the daemon, and then the summary is due. */
static int interrupted_fd = -1;

static void on_interrupt(int signo)
{
    (void)signo;
    shutdown(interrupted_fd, SHUT_RDWR);
}

static void count(struct tally *tally, const json_t *line)
{
    tally->sent++;
    if (json_is_true(json_object_get(line, "lost")))
        return;
    double ms = gw_json_real(line, "rtt_ms");
    tally->min = tally->received == 0 || ms < tally->min ? ms : tally->min;
    tally->max = tally->received == 0 || ms > tally->max ? ms : tally->max;
    tally->received++;
    tally->sum += ms;
    tally->squares += ms * ms;
}

/* Pings are what looks for a better path, too, and go where nothing else may. */
static bool is_kept_back(const json_t *line)
{
    const json_t *path = json_object_get(line, "path");
    return json_is_object(path) && strcmp(gw_json_text(path, "kind"), "relay") == 0 &&
           strcmp(gw_json_text(line, "path_policy"), "direct") == 0;
}

static void print_line(const json_t *line, const char *host)
{
    const json_t *path = json_object_get(line, "path");
    char text[GW_TEXT_LEN];
    int seq = (int)gw_json_int(line, "seq");

    if (json_is_true(json_object_get(line, "lost")))
        printf("no answer from %s: seq=%d (%s)\n", host, seq, gw_json_state_word(line, NULL));
    else
        printf("answer from %s: seq=%d time=%s path=%s %s%s\n", host, seq,
               gw_text_ms(text, gw_json_real(line, "rtt_ms")),
               json_is_object(path) ? gw_json_path_kind(path) : "none", gw_json_text(path, "endpoint"),
               is_kept_back(line) ? " (no data passes by it: `path: direct`)" : "");
    fflush(stdout);
}

static void print_summary(const struct tally *tally, const char *host)
{
    double loss = tally->sent > 0 ? 100.0 * (tally->sent - tally->received) / tally->sent : 0;
    double average = tally->received > 0 ? tally->sum / tally->received : 0;
    printf("\n--- %s ---\n%u sent, %u received, %.0f %% lost\n", host, tally->sent, tally->received, loss);
    if (tally->received == 0)
        return;
    double variance = tally->squares / tally->received - average * average;
    printf("round trip min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", tally->min, average, tally->max,
           sqrt(variance > 0 ? variance : 0));
}

static json_t *make_request(const char *host, unsigned pings, double seconds)
{
    return json_pack("{s:s,s:s,s:i,s:i}", "command", "ping", "host", host, "count", (int)pings, "interval_ms",
                     (int)(seconds * 1000));
}

/* false: the daemon refused, and the person was told. */
static bool converse(struct gw_client *client, const char *host, struct tally *tally)
{
    for (;;) {
        json_t *line = gw_client_receive(client);
        if (!line)
            return true;
        bool is_ok = json_is_true(json_object_get(line, "ok")),
             is_done = json_is_true(json_object_get(line, "done"));
        if (!is_ok)
            gw_cmd_fail(client->ctx, "%s", gw_json_text(line, "error"));
        if (client->ctx->json)
            gw_client_print_json_line(client->ctx, line);
        else if (is_ok && !is_done)
            print_line(line, host);
        if (is_ok && !is_done)
            count(tally, line);
        json_decref(line);
        if (!is_ok || is_done)
            return is_ok;
    }
}

static int ping(struct gw_cmd_context *ctx, const char *host, unsigned pings, double seconds)
{
    struct gw_client client;
    struct tally tally = {0};
    if (!gw_client_open(&client, ctx))
        return GW_EXIT_FAILED;
    interrupted_fd = client.fd;
    signal(SIGINT, on_interrupt);
    bool is_good =
        gw_client_send(&client, make_request(host, pings, seconds)) && converse(&client, host, &tally);
    if (is_good && !ctx->json)
        print_summary(&tally, host);
    signal(SIGINT, SIG_DFL);
    gw_client_close(&client);
    return is_good && tally.received > 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    const char *pings = NULL, *seconds = "1";
    const struct gw_cmd_option table[] = {{"-c", NULL, &pings}, {"-i", NULL, &seconds}, {NULL, NULL, NULL}};
    char *end;
    int status = gw_cmd_options(ctx, &argc, argv, table, 1, 1);
    if (status != GW_EXIT_OK)
        return status;
    long number = pings ? strtol(pings, &end, 10) : 0; /* 0: until Ctrl-C */
    if (pings && (*end != '\0' || number < 1 || number > 1000000))
        return gw_cmd_usage_error(ctx, "-c wants a number of pings from 1 to 1000000, not \"%s\"", pings);
    double interval = strtod(seconds, &end);
    if (*end != '\0' || end == seconds || !(interval >= 0.01 && interval <= 3600))
        return gw_cmd_usage_error(ctx, "-i wants seconds between 0.01 and 3600, not \"%s\"", seconds);
    return ping(ctx, argv[1], (unsigned)number, interval);
}

const struct gw_command gw_cmd_ping = {
    .name = "ping",
    .summary = "measure the round trip to a peer through its session",
    .usage = "usage: peergate ping [-c COUNT] [-i SECONDS] [--json] HOST\n\n"
             "Sends a ping through the session once a second until Ctrl-C, and prints the round\n"
             "trip time and the path of each. Exit status 1 when no answer came.\n\n"
             "  -c COUNT     stop after so many\n"
             "  -i SECONDS   between two of them (default 1)\n",
    .run = run,
};
