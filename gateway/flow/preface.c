/* SPDX-License-Identifier: MIT */
#include "gateway/flow/preface.h"

#include "gateway/base/err.h"
#include "gateway/wire/cursor.h"

#include <string.h>

#define KIND_BY_PORT 0x01u
#define KIND_DATAGRAMS 0x02u
#define KIND_KNOWN (KIND_BY_PORT | KIND_DATAGRAMS)

/* Names are shown in logs and looked up in tables: no blanks, no control characters. */
static bool is_name(const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    return len > 0 && len <= GW_SERVICE_NAME_MAX;
}

int gw_preface_encode(uint8_t out[GW_PREFACE_MAX], const struct gw_open *open)
{
    struct gw_writer w = gw_writer_of(out, GW_PREFACE_MAX);
    size_t len = strnlen(open->service, sizeof open->service);
    bool is_by_port = len == 0;
    if (!is_by_port && !is_name((const uint8_t *)open->service, len))
        return GW_E_INVAL;
    if (is_by_port && open->port == 0)
        return GW_E_INVAL;
    if (open->class_ >= GW_CLASS_COUNT)
        return GW_E_INVAL;
    gw_write_u8(&w, (uint8_t)((is_by_port ? KIND_BY_PORT : 0) | (open->is_datagrams ? KIND_DATAGRAMS : 0)));
    gw_write_u8(&w, open->class_);
    if (is_by_port) {
        gw_write_u16_be(&w, open->port);
    } else {
        gw_write_u8(&w, (uint8_t)len);
        gw_write_bytes(&w, open->service, len);
    }
    return gw_writer_ok(&w) ? (int)gw_writer_len(&w) : GW_E_INVAL;
}

int gw_preface_decode(struct gw_open *out, const uint8_t *data, size_t len)
{
    struct gw_reader r = gw_reader_of(data, len);
    struct gw_open open = {0};
    uint8_t kind = gw_read_u8(&r);
    open.class_ = gw_read_u8(&r);
    if (!gw_reader_ok(&r))
        return 0;
    if ((kind & ~KIND_KNOWN) != 0)
        return GW_E_MALFORMED;
    if (open.class_ >= GW_CLASS_COUNT) /* a wish of a later version */
        open.class_ = GW_CLASS_NORMAL;
    open.is_datagrams = (kind & KIND_DATAGRAMS) != 0;
    if ((kind & KIND_BY_PORT) != 0) {
        open.port = gw_read_u16_be(&r);
        if (!gw_reader_ok(&r))
            return 0;
        if (open.port == 0)
            return GW_E_MALFORMED;
    } else {
        size_t name_len = gw_read_u8(&r);
        if (!gw_reader_ok(&r))
            return 0;
        if (name_len == 0 || name_len > GW_SERVICE_NAME_MAX)
            return GW_E_MALFORMED;
        struct gw_view name = gw_read_view(&r, name_len);
        if (!gw_reader_ok(&r))
            return 0;
        if (!is_name(name.data, name.len))
            return GW_E_MALFORMED;
        memcpy(open.service, name.data, name.len);
    }
    *out = open;
    return (int)(len - gw_reader_left(&r));
}
