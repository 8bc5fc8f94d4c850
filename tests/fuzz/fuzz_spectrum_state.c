/*
 * fuzz_spectrum_state.c - the state from which `plumb spectrum` goes on: whatever is taken holds matrices that can be, and is
 * read again from what is written of it.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "spectrum/spectrum_json.h"

enum { ROOM = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plumb_error e = {0};
    struct spectrum_item items[ROOM], again[ROOM];
    struct buffer text = BUFFER_EMPTY;
    size_t n, m;
    if (spectrum_state_parse((const char *)data, size, "fuzz", "key", items, ROOM, &n, &e)) {
        if (!*e.message)
            abort();
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t r = items[i].rows < items[i].columns ? items[i].rows : items[i].columns;
        if (items[i].triples > r || items[i].energy_count > items[i].triples ||
            items[i].n_ratios > SPECTRUM_RATIO_POINTS || items[i].draws > SPECTRUM_DRAWS_MAX)
            abort();
    }
    spectrum_state_print("key", items, n, &text);
    if (!text.failed) {
        if (spectrum_state_parse(text.data, text.size, "again", "key", again, ROOM, &m, &e) ||
            m != n)
            abort();
        for (size_t i = 0; i < n; i++)
            if (items[i].layer != again[i].layer || items[i].rows != again[i].rows ||
                (!isnan(items[i].change) && items[i].change != again[i].change))
                abort();
    }
    buffer_free(&text);
    return 0;
}
