/* SPDX-License-Identifier: MIT */
/* Takes the command line apart: the common options, the command's word, help, and what a mistyped word may
 * have been. */
#include "gateway/daemon/cmd.h"

#include "gateway/base/err.h"
#include "gateway/config/diag.h"
#include "gateway/config/dir.h"
#include "gateway/config/nearest.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef PEERGATE_VERSION
#define PEERGATE_VERSION "0"
#endif

struct command_line {
    const char *dir;
    bool json, help, version;
    int verbose;
    bool is_incomplete; /* --dir is last */
};

static bool is_first(const struct gw_cmd_context *ctx)
{
    return ctx->told && ctx->told->sentence[0] == '\0';
}

__attribute__((format(printf, 2, 0))) static void print_error(const struct gw_cmd_context *ctx,
                                                              const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    if (is_first(ctx))
        vsnprintf(ctx->told->sentence, sizeof ctx->told->sentence, format, again);
    va_end(again);
    fflush(stdout);
    fprintf(stderr, ctx->command ? "peergate %s: " : "peergate%s: ", ctx->command ? ctx->command->name : "");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int gw_cmd_usage_error(const struct gw_cmd_context *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(ctx, format, args);
    va_end(args);
    if (ctx->command)
        fprintf(stderr, "See `peergate help %s`.\n", ctx->command->name);
    else
        fprintf(stderr, "See `peergate help`.\n");
    return GW_EXIT_USAGE;
}

int gw_cmd_fail(const struct gw_cmd_context *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(ctx, format, args);
    va_end(args);
    return GW_EXIT_FAILED;
}

void gw_cmd_json_printed(const struct gw_cmd_context *ctx)
{
    if (ctx->told)
        ctx->told->is_json_printed = true;
}

void gw_cmd_print_diag(const struct gw_cmd_context *ctx, const struct gw_diag *diag)
{
    gw_diag_print(diag, stderr);
    for (size_t i = 0; i < diag->count && is_first(ctx); i++) {
        if (diag->entries[i].severity == GW_DIAG_ERROR)
            snprintf(ctx->told->sentence, sizeof ctx->told->sentence, "%s", diag->entries[i].text);
    }
}

bool gw_cmd_path(const struct gw_cmd_context *ctx, const char *name, char *out, size_t out_len)
{
    int len = snprintf(out, out_len, "%s/%s", ctx->dir, name);
    if (len >= 0 && (size_t)len < out_len)
        return true;
    out[0] = '\0';
    return false;
}

/* The name nearest to a mistyped word; NULL when none is near. */
static const char *nearest_name(const struct gw_command *const *commands, size_t count, const char *word)
{
    struct gw_nearest nearest;
    gw_nearest_init(&nearest, word);
    for (size_t i = 0; i < count; i++) {
        if (commands[i]->summary)
            gw_nearest_offer(&nearest, commands[i]->name);
    }
    return nearest.best;
}

static const struct gw_command *find_command(const struct gw_command *const *commands, size_t count,
                                             const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i]->name, word) == 0)
            return commands[i];
    }
    return NULL;
}

static int unknown_command(const struct gw_cmd_context *ctx, const struct gw_command *const *commands,
                           size_t count, const char *word)
{
    const char *nearest = nearest_name(commands, count, word);
    if (nearest)
        return gw_cmd_usage_error(ctx, "there is no command \"%s\"; did you mean \"%s\"?", word, nearest);
    return gw_cmd_usage_error(ctx, "there is no command \"%s\"", word);
}

/* ---- options */

/* The value of `name` at argv[i]: after "=", or the next argument, which *used then counts. NULL when
 * argv[i] is another word; "" with *used = 0 when the value is missing. */
static const char *value_at(int argc, char **argv, int i, const char *name, int *used)
{
    size_t len = strlen(name);
    *used = 1;
    if (strncmp(argv[i], name, len) != 0)
        return NULL;
    if (argv[i][len] == '=')
        return argv[i] + len + 1;
    if (argv[i][len] != '\0') /* "-c3" */
        return len == 2 ? argv[i] + len : NULL;
    *used = i + 1 < argc ? 2 : 0;
    return *used ? argv[i + 1] : "";
}

static bool is_verbose(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && word[1 + strspn(word + 1, "v")] == '\0';
}

/* How many arguments from argv[i] on are a common option (0: none). */
static int take_common(struct command_line *line, int argc, char **argv, int i)
{
    int used;
    const char *dir = value_at(argc, argv, i, "--dir", &used);
    if (dir) {
        line->dir = dir;
        line->is_incomplete = *dir == '\0';
        return used ? used : 1;
    }
    if (strcmp(argv[i], "--json") == 0)
        line->json = true;
    else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
        line->help = true;
    else if (strcmp(argv[i], "--version") == 0)
        line->version = true;
    else if (strcmp(argv[i], "--verbose") == 0)
        line->verbose++;
    else if (is_verbose(argv[i]))
        line->verbose += (int)strlen(argv[i]) - 1;
    else
        return 0;
    return 1;
}

/* Moves what is not a common option to the front, and returns how many that are. */
static int take_common_options(struct command_line *line, int argc, char **argv)
{
    int kept = 1, i = 1;
    while (i < argc && strcmp(argv[i], "--") != 0) {
        int used = take_common(line, argc, argv, i);
        if (used == 0) {
            argv[kept++] = argv[i];
            used = 1;
        }
        i += used;
    }
    while (i < argc)
        argv[kept++] = argv[i++];
    argv[kept] = NULL;
    return kept;
}

/* How many arguments from argv[i] on are one of the command's options: -1 after a message. */
static int take_own(struct gw_cmd_context *ctx, int argc, char **argv, int i,
                    const struct gw_cmd_option *options)
{
    for (const struct gw_cmd_option *option = options; option && option->name; option++) {
        int used;
        const char *value;
        if (option->flag && strcmp(argv[i], option->name) == 0) {
            *option->flag = true;
            return 1;
        }
        if (!option->value || !(value = value_at(argc, argv, i, option->name, &used)))
            continue;
        if (used == 0)
            return -gw_cmd_usage_error(ctx, "%s needs a value", option->name);
        *option->value = value;
        return used;
    }
    return -gw_cmd_usage_error(ctx, "there is no option %s", argv[i]);
}

int gw_cmd_options(struct gw_cmd_context *ctx, int *argc, char **argv, const struct gw_cmd_option *options,
                   int min, int max)
{
    int kept = 1, i = 1;
    while (i < *argc && strcmp(argv[i], "--") != 0) {
        int used = 1;
        if (argv[i][0] == '-' && argv[i][1] != '\0')
            used = take_own(ctx, *argc, argv, i, options);
        else
            argv[kept++] = argv[i];
        if (used < 0)
            return GW_EXIT_USAGE;
        i += used;
    }
    for (i++; i < *argc; i++)
        argv[kept++] = argv[i];
    argv[kept] = NULL;
    *argc = kept;
    if (kept - 1 < min)
        return gw_cmd_usage_error(ctx, "something is missing; %.*s", (int)strcspn(ctx->command->usage, "\n"),
                                  ctx->command->usage);
    if (kept - 1 > max)
        return gw_cmd_usage_error(ctx, "\"%s\" is one argument too many", argv[max + 1]);
    return GW_EXIT_OK;
}

/* ---- help */

static int print_help(const struct gw_command *const *commands, size_t count)
{
    printf("usage: peergate [--dir DIR] [--json] [-v] COMMAND [ARGUMENTS]\n\n"
           "Reach your own machines and services by name, peer to peer.\n\n");
    for (size_t i = 0; i < count; i++) {
        if (commands[i]->summary)
            printf("  %-14s %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("  %-14s %s\n", "help", "say more about a command: peergate help COMMAND");
    printf("\n  --dir DIR      the folder with identity.key, config.yaml, authorized_keys and names.yaml\n"
           "                 (default: $PEERGATE_DIR, else ~/.config/peergate; for root /etc/peergate)\n"
           "  --json         print what a program may read, where there is something to print\n"
           "  -v             say more; twice, still more\n"
           "  --version      print the version\n\n"
           "Exit status: 0 done, 1 failed, 2 wrong arguments.\n");
    return GW_EXIT_OK;
}

static int print_command_help(const struct gw_command *command)
{
    printf("%s", command->usage);
    return GW_EXIT_OK;
}

static int help(const struct gw_cmd_context *ctx, const struct gw_command *const *commands, size_t count,
                const char *word)
{
    if (!word || strcmp(word, "help") == 0)
        return print_help(commands, count);
    const struct gw_command *command = find_command(commands, count, word);
    return command ? print_command_help(command) : unknown_command(ctx, commands, count, word);
}

/* ---- dispatch */

/* A sentence may quote what a file or an argument says, in whatever encoding. */
static void print_failure(const struct gw_cmd_told *told, int status)
{
    json_t *sentence = json_string(told->sentence);
    json_t *answer =
        json_pack("{s:b,s:s,s:o}", "ok", 0, "code", status == GW_EXIT_USAGE ? "usage" : "failed", "error",
                  sentence ? sentence : json_string("it failed, for a reason that is not UTF-8"));
    json_dumpf(answer, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(answer);
}

static int run_command(const struct gw_command *command, const struct command_line *line, int argc,
                       char **argv)
{
    struct gw_cmd_told told = {0};
    struct gw_cmd_context ctx = {
        .command = command, .json = line->json, .verbose = line->verbose, .told = &told};
    char dir[GW_DIR_PATH_MAX];
    int err = gw_dir_choose(dir, line->dir);
    if (err)
        return gw_cmd_fail(&ctx, "no folder to work in: %s\nName one with --dir DIR or $PEERGATE_DIR.",
                           gw_strerror(err));
    ctx.dir = dir;
    int status = command->run(&ctx, argc, argv);
    if (ctx.json && status != GW_EXIT_OK && !command->is_raw && !told.is_json_printed && told.sentence[0])
        print_failure(&told, status);
    /* An earlier write may have failed, and nothing be left to flush. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == GW_EXIT_OK)
        return gw_cmd_fail(&ctx, "cannot write to standard output: %s", strerror(errno));
    return status;
}

/* nothing: the context where there is no command. */
static int dispatch(const struct gw_cmd_context *nothing, const struct gw_command *const *commands,
                    size_t count, const struct command_line *line, int argc, char **argv)
{
    if (line->is_incomplete)
        return gw_cmd_usage_error(nothing, "--dir needs a folder");
    if (line->version) {
        printf("peergate %s\n", PEERGATE_VERSION);
        return GW_EXIT_OK;
    }
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word && line->help)
        return print_help(commands, count);
    if (!word)
        return gw_cmd_usage_error(nothing, "what shall I do?");
    if (strcmp(word, "help") == 0)
        return help(nothing, commands, count, argv[2]);
    if (line->help)
        return help(nothing, commands, count, word);
    const struct gw_command *command = find_command(commands, count, word);
    if (command)
        return run_command(command, line, argc - 1, argv + 1);
    if (word[0] == '-')
        return gw_cmd_usage_error(nothing, "there is no option %s", word);
    return unknown_command(nothing, commands, count, word);
}

int gw_cmd_main(const struct gw_command *const *commands, size_t count, int argc, char **argv)
{
    struct command_line line = {0};
    struct gw_cmd_told told = {0};
    argc = take_common_options(&line, argc, argv);
    const struct gw_cmd_context nothing = {.json = line.json, .told = &told};
    int status = dispatch(&nothing, commands, count, &line, argc, argv);
    if (line.json && status != GW_EXIT_OK && told.sentence[0])
        print_failure(&told, status);
    return status;
}
