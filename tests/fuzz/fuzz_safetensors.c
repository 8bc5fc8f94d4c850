/*
 * fuzz_safetensors.c - any bytes as a safetensors file: read or refused, never a crash; and what was read covers the file.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct tensors *t, const uint8_t *data, size_t size)
{
    enum { COLUMNS_MOST = 1 << 16 };
    static float row[COLUMNS_MOST];
    size_t total = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        const size_t columns = x->rank > 0 ? x->shape[x->rank - 1] : 1;
        char text[128];
        tensor_shape_text(x, text);
        if (tensors_find(t, x->name) != x || x->data < data || x->data + x->bytes > data + size)
            abort();
        total += x->bytes;
        if (columns == 0 || columns > COLUMNS_MOST || x->elements == 0 || !dtype_is_float(x->type))
            continue;
        if (tensor_read_rows(x, x->elements / columns - 1, 1, row, NULL) != PLUMB_OK)
            abort(); /* a tensor that was let in can be read to its last row */
    }
    if (t->count > 0 && t->items[0].data + total != data + size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensors t;
    struct plumb_error e = {0};
    char *metadata = NULL;
    if (tensors_init(&t, &e) != PLUMB_OK)
        return 0;
    const int status = safetensors_read(data, size, "input", &t, &metadata, &e);
    if (status == PLUMB_OK)
        look_at(&t, data, size);
    else if (metadata || e.code != status || e.message[0] == '\0')
        abort();
    mem_free(metadata);
    tensors_close(&t);
    return 0;
}
