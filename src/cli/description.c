/*
 * description.c - lines of name and value, or the members of one JSON object. Knows no model and no
 * trace.
 */
#include "cli/description.h"

#include <math.h>
#include <string.h>

void description_text(struct description *d, const char *name, const char *key, const char *value)
{
    struct buffer shown = BUFFER_EMPTY;
    if (d->json) {
        result_text(d->json, key, value);
        return;
    }
    output_visible(&shown, value, strlen(value));
    table_cell(d->lines, "%s", name);
    table_cell(d->lines, "%s", buffer_string(&shown));
    buffer_free(&shown);
}

/* A number, with what people read as `text` (null: the number itself). */
void description_number(struct description *d, const char *name, const char *key, double value,
                        const char *text)
{
    if (d->json) {
        if (value == floor(value) && fabs(value) < 9e15)
            result_integer(d->json, key, (int64_t)value);
        else
            result_double(d->json, key, value);
        return;
    }
    table_cell(d->lines, "%s", name);
    if (text)
        table_cell(d->lines, "%s", text);
    else
        table_cell(d->lines, "%.6g", value);
}

/* "BF16 290, F32 61": how many tensors of each type. */
void description_types(struct description *d, const struct tensors *t)
{
    size_t counts[DTYPE_COUNT] = {0}, bytes = 0;
    char size[32], count[32];
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < t->count; i++) {
        counts[t->items[i].type]++;
        bytes += t->items[i].bytes;
    }
    for (int type = 0; type < DTYPE_COUNT; type++)
        if (counts[type])
            buffer_printf(&text, "%s%s %zu", text.size ? ", " : "", dtype_name(type), counts[type]);
    description_number(d, "tensors", "tensor_count", (double)t->count,
                       human_grouped(t->count, count));
    description_text(d, "tensor types", "tensor_types", buffer_string(&text));
    description_number(d, "tensor bytes", "tensor_bytes", (double)bytes, human_size(bytes, size));
    buffer_free(&text);
}

void description_tensors(struct description *d, const struct tensors *t)
{
    char shape[128], size[32];
    if (d->json) {
        json_write_key(&d->json->json, "tensors");
        json_write_array(&d->json->json);
    } else {
        d->lines = table_create("lllr");
        table_cell(d->lines, "tensor");
        table_cell(d->lines, "type");
        table_cell(d->lines, "shape");
        table_cell(d->lines, "size");
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        tensor_shape_text(x, shape);
        if (d->json) {
            json_write_object(&d->json->json);
            result_text(d->json, "name", x->name);
            result_text(d->json, "type", dtype_name(x->type));
            json_write_key(&d->json->json, "shape");
            json_write_array(&d->json->json);
            for (int k = 0; k < x->rank; k++)
                json_write_integer(&d->json->json, (int64_t)x->shape[k]);
            json_write_end(&d->json->json, ']');
            result_integer(d->json, "bytes", (int64_t)x->bytes);
            json_write_end(&d->json->json, '}');
            continue;
        }
        struct buffer name = BUFFER_EMPTY;
        output_visible(&name, x->name, strlen(x->name));
        table_cell(d->lines, "%s", buffer_string(&name));
        table_cell(d->lines, "%s", dtype_name(x->type));
        table_cell(d->lines, "%s", shape);
        table_cell(d->lines, "%s", human_size(x->bytes, size));
        buffer_free(&name);
    }
    if (d->json)
        json_write_end(&d->json->json, ']');
}

/* One section ends: lines are printed, and a blank line parts them from the next. */
bool description_section(struct description *d, bool more)
{
    if (d->json)
        return true;
    bool good = table_print(d->lines, stdout);
    d->lines = NULL;
    if (more)
        putchar('\n');
    return good;
}

struct description description_start(struct result *json, const char *kind)
{
    struct description d = {.json = json};
    if (json)
        json_write_object(&json->json);
    else
        d.lines = table_create("ll");
    description_text(&d, "kind", "kind", kind);
    return d;
}

int description_finish(struct description *d, bool good)
{
    if (!d->json)
        return good ? PLUMB_OK : PLUMB_MACHINE;
    json_write_end(&d->json->json, '}');
    return result_print(d->json);
}
