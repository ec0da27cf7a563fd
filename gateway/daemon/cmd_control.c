/* SPDX-License-Identifier: MIT */
/* The commands that ask the daemon one thing: down, reload, resolve, services. */
#include "gateway/daemon/client.h"
#include "gateway/daemon/cmd.h"
#include "gateway/daemon/table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DOWN_WAIT_US 20000
#define DOWN_TRIES 500

/* --- down --- */

static int run_down(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 0, 0);
    if (status != GW_EXIT_OK)
        return status;
    json_t *answer = gw_client_ask(ctx, json_pack("{s:s}", "command", "down"));
    if (!answer)
        return GW_EXIT_FAILED;
    json_decref(answer);
    /* Whoever starts another one next finds the ports free. */
    for (int i = 0; i < DOWN_TRIES && gw_client_is_running(ctx); i++)
        usleep(DOWN_WAIT_US);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_down = {
    .name = "down",
    .summary = "end the daemon",
    .usage = "usage: peergate down [--json]\n\n"
             "Ends the daemon of the folder, as Ctrl-C does, and waits until it is gone.\n",
    .run = run_down,
};

/* --- reload --- */

static int run_reload(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 0, 0);
    if (status != GW_EXIT_OK)
        return status;
    json_t *answer = gw_client_ask(ctx, json_pack("{s:s}", "command", "reload"));
    if (!answer)
        return GW_EXIT_FAILED;
    const json_t *message;
    size_t i;
    json_array_foreach(json_object_get(answer, "messages"), i, message)
        fprintf(stderr, "%s\n", json_string_value(message));
    json_decref(answer);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_reload = {
    .name = "reload",
    .summary = "have the daemon read its files again",
    .usage = "usage: peergate reload [--json]\n\n"
             "Reads config.yaml, authorized_keys and names.yaml again and applies what changed,\n"
             "without ending what did not. When a file has an error, nothing changes and the\n"
             "error is printed.\n",
    .run = run_reload,
};

/* --- resolve --- */

static void print_resolved(const json_t *answer)
{
    const json_t *peer = json_object_get(answer, "peer");
    const json_t *path = json_object_get(peer, "path"), *also;
    size_t i;
    printf("name       %s\n", gw_json_text(answer, "canonical"));
    if (*gw_json_text(answer, "service"))
        printf("service    %s\n", gw_json_text(answer, "service"));
    printf("found in   %s\n", gw_json_text(answer, "tier"));
    json_array_foreach(json_object_get(answer, "also"), i, also)
        printf("and also   %s: say the network, if that is meant\n", json_string_value(also));
    if (json_is_true(json_object_get(answer, "is_self"))) {
        printf("which is   this node itself\n");
        return;
    }
    if (*gw_json_text(peer, "peer_id"))
        printf("peer ID    %s\n", gw_json_text(peer, "peer_id"));
    printf("public key %s\n", gw_json_text(peer, "public_key"));
    printf("state      %s\n", gw_json_state_word(peer, NULL));
    if (json_is_object(path))
        printf("path       %s %s\n", gw_json_path_kind(path), gw_json_text(path, "endpoint"));
}

static int run_resolve(struct gw_cmd_context *ctx, int argc, char **argv)
{
    int status = gw_cmd_options(ctx, &argc, argv, NULL, 1, 1);
    if (status != GW_EXIT_OK)
        return status;
    json_t *answer = gw_client_ask(ctx, json_pack("{s:s,s:s}", "command", "resolve", "host", argv[1]));
    if (!answer)
        return GW_EXIT_FAILED;
    if (!ctx->json)
        print_resolved(answer);
    json_decref(answer);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_resolve = {
    .name = "resolve",
    .summary = "say which peer a name is",
    .usage = "usage: peergate resolve [--json] NAME\n\n"
             "NAME is HOST, HOST.NETWORK, HOST.NETWORK.p2p, SERVICE.HOST.NETWORK.p2p or a peer\n"
             "ID. Says which peer that is and who knew it.\n",
    .run = run_resolve,
};

/* --- services --- */

static void print_services(const json_t *answer, bool is_own)
{
    static const char *const headers[] = {"SERVICE",       "NETWORK", "PROTOCOL", ">PORT",
                                          "LOCAL ADDRESS", "",        NULL};
    struct gw_table table = {.headers = headers};
    const json_t *service, *list = json_object_get(answer, "services");
    bool are_several = gw_json_are_of_several(answer);
    size_t i;
    json_array_foreach(list, i, service)
    {
        struct gw_table_row *row = gw_table_add(&table);
        unsigned column = 0;
        if (!row)
            break;
        gw_table_cell(row, &column, GW_BOLD, "%s", gw_json_text(service, "name"));
        gw_table_cell(row, &column, GW_PLAIN, "%s", are_several ? gw_json_text(service, "network") : "");
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(service, "protocol"));
        if (gw_json_int(service, "port") > 0)
            gw_table_cell(row, &column, GW_PLAIN, "%d", (int)gw_json_int(service, "port"));
        else
            gw_table_cell(row, &column, GW_DIM, "by name");
        gw_table_cell(row, &column, GW_PLAIN, "%s", gw_json_text(service, "local_address"));
        gw_table_cell(row, &column, GW_DIM, "%s",
                      json_is_false(json_object_get(service, "enabled")) ? "disabled" : "");
    }
    if (table.count > 0)
        gw_table_print(&table);
    else
        printf("%s\n", is_own ? "no services: write them into config.yaml, under `services`"
                              : "nothing that this node may use");
    gw_table_free(&table);
}

static int run_services(struct gw_cmd_context *ctx, int argc, char **argv)
{
    const char *network = NULL;
    const struct gw_cmd_option options[] = {{"--network", NULL, &network}, {NULL, NULL, NULL}};
    int status = gw_cmd_options(ctx, &argc, argv, options, 0, 1);
    if (status != GW_EXIT_OK)
        return status;
    json_t *request = json_pack("{s:s}", "command", "services");
    if (network)
        json_object_set_new(request, "network", json_string(network));
    if (argc > 1)
        json_object_set_new(request, "host", json_string(argv[1]));
    json_t *answer = gw_client_ask(ctx, request);
    if (!answer)
        return GW_EXIT_FAILED;
    if (!ctx->json)
        print_services(answer, argc < 2);
    json_decref(answer);
    return GW_EXIT_OK;
}

const struct gw_command gw_cmd_services = {
    .name = "services",
    .summary = "list this node's services, or those of a peer that this node may use",
    .usage = "usage: peergate services [--network NAME] [--json] [HOST]\n\n"
             "Without HOST: what config.yaml offers to peers. With HOST: asks that peer which of\n"
             "its services this node may use.\n",
    .run = run_services,
};
