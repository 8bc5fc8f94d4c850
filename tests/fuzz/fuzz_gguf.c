/*
 * fuzz_gguf.c - any bytes as a GGUF file: read or refused, never a crash; and what was read can be looked at.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "model/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_keys(const struct gguf *g)
{
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < gguf_key_count(g); i++) {
        size_t n;
        const char *name = gguf_key_name(g, i, &n);
        buffer_clear(&text);
        buffer_add(&text, name, n);
        gguf_value_text(g, i, &text);
        buffer_clear(&text);
        buffer_add(&text, name, n);
        struct gguf_array a;
        if (!gguf_get_array(g, buffer_string(&text), &a))
            continue;
        for (size_t j = 0; j < a.count; j++) {
            double d;
            if (a.strings)
                buffer_add(&text, a.strings[j].s, a.strings[j].n);
            else
                gguf_array_number(&a, j, &d);
        }
    }
    buffer_free(&text);
}

static void look_at_tensors(struct gguf *g)
{
    enum { COLUMNS_MOST = 1 << 16 };
    static float row[COLUMNS_MOST];
    const struct tensors *t = gguf_tensors(g);
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        const size_t columns = x->rank > 0 ? x->shape[x->rank - 1] : 1;
        char text[128];
        tensor_shape_text(x, text);
        if (tensors_find(t, x->name) != x)
            abort();
        if (columns == 0 || columns > COLUMNS_MOST || x->elements == 0 || !dtype_is_float(x->type))
            continue;
        if (tensor_read_rows(x, x->elements / columns - 1, 1, row, NULL) != PLUMB_OK)
            abort(); /* a tensor that was let in can be read to its last row */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf *g = NULL;
    struct plumb_error e = {0};
    const int status = gguf_read(data, size, "input", &g, &e);
    if (status != PLUMB_OK) {
        if (g || e.code != status || e.message[0] == '\0')
            abort();
        return 0;
    }
    look_at_keys(g);
    look_at_tensors(g);
    gguf_close(g);
    return 0;
}
