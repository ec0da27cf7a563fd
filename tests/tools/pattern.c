/* SPDX-License-Identifier: MIT */
#include "tests/tools/pattern.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/tools/tool.h"

/* An odd length: no power of two, no multiple of an MSS, so a piece that is off by either shows. */
enum { PERIOD = 1048573 };

static int pattern_fd = -1;
static uint8_t *pattern_bytes;

void pattern_init(void)
{
    uint32_t x = 1;

    pattern_fd = memfd_create("pattern", MFD_CLOEXEC);
    if (pattern_fd < 0 || ftruncate(pattern_fd, PERIOD))
        tool_die("memfd_create");
    pattern_bytes = mmap(NULL, PERIOD, PROT_READ | PROT_WRITE, MAP_SHARED, pattern_fd, 0);
    if (pattern_bytes == MAP_FAILED)
        tool_die("mmap");
    for (size_t i = 0; i < PERIOD; i++) {
        x = x * 1664525 + 1013904223;
        pattern_bytes[i] = (uint8_t)(x >> 24);
    }
}

ssize_t pattern_send(int fd, uint64_t offset, uint64_t n)
{
    off_t at = (off_t)(offset % PERIOD);
    uint64_t left = PERIOD - (uint64_t)at;

    return sendfile(fd, pattern_fd, &at, n < left ? n : left);
}

bool pattern_is(const uint8_t *bytes, uint64_t offset, size_t n)
{
    while (n) {
        size_t at = (size_t)(offset % PERIOD);
        size_t part = n < PERIOD - at ? n : PERIOD - at;

        if (memcmp(bytes, pattern_bytes + at, part) != 0)
            return false;
        bytes += part;
        offset += part;
        n -= part;
    }
    return true;
}
