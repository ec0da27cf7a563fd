/* SPDX-License-Identifier: MIT */
/* A packet through the box of tests/tools/natbox.c: one byte chooses its kind and the packet's direction, the rest is the packet. What comes out
 * is a packet again, with the checksum right if it was right before. */
#include "tests/nat/rewrite.h"
#include "tests/tools/natbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct natbox box = {.inside_count = 1, .insides[0] = {.ip_count = 1}};
    if (size < 1)
        return 0;
    enum nat_kind kind = (enum nat_kind)(data[0] % NAT_KIND_COUNT);
    struct natbox_options options = {.kind = nat_kind_name(kind), .public = "11.0.0.1", .with_v6 = true};
    uint8_t *packet = malloc(size);
    if (!packet || natbox_set_up(&box, &options))
        abort();
    memcpy(packet, data + 1, size - 1);
    struct nat_view before, after;
    bool is_read = nat_read(&before, packet, size - 1);
    bool was_right = is_read && gw_checksum_is_right(packet, &before.ip);
    unsigned side =
        natbox_carry(&box, (struct gw_mono){GW_S(1)}, data[0] & 0x80 ? NATBOX_OUTSIDE : 0, packet, size - 1);
    assert(is_read || side == NATBOX_NOWHERE);
    if (side != NATBOX_NOWHERE) {
        assert(nat_read(&after, packet, size - 1));
        assert(!was_right || gw_checksum_is_right(packet, &after.ip));
    }
    natbox_fini(&box);
    free(packet);
    return 0;
}
