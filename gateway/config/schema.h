/* SPDX-License-Identifier: MIT */
/* Which keys config.yaml has: each once, with its type, range, unit, default and one line of
 * documentation. The loader (load.c), the printer of the effective configuration (print.c) and the
 * reference (reference.c) all follow these tables. */
#ifndef GATEWAY_CONFIG_SCHEMA_H
#define GATEWAY_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_type {
    GW_TYPE_TEXT,  /* char *; min..max bytes */
    GW_TYPE_LABEL, /* char *; a name that may be part of a host name, lower case */
    GW_TYPE_PATH,  /* char *; made absolute */
    GW_TYPE_INT,   /* int64_t; min..max, or one of the choices, if there are any, whose values are beyond */
    GW_TYPE_BOOL,  /* bool */
    GW_TYPE_DURATION, /* int64_t nanoseconds; min..max */
    GW_TYPE_BYTES,    /* int64_t; min..max */
    GW_TYPE_MODE,     /* int64_t; octal file mode */
    GW_TYPE_ENUM,     /* int; choices */
    GW_TYPE_HOSTPORT, /* struct gw_config_endpoint; the port min..max */
    GW_TYPE_SOCKET,   /* struct gw_config_endpoint; host:port or unix:PATH; the port min..max */
    GW_TYPE_IP,       /* struct gw_addr */
    GW_TYPE_PREFIX,   /* struct gw_prefix; bits of the host are cleared */
    GW_TYPE_ADDRESS,  /* struct gw_prefix; an address with the length of its network */
    GW_TYPE_RULE,     /* struct gw_rule */
    GW_TYPE_KEY,      /* struct gw_config_key; public */
    GW_TYPE_SECRET,   /* struct gw_config_key; private or shared */
    GW_TYPE_PEER_ID,  /* struct gw_config_peer_id */
    GW_TYPE_SECTION,  /* a mapping with keys of its own */
    GW_TYPE_COUNT
};

enum gw_shape {
    GW_ONE,
    GW_LIST,  /* GW_CONFIG_LIST; one value may stand for a list of it. At most max_count */
    GW_NAMED, /* of GW_TYPE_SECTION: GW_CONFIG_LIST, written as a mapping from names to sections */
    GW_INLINE, /* of GW_TYPE_SECTION: its keys stand among those of the section around it; a struct at offset */
};

enum gw_inherits {
    GW_INHERITS_NOTHING,
    GW_INHERITS_OWN,   /* of the struct that the key itself is in */
    GW_INHERITS_OUTER, /* of the struct around the list */
};

/* Of a key that stands at the top level and in each of `networks`: what its default is in these. */
enum gw_further {
    GW_FURTHER_SAME,   /* the one that it has at the top level */
    GW_FURTHER_COMMON, /* what the top level says: it need not belong to a network there */
    GW_FURTHER_OWN,    /* follows from the network's name: left unset for check_network.c */
};

/* What a running daemon does with another value in a file that is read again. Each row says it; only what stands for keys of its own in the same struct need not. */
enum gw_reload {
    GW_RELOAD_UNSAID,
    GW_RELOAD_NOW,     /* it holds at once */
    GW_RELOAD_LATER,   /* it holds for what begins from then on: a connection, a handshake, an attempt */
    GW_RELOAD_RESTART, /* it is said that it takes a restart (keep.h); until then the old one is in force. Not in lists of sections, whose items come and go */
    GW_RELOAD_DEPENDS, /* at once where that can be, else the daemon says that it takes a restart */
    GW_RELOAD_NOTHING, /* nobody acts on it */
};

struct gw_choice {
    const char *word;
    int value;
};

struct gw_section;

struct gw_key {
    const char *name;
    enum gw_type type;
    enum gw_shape shape;
    size_t offset;  /* in its section's struct */
    bool is_secret; /* never printed; the file must be readable by its owner only */
    bool is_required;
    int64_t min, max;
    size_t max_count;
    const char *fallback;      /* as it would be written; of a list: words apart by ", "; NULL = none */
    const char *fallback_doc;  /* what to say of a default that is no constant; NULL: fallback is said */
    enum gw_inherits inherits; /* its default is the value at inherits_offset there */
    size_t inherits_offset;
    enum gw_further further;
    enum gw_reload reload;
    const struct gw_choice *choices; /* ends with word NULL */
    const struct gw_section *section;
    const char *doc; /* one line, full stop */
};

struct gw_section {
    const struct gw_key *keys; /* ends with name NULL */
    size_t size;               /* of the struct; for lists and GW_INLINE */
    const char *doc;           /* a paragraph for the reference, or NULL */
    /* For sections in lists: */
    bool has_line;
    size_t line_offset;    /* unsigned line */
    const char *named_key; /* of GW_NAMED: the key that the name is stored in */
    const char *short_key; /* a plain value instead of the mapping is this key's value; NULL = none */
    const char *either[2]; /* one of these two keys must be there; NULL = no such rule */
};

extern const struct gw_section gw_schema;

/* A list as the tables see it: every GW_CONFIG_LIST has this shape. */
struct gw_any_list {
    char *items;
    size_t count;
};

/* The bytes that one value takes in its struct. */
size_t gw_type_size(const struct gw_key *key);
/* NULL when the section has no such key, among its GW_INLINE ones either. */
const struct gw_key *gw_section_find(const struct gw_section *section, const char *name);

#endif
