/* SPDX-License-Identifier: MIT */
/* CONTROL messages of a peer: what decodes is within its bounds, and encodes into a message again. */
#include "gateway/wire/control.pb.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const peergate_ServicesReply *reply)
{
    if (reply->entries_count > sizeof reply->entries / sizeof *reply->entries)
        abort();
    for (size_t i = 0; i < reply->entries_count; i++) {
        if (!memchr(reply->entries[i].name, '\0', sizeof reply->entries[i].name))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    peergate_Control message = peergate_Control_init_zero;
    static uint8_t again[4096]; /* numbers may be written longer than they came */
    pb_istream_t in = pb_istream_from_buffer(data, size);
    if (!pb_decode(&in, peergate_Control_fields, &message))
        return 0;
    if (message.which_body == peergate_Control_services_reply_tag)
        check_reply(&message.body.services_reply);
    pb_ostream_t out = pb_ostream_from_buffer(again, sizeof again);
    if (!pb_encode(&out, peergate_Control_fields, &message))
        abort();
    return 0;
}
