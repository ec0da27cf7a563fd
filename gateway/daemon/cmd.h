/* SPDX-License-Identifier: MIT */
/* Commands: `peergate [--dir DIR] [--json] [-v] COMMAND ...`. A command is one struct gw_command, defined
 * in its gateway/daemon/cmd_*.c, declared at the end of this header and listed in main.c's table. cmd.c
 * takes the common options away, wherever they stand, and runs it. */
#ifndef GATEWAY_DAEMON_CMD_H
#define GATEWAY_DAEMON_CMD_H

#include <stdbool.h>
#include <stddef.h>

/* What a command returns: the program's exit status. */
enum gw_exit {
    GW_EXIT_OK = 0,
    GW_EXIT_FAILED = 1, /* it was tried and did not work; stderr says why and what to do */
    GW_EXIT_USAGE = 2,  /* wrong arguments; gw_cmd_usage_error returns it */
};

struct gw_command;
struct gw_diag;

/* With --json a failure is told to a program, too: by what the command prints itself, or else by its first sentence. */
struct gw_cmd_told {
    bool is_json_printed;
    char sentence[1024];
};

struct gw_cmd_context {
    const struct gw_command *command;
    const char *dir;          /* the folder with identity.key, config.yaml ...; absolute, never NULL */
    bool json;                /* --json: what a program may read, on stdout, nothing else there */
    int verbose;              /* how many -v */
    struct gw_cmd_told *told; /* NULL: nobody asks */
};

struct gw_command {
    const char *name;    /* the word that is typed */
    const char *summary; /* one line for `peergate help`, no full stop; NULL: it is not listed there */
    const char *usage;   /* "usage: peergate NAME ...\n\nlines.\n"; lines of at most 79 */
    /* argv[0] is the command's name; the common options are gone; argv[argc] is NULL. Returns an enum
     * gw_exit. */
    int (*run)(struct gw_cmd_context *ctx, int argc, char **argv);
    bool is_raw; /* stdout is somebody else's: no JSON of ours there */
};

/* An option of one command, for gw_cmd_options. Exactly one of flag and value is set. */
struct gw_cmd_option {
    const char *name;   /* "--services"; NULL ends the table */
    bool *flag;         /* set to true when the option is there */
    const char **value; /* set to what follows: "--services a,b" or "--services=a,b" */
};

/* Takes the command's own options out of argv, so that argv[1] ... argv[*argc - 1] are the plain
 * arguments; "--" ends the options. GW_EXIT_OK, or GW_EXIT_USAGE after a message (unknown option, value
 * missing, number of arguments not within min..max). options may be NULL. */
int gw_cmd_options(struct gw_cmd_context *ctx, int *argc, char **argv, const struct gw_cmd_option *options,
                   int min, int max);

/* "peergate NAME: message" on stderr and a hint at the help; returns GW_EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int gw_cmd_usage_error(const struct gw_cmd_context *ctx,
                                                             const char *format, ...);
/* "peergate NAME: message" on stderr; returns GW_EXIT_FAILED. With several lines, the later ones say what
 * to do. */
__attribute__((format(printf, 2, 3))) int gw_cmd_fail(const struct gw_cmd_context *ctx, const char *format,
                                                      ...);

/* The command has printed JSON, which says how it went. */
void gw_cmd_json_printed(const struct gw_cmd_context *ctx);
/* What is wrong with files, on stderr; the first error is the sentence for a program. */
void gw_cmd_print_diag(const struct gw_cmd_context *ctx, const struct gw_diag *diag);

/* DIR/name into out; false (out is "") when it does not fit. */
bool gw_cmd_path(const struct gw_cmd_context *ctx, const char *name, char *out, size_t out_len);

/* Everything that main does, over a table of commands. Returns the exit status. */
int gw_cmd_main(const struct gw_command *const *commands, size_t count, int argc, char **argv);

/* ---- the commands, by file */

/* cmd_init.c */
extern const struct gw_command gw_cmd_init;
/* cmd_keys.c */
extern const struct gw_command gw_cmd_id, gw_cmd_genkey, gw_cmd_pubkey, gw_cmd_authorize, gw_cmd_deauthorize;
/* cmd_config.c */
extern const struct gw_command gw_cmd_config;
/* igd_child.c */
extern const struct gw_command gw_cmd_igd;
/* cmd_dns.c */
extern const struct gw_command gw_cmd_dns;
/* cmd_up.c, cmd_control.c, cmd_status.c, cmd_ping.c, cmd_why.c, cmd_nc.c, cmd_forward.c */
extern const struct gw_command gw_cmd_up, gw_cmd_down, gw_cmd_reload, gw_cmd_status, gw_cmd_peers,
    gw_cmd_ping, gw_cmd_why, gw_cmd_resolve, gw_cmd_services, gw_cmd_nc, gw_cmd_forward;
/* cmd_netcheck.c */
extern const struct gw_command gw_cmd_netcheck;

#endif
