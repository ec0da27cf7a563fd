/* SPDX-License-Identifier: MIT */
/* docs/CONFIG.md, from the schema: a table for each section. */
#include "gateway/config/print.h"

#include "gateway/config/value.h"

#include <string.h>

#define PATH_LEN 256

static const char intro[] =
    "<!-- Printed by `peergate config reference`; a test compares. Change gateway/config/schema.c instead. -->\n"
    "# Configuration\n"
    "\n"
    "`config.yaml` in the node's folder (`--dir DIR`, else `$PEERGATE_DIR`, else `~/.config/peergate`, for root\n"
    "`/etc/peergate`). `peergate config check` says what is wrong with it, by line, and prints what holds.\n"
    "\n"
    "- Relative paths start from the folder that the file is in; `~/` is the home folder.\n"
    "- Where a list is expected, one value will do: `endpoint: a:1` is `endpoint: [a:1]`.\n"
    "- A duration is a number of seconds, or numbers with units: `20`, `20s`, `1m30s`, `500ms`, `2h`, `1d`.\n"
    "- A size is a number of bytes, or one with a unit: `64MB` (a million bytes each), `64MiB` (1024 * 1024 each).\n"
    "- A name is made of 1 to 63 letters, digits, `-` and `_`. A key is 32 bytes in base64 (44 characters).\n"
    "- A rule is `HOST`, `*.DOMAIN`, `IP`, `IP/BITS` or `*` (all), with `:PORT` or `:FROM-TO` behind it if only that is meant.\n"
    "- A key without a value (`peers:` and nothing behind it) is a key that is not there.\n"
    "- After `peergate reload` a value holds at once (`now`), for what begins from then on (`later`: connections, handshakes, attempts), or after a\n"
    "  `restart` only: the reload then names the key, and the old value stays in force until the restart.\n"
    "- The file may have at most 1 MiB. With a secret in it, only its owner may read it (`chmod 600`).\n"
    "\n"
    "The smallest useful one:\n"
    "\n"
    "```yaml\n"
    "hostname: home\n"
    "network: demo\n"
    "port: 7001                       # UDP, IPv4 and IPv6\n"
    "peers:\n"
    "  - name: laptop\n"
    "    peer_id: 12D3KooW...         # or public_key: base64\n"
    "    endpoint: 127.0.0.1:7002\n"
    "services:\n"
    "  web: {enabled: true, local_address: \"127.0.0.1:8000\"}\n"
    "socks: {listen: \"127.0.0.1:1080\"}\n"
    "```\n";

static const char peer_up[] =
    "\n## Files of peer-up\n"
    "\n"
    "A peer-up configuration loads as it is. `peergate config check` prints what it became, and notes what has no equivalent.\n"
    "\n"
    "| there | here |\n"
    "|---|---|\n"
    "| `identity.key_file` | `identity`. The key file itself is read too. Empty: `identity.key`, with a note |\n"
    "| `network.listen_addresses` | `listen` and `port`, from the UDP multiaddrs (`/ip4/0.0.0.0/udp/9100/quic-v1`), which must have one port. TCP ones: "
    "not listened on, with a note |\n"
    "| `security.authorized_keys_file`, `services.NAME.enabled`, `.local_address`, `.authorized_keys`, `federation.peers[]` | the same keys |\n"
    "| `names` | the same key |\n"
    "| `security.enable_connection_gating` | always on; a note where it says `false` |\n"
    "| `services.NAME.protocol` that begins with `/` | not used, with a note: a service goes by its name |\n"
    "| `relay`, `discovery`, `resources`, `health` | not used, with a note |\n"
    "| `version`, `protocols`, `network.force_private_reachability` | not used |\n"
    "\n"
    "What would let more people in if it were left out, as `services.NAME.allowed_peers`, is an error like every unknown key.\n";

static const char *const type_words[GW_TYPE_COUNT] = {
    [GW_TYPE_TEXT] = "text",
    [GW_TYPE_LABEL] = "name",
    [GW_TYPE_PATH] = "path",
    [GW_TYPE_INT] = "number",
    [GW_TYPE_BOOL] = "true or false",
    [GW_TYPE_DURATION] = "duration",
    [GW_TYPE_BYTES] = "size",
    [GW_TYPE_MODE] = "file mode",
    [GW_TYPE_ENUM] = "one of",
    [GW_TYPE_HOSTPORT] = "HOST:PORT",
    [GW_TYPE_SOCKET] = "HOST:PORT or unix:PATH",
    [GW_TYPE_IP] = "IP address",
    [GW_TYPE_PREFIX] = "IP prefix",
    [GW_TYPE_ADDRESS] = "IP address/bits",
    [GW_TYPE_RULE] = "rule",
    [GW_TYPE_KEY] = "base64 key",
    [GW_TYPE_SECRET] = "base64 secret",
    [GW_TYPE_PEER_ID] = "peer ID",
};

static void print_choices(FILE *out, const struct gw_key *key)
{
    for (const struct gw_choice *choice = key->choices; choice->word; choice++)
        fprintf(out, "%s`%s`", choice == key->choices ? "" : ", ", choice->word);
}

static void print_range(FILE *out, const struct gw_key *key)
{
    struct gw_key plain = *key;
    char low[GW_VALUE_STRLEN], high[GW_VALUE_STRLEN];
    gw_value_format(&plain, &key->min, low);
    gw_value_format(&plain, &key->max, high);
    fprintf(out, ", %s to %s", low, high);
    for (const struct gw_choice *choice = key->choices; choice && choice->word; choice++)
        fprintf(out, " or `%s`", choice->word);
}

static void print_type(FILE *out, const struct gw_key *key)
{
    if (key->type == GW_TYPE_ENUM)
        print_choices(out, key);
    else
        fputs(type_words[key->type], out);
    if (key->type == GW_TYPE_INT || key->type == GW_TYPE_DURATION || key->type == GW_TYPE_BYTES)
        print_range(out, key);
    if (key->type == GW_TYPE_TEXT)
        fprintf(out, ", at most %lld bytes", (long long)key->max);
    if (key->shape == GW_LIST)
        fprintf(out, ", or a list of at most %zu", key->max_count);
}

static void print_fallback(FILE *out, const struct gw_key *key)
{
    if (key->fallback_doc)
        fputs(key->fallback_doc, out);
    else if (key->fallback)
        fprintf(out, "`%s`", key->fallback);
}

static const char *const reload_words[] = {
    [GW_RELOAD_UNSAID] = "",
    [GW_RELOAD_NOW] = "now",
    [GW_RELOAD_LATER] = "later",
    [GW_RELOAD_RESTART] = "restart",
    [GW_RELOAD_DEPENDS] = "now, or restart",
    [GW_RELOAD_NOTHING] = "-",
};

static void print_row(FILE *out, const char *path, const struct gw_key *key)
{
    fprintf(out, "| `%s%s` | ", path, key->name);
    print_type(out, key);
    fputs(" | ", out);
    print_fallback(out, key);
    fprintf(out, " | %s | %s |\n", reload_words[key->reload], key->doc);
}

static bool is_named_key(const struct gw_section *section, const struct gw_key *key)
{
    return section->named_key && strcmp(section->named_key, key->name) == 0;
}

static void print_rows(FILE *out, const char *path, const struct gw_section *section)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (key->shape == GW_INLINE)
            print_rows(out, path, key->section);
        else if (key->type != GW_TYPE_SECTION && !is_named_key(section, key))
            print_row(out, path, key);
    }
}

static void print_section(FILE *out, const char *path, const struct gw_key *parent,
                          const struct gw_section *section);

/* "`a`, `b.c`" of those that are `further`; of all with GW_FURTHER_SAME. */
static void print_names(FILE *out, const char *path, const struct gw_section *section,
                        enum gw_further further, bool *is_first)
{
    char inner[PATH_LEN];
    for (const struct gw_key *key = section->keys; key->name; key++) {
        bool is_section = key->type == GW_TYPE_SECTION && key->shape == GW_ONE;
        snprintf(inner, sizeof inner, "%s%s%s", path, key->name, is_section ? "." : "");
        if (is_section && further != GW_FURTHER_SAME) {
            print_names(out, inner, key->section, further, is_first);
        } else if (further == GW_FURTHER_SAME || key->further == further) {
            fprintf(out, "%s`%s%s`", *is_first ? "" : ", ", path, key->name);
            *is_first = false;
        }
    }
}

/* A list of what the top level is as well: its keys were told there. */
static void print_further(FILE *out, const struct gw_key *key)
{
    bool is_first = true;
    fprintf(out, "\n## `%s[]`\n\n%s\n\nIts keys are those of the top level: ", key->name, key->doc);
    print_names(out, "", key->section, GW_FURTHER_SAME, &is_first);
    is_first = true;
    fputs(".\nWhere it does not say them, these are as the top level says them: ", out);
    print_names(out, "", key->section, GW_FURTHER_COMMON, &is_first);
    fputs(
        ".\n`network` must be given. Its files are in `networks/NETWORK/`: `identity.key` and "
        "`authorized_keys`, unless `identity` and\n`security.authorized_keys_file` say otherwise, "
        "`names.yaml`, and `state`.\n"
        "Through the TUN, what peers of two networks have (equal `allowed_ips`, the IPv6 address of one key in both) "
        "leads to the first network's.\n"
        "\n"
        "```yaml\n"
        "network: home\n"
        "port: 7001\n"
        "peers: [{name: laptop, peer_id: 12D3KooW..., endpoint: \"laptop.example.org:7001\"}]\n"
        "networks:\n"
        "  - network: work                # `peergate init --network work` makes its identity\n"
        "    port: 7002\n"
        "    peers: [{name: build, peer_id: 12D3KooW..., endpoint: \"build.example.org:7001\"}]\n"
        "    services: {ssh: {local_address: \"127.0.0.1:22\"}}\n"
        "```\n",
        out);
}

/* Do its keys stand in the section around it too? */
static bool is_inlined(const struct gw_section *around, const struct gw_section *section)
{
    for (const struct gw_key *key = around->keys; key->name; key++) {
        if (key->shape == GW_INLINE && key->section == section)
            return true;
    }
    return false;
}

static void print_subsections(FILE *out, const char *path, const struct gw_section *section)
{
    char inner[PATH_LEN];
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (key->type != GW_TYPE_SECTION)
            continue;
        if (key->shape == GW_INLINE) {
            print_subsections(out, path, key->section);
            continue;
        }
        if (is_inlined(section, key->section)) {
            print_further(out, key);
            continue;
        }
        const char *suffix = key->shape == GW_LIST ? "[]" : key->shape == GW_NAMED ? ".NAME" : "";
        snprintf(inner, sizeof inner, "%s%s%s.", path, key->name, suffix);
        print_section(out, inner, key, key->section);
    }
}

static bool has_values(const struct gw_section *section)
{
    for (const struct gw_key *key = section->keys; key->name; key++) {
        if (key->type != GW_TYPE_SECTION)
            return true;
    }
    return false;
}

static void print_section(FILE *out, const char *path, const struct gw_key *parent,
                          const struct gw_section *section)
{
    if (has_values(section)) {
        if (parent)
            fprintf(out, "\n## `%.*s`\n", (int)strlen(path) - 1, path);
        else
            fputs("\n## The node\n", out);
        if (parent && parent->doc)
            fprintf(out, "\n%s\n", parent->doc);
        fputs("\n| key | type | default | reload | |\n|---|---|---|---|---|\n", out);
        print_rows(out, path, section);
    }
    print_subsections(out, path, section);
}

void gw_config_print_reference(FILE *out)
{
    fputs(intro, out);
    print_section(out, "", NULL, &gw_schema);
    fputs(peer_up, out);
}
