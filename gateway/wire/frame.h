/* SPDX-License-Identifier: MIT */
/* What travels inside a session. The first nibble of an opened packet tells: 4 and 6 an IP packet, 2 an IP
 * packet of ours without L4 checksum, first byte 0x10 a sequence of frames `type varint | length varint |
 * body`; type 0 is padding to the end. An unknown frame is skipped by its length. Diagrams: docs/PROTOCOL.md,
 * "Inside a session: frames". */
#ifndef GATEWAY_WIRE_FRAME_H
#define GATEWAY_WIRE_FRAME_H

#include "gateway/wire/cursor.h"

#define GW_INNER_FRAMES 0x10u /* first byte of a packet of frames */
#define GW_INNER_PARTIAL_V4 \
    2u /* first nibbles of IPv4 and IPv6 packets whose layer-4 checksum is not filled in */
#define GW_INNER_PARTIAL_V6 3u

enum gw_frame_type {
    GW_FRAME_PADDING = 0x00,
    GW_FRAME_HELLO = 0x01,
    GW_FRAME_CONTROL = 0x02,
    GW_FRAME_NUMBER = 0x03, /* the flow packet number; first of a packet's flow frames (ack-eliciting) */
    GW_FRAME_STREAM = 0x04,
    GW_FRAME_DATAGRAM = 0x05,
    GW_FRAME_ACK = 0x06,
    GW_FRAME_MAX_DATA = 0x07,
    GW_FRAME_MAX_STREAM_DATA = 0x08,
    GW_FRAME_MAX_STREAMS = 0x09,
    GW_FRAME_BLOCKED = 0x0a,
    GW_FRAME_RESET = 0x0b,
    GW_FRAME_STOP = 0x0c,
    GW_FRAME_PING = 0x0d,
    GW_FRAME_PATH_CHALLENGE = 0x0e,
    GW_FRAME_PATH_RESPONSE = 0x0f,
    GW_FRAME_FRAG = 0x10, /* an IP packet cut in two */
    GW_FRAME_DISMISS =
        0x11, /* the receiver may have no session with the sender, who has forgotten this one */
    GW_FRAME_GOODBYE = 0x12, /* the sender ends, and forgets the session */
};

struct gw_frame {
    uint64_t type;
    struct gw_view body;
};

/* The next frame, its body lent; false at the end, at padding, or when malformed (gw_reader_ok is false). */
bool gw_frame_next(struct gw_reader *r, struct gw_frame *out);
/* Writes type and a 2-byte length to be filled; returns a writer limited to `max_body` bytes of body within w
 * (or what is left, or the 16383 that the length can say). Nothing else may be written to w before
 * gw_frame_finish. A frame that does not fit fails w: who wants to go on without it keeps a copy of w from
 * before gw_frame_begin and puts that back. */
struct gw_writer gw_frame_begin(struct gw_writer *w, enum gw_frame_type type, size_t max_body);
/* Closes what gw_frame_begin opened: fills the length, advances w behind the body; a failed body fails w. */
void gw_frame_finish(struct gw_writer *w, struct gw_writer *body);

/* HELLO (<= GW_HELLO_MAX bytes of body). See docs/PROTOCOL.md "HELLO". */
#define GW_HELLO_MAX 400u
#define GW_HELLO_VERSION 1u
#define GW_HELLO_NAME_MAX 63u
#define GW_HELLO_ADDRS_MAX 4u
enum {
    GW_HELLO_ELICIT = 1,       /* answer me with a HELLO */
    GW_HELLO_IDENTITY = 2,     /* identity proof present */
    GW_HELLO_DEMANDS_SEAL = 4, /* the sender neither sends nor takes data on type 4 */
};
enum {
    GW_CAP_FLOWS = 1,
    GW_CAP_PARTIAL_CSUM = 2,
    GW_CAP_FRAG = 4,
    GW_CAP_RELAY = 8 /* it relays between its peers */
};
struct gw_hello {
    uint8_t version, flags, seq, ack;
    uint8_t suites;
    uint64_t instance;     /* random; another one when the sender has forgotten its flows */
    uint64_t to_instance;  /* of the receiver: the one that the sender's flows are bound to, 0 = none yet */
    uint64_t capabilities; /* varint */
    uint16_t mtu;          /* largest UDP payload I can take */
    char name[GW_HELLO_NAME_MAX + 1]; /* display only; sanitised by decode: printable ASCII, else '?' */
    unsigned addr_count;
    struct {
        uint8_t family;
        uint8_t ip[16];
    } addrs[GW_HELLO_ADDRS_MAX];        /* own virtual addresses */
    uint8_t ed25519[32], signature[64]; /* when GW_HELLO_IDENTITY */
};
/* 0 or GW_E_MALFORMED. Bytes behind the known fields are ignored (later versions). */
int gw_hello_decode(struct gw_hello *out, struct gw_view body);
/* The body: between gw_frame_begin and gw_frame_finish. The longest is shorter than GW_HELLO_MAX. */
void gw_hello_encode(struct gw_writer *w, const struct gw_hello *hello);

/* PING with a body (an empty one only asks for an ACK): is_reply, id and an 8-byte payload echoed. */
#define GW_PING_LEN 13u
struct gw_ping {
    bool is_reply;
    uint32_t id;
    uint8_t payload[8];
};
/* 0 or GW_E_MALFORMED. Bytes behind the known fields are ignored. */
int gw_ping_decode(struct gw_ping *out, struct gw_view body);
/* The body: GW_PING_LEN bytes. */
void gw_ping_encode(struct gw_writer *w, const struct gw_ping *ping);

#endif
