/*
 * golden_blocks.c - reads tests/golden/blocks.bin.
 */
#include "golden_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static struct file_map map;

static void open_once(void)
{
    if (map.size > 0)
        return;
    const char *folder = getenv("PLUMB_TEST_GOLDEN");
    assert_non_null(folder);
    char *path = file_join(folder, "blocks.bin");
    struct plumb_error e;
    if (file_map_open(path, &map, &e) != PLUMB_OK)
        fail_msg("%s", e.message);
    mem_free(path);
}

struct golden_record golden_blocks(const char *name)
{
    open_once();
    for (size_t at = 0; at + 16 <= map.size;) {
        uint32_t size[2];
        memcpy(size, map.data + at + 8, sizeof size);
        const uint8_t *input = map.data + at + 16;
        if (strncmp((const char *)map.data + at, name, 8) == 0)
            return (struct golden_record){input, input + size[0], size[0], size[1]};
        at += 16 + (size_t)size[0] + size[1];
    }
    fail_msg("blocks.bin has no record %s", name);
    return (struct golden_record){0};
}
