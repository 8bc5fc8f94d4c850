/*
 * golden_blocks.h - reads tests/golden/blocks.bin (layout: tools/golden/make_blocks.py).
 */
#ifndef TESTS_GOLDEN_BLOCKS_H
#define TESTS_GOLDEN_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct golden_record {
    const uint8_t *input, *expected; /* views into a file mapped until the program ends */
    size_t input_size, expected_size;
};

/* Fails the running test when the file or the record is missing. */
struct golden_record golden_blocks(const char *name);

#endif
