/*
 * fuzz_stated.c - what a model may write about its own confidence: found or missing, it is a probability or left alone.
 */
#include <stdint.h>
#include <stdlib.h>

#include "abstain/stated.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
    if (!promise)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {NULL, "Probability", "Confidence", "P1"};
    const char *text = (const char *)data;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        double p = -1, q = -1;
        const bool number = stated_probability(text, size, keys[k], &p);
        const bool words = stated_expression(text, size, keys[k], &q);
        require(number ? p >= 0 && p <= 1 : p == -1);
        require(words ? q >= 0 && q <= 1 : q == -1);
        require(number || !words);
    }
    return 0;
}
