/*
 * fuzz_pair.c - the table of a pair's recorded logits: what is taken must be a pair that every calibrator can read.
 */
#include <stdint.h>
#include <stdlib.h>

#include "calibrate/pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plumb_error e = {0};
    struct pair p;
    if (pair_parse_csv((const char *)data, size, "fuzz", &p, &e) != PLUMB_OK) {
        if (!*e.message)
            abort();
        return 0;
    }
    if (p.n == 0 || p.k < 2 || p.k > 26)
        abort();
    for (size_t i = 0; i < p.n; i++) {
        const double *base = pair_row(&p, p.base, i), *post = pair_row(&p, p.post, i);
        if (p.options[i] < 2 || p.options[i] > p.k || p.label[i] < -1 ||
            p.label[i] >= p.options[i] || p.group[i] < 0 || p.group[i] >= p.n_groups)
            abort();
        for (int j = 0; j < p.options[i]; j++)
            if (base[j] != base[j] || post[j] != post[j]) /* NaN */
                abort();
    }
    pair_free(&p);
    return 0;
}
