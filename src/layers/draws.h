/*
 * draws.h - which questions each bootstrap resample holds: the same for every layer and every model, so that differences
 * between layers and between models have intervals too.
 *
 * Paired bootstrap over questions (Efron and Tibshirani 1993). Draw d takes stream d of the seed, whatever the threads.
 */
#ifndef LAYERS_DRAWS_H
#define LAYERS_DRAWS_H

#include <stddef.h>
#include <stdint.h>

enum {
    DRAWS_BLOCK = 64
}; /* draws made at once: they stay in the cache while layer after layer reads them */

/* times[d, i]: how often draw first + d holds row i; n draws with replacement each. times: [count, n]. n at most
   UINT32_MAX; a row that is held more than UINT16_MAX times cannot happen by chance and is cut off there. */
void draws_fill(uint64_t seed, size_t first, size_t count, size_t n, int threads, uint16_t *times);

#endif
