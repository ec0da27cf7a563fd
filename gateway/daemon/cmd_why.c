/* SPDX-License-Identifier: MIT */
/* `why`: how a peer is reached, or why it is not, and what would have to change. */
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/table.h"

#include <stdio.h>
#include <string.h>

static void print_paths(const json_t *answer)
{
    const json_t *path;
    char text[GW_TEXT_LEN];
    size_t i;
    json_array_foreach(json_object_get(answer, "paths"), i, path)
    {
        const json_t *rtt = json_object_get(path, "rtt_ms");
        const char *local = gw_json_text(path, "local");
        printf("  %s %s %s%s%s%s", json_is_true(json_object_get(path, "used")) ? "*" : " ",
               gw_json_path_kind(path), gw_json_text(path, "endpoint"), *local ? " from " : "", local,
               json_is_true(json_object_get(path, "works")) ? "" : ", does not answer");
        if (json_is_number(rtt))
            printf(", round trip %s", gw_text_ms(text, json_number_value(rtt)));
        putchar('\n');
    }
}

static void print_anchors(const json_t *answer)
{
    const json_t *anchor;
    size_t i;
    json_array_foreach(json_object_get(answer, "anchors"), i, anchor)
    {
        const char *reason = gw_json_text(anchor, "reason");
        const char *kind = json_is_true(json_object_get(anchor, "neighbour")) ? "neighbour" : "anchor";
        printf("  %s %s: %s%s%s\n", kind, gw_json_text(anchor, "name"), gw_json_text(anchor, "state"),
               *reason ? ": " : "", reason);
    }
}

static void print_candidates(const json_t *answer)
{
    static const char *const headers[] = {"ADDRESS", "KNOWN AS", "OUTCOME", ">CHECKS", ">LAST", "WHY", NULL};
    struct gw_table table = {.headers = headers};
    const json_t *one;
    char text[GW_TEXT_LEN];
    unsigned guesses = 0;
    size_t i;
    json_array_foreach(json_object_get(answer, "candidates"), i, one)
    {
        if (strcmp(gw_json_text(one, "kind"), "guessed") == 0 &&
            strcmp(gw_json_text(one, "outcome"), "silent") == 0) {
            guesses++;
            continue;
        }
        struct gw_table_row *row = gw_table_add(&table);
        const json_t *last = json_object_get(one, "last_check_s");
        unsigned column = 0;
        if (!row)
            break;
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(one, "address"));
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(one, "kind"));
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(one, "outcome"));
        gw_table_cell(row, &column, GW_PLAIN, "%d", (int)gw_json_int(one, "checks"));
        gw_table_cell(row, &column, GW_PLAIN, "%s",
                      json_is_number(last) ? gw_text_seconds(text, json_number_value(last)) : "");
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(one, "reason"));
    }
    if (table.count > 0) {
        putchar('\n');
        gw_table_print(&table);
    }
    if (guesses > 0)
        printf(
            "and %u ports that follow on these, in case that its router gives them out in a row: no answer\n",
            guesses);
    gw_table_free(&table);
}

static void print_nat(const char *whose, const json_t *nat)
{
    const char *mapping = gw_json_text(nat, "mapping"), *ports = gw_json_text(nat, "ports");
    const char *words = strcmp(mapping, "independent") == 0 ? "one port for all destinations"
                        : strcmp(ports, "sequential") == 0  ? "a port for each destination, in a row"
                        : strcmp(ports, "random") == 0      ? "a port for each destination, at random"
                                                            : "a port for each destination";
    if (json_is_object(nat) && strcmp(mapping, "unknown") != 0)
        printf("  NAT %s: %s\n", whose, words);
}

static void print_answer(const json_t *answer)
{
    const char *advice = gw_json_text(answer, "advice");
    printf("%s%s%s: %s\n", gw_colour_on(GW_BOLD), gw_json_text(answer, "name"), gw_colour_off(),
           gw_json_text(answer, "verdict"));
    if (*advice)
        printf("  to change that: %s\n", advice);
    print_paths(answer);
    print_anchors(answer);
    print_nat("here", json_object_get(answer, "nat"));
    print_nat("there", json_object_get(answer, "peer_nat"));
    print_candidates(answer);
}

static int run(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 1, 1);
    if (status != GW_EXIT_OK)
        return status;
    json_t *answer = gw_client_ask(ctx, json_pack("{s:s,s:s}", "command", "why", "host", argv[1]));
    if (!answer)
        return GW_EXIT_FAILED;
    if (!ctx->json)
        print_answer(answer);
    json_decref(answer);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_why = {
    .name = "why",
    .summary = "say how a peer is reached, or why it is not",
    .usage = "usage: peergate why [--json] HOST\n\n"
             "The paths to a peer, what the anchors said, every address of its that was tried and\n"
             "what came of it, and what would have to change for a direct path.\n",
    .run = run,
};
