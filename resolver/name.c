/* SPDX-License-Identifier: MIT */
#include "resolver/name.h"

#include "gateway/base/err.h"
#include "gateway/wire/peer_id.h"

#include <string.h>

/* Shorter labels are no peer ID and need no base58 arithmetic. */
#define PEER_ID_MIN 46u

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

void gw_dns_lower(char *text)
{
    for (; *text; text++)
        *text = lower(*text);
}

bool gw_dns_label_equal(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

bool gw_dns_label_is_valid(const char *label, size_t len)
{
    if (len == 0 || len > GW_DNS_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = lower(label[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* Peer IDs in base58 mean their case, so the label is read as it was written. */
static bool read_peer_id(struct gw_dns_name *out, const char *label, size_t len)
{
    char text[GW_DNS_LABEL_MAX + 1];
    if (len < PEER_ID_MIN || len > GW_DNS_LABEL_MAX)
        return false;
    memcpy(text, label, len);
    text[len] = '\0';
    return gw_peer_id_parse(out->ed25519, text) == 0;
}

/* Cuts text[0..len) at its dots. */
static int split(struct gw_dns_name *out, const char *text, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '.') {
            out->labels[i] = lower(text[i]);
            continue;
        }
        out->labels[i] = '\0';
        if (!gw_dns_label_is_valid(text + start, i - start))
            return GW_E_MALFORMED;
        if (out->count < GW_DNS_LABELS_MAX)
            out->label[out->count] = out->labels + start;
        out->count++;
        start = i + 1;
    }
    return 0;
}

static bool ends_in_p2p(const char *text, size_t len)
{
    return len > 4 && text[len - 4] == '.' && lower(text[len - 3]) == 'p' && text[len - 2] == '2' &&
           lower(text[len - 1]) == 'p';
}

int gw_dns_name_parse(struct gw_dns_name *out, const char *text)
{
    size_t len = strnlen(text, GW_DNS_NAME_MAX + 2);
    *out = (struct gw_dns_name){0};
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len > GW_DNS_NAME_MAX)
        return GW_E_MALFORMED;
    out->has_p2p = ends_in_p2p(text, len);
    if (out->has_p2p)
        len -= 4;
    int err = split(out, text, len);
    if (err)
        return err;
    size_t last = len;
    while (last > 0 && text[last - 1] != '.')
        last--;
    out->has_peer_id = read_peer_id(out, text + last, len - last);
    return 0;
}
