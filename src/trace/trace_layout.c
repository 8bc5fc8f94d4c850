/*
 * trace_layout.c - from struct trace_header to the first bytes of a file: shapes, offsets, the
 * header's text; and the comparison of two headers.
 *
 * Layout rules: the safetensors format description (huggingface/safetensors, README "Format"). The
 * text is a pure function of struct trace_header, byte for byte, with fixed key order, padded so
 * that the data begin at a multiple of 64 bytes. Knows no file handling. Reading is in
 * trace_header.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "trace/trace_layout.h"

enum { DATA_ALIGNMENT = 64 };

/* ---- shapes
 * --------------------------------------------------------------------------------------------------
 */

static int check_numbers(const struct trace_header *h, const char *what, struct plumb_error *e)
{
    const char *wrong = NULL;
    size_t end;
    if (h->n < 1)
        wrong = "no items";
    else if (h->n_options < 2 || h->n_options > TRACE_MAX_OPTIONS)
        wrong = "an option count outside 2..26";
    else if (h->n_layers < 0 || h->n_layers > TRACE_MAX_LAYERS)
        wrong = "an absurd number of layers";
    else if (h->n_hidden < 0 || h->n_hidden > TRACE_MAX_LAYERS)
        wrong = "an absurd number of hidden layers";
    else if (h->n_hidden && h->hidden_size < 1)
        wrong = "hidden layers without a hidden size";
    else if (h->score != TRACE_SCORE_LETTERS && h->n_layers > 0)
        wrong = "a lens of option letters beside scores of texts";
    else if (h->permutation < 0 || h->permutation >= TRACE_MAX_OPTIONS)
        wrong = "an option order outside 0..25";
    else if (h->permutation && h->score != TRACE_SCORE_LETTERS)
        wrong = "an option order beside scores of texts, which list no options";
    else if (h->imported && (h->n_layers > 0 || h->n_hidden > 0 || h->score != TRACE_SCORE_LETTERS))
        wrong = "layers or texts, which an imported trace does not have";
    else if (h->imported && h->n != h->total)
        wrong = "a shard of an imported trace";
    else if (h->n_groups < 1)
        wrong = "no group";
    else if (!size_add(h->first, h->n, &end) || end > h->total)
        wrong = "a shard that reaches beyond the task";
    for (int i = 0; !wrong && i < h->n_hidden; i++)
        if (h->hidden_layers[i] < 0 || (i && h->hidden_layers[i] <= h->hidden_layers[i - 1]))
            wrong = "hidden layers that do not rise";
    if (wrong)
        return error_set(e, PLUMB_INPUT, "%s: the header asks for %s", what, wrong);
    return PLUMB_OK;
}

static bool place_set(struct trace_place *p, const char *name, const char *dtype, size_t element,
                      int rank, const size_t *shape)
{
    *p = (struct trace_place){.name = name, .dtype = dtype, .element = element, .rank = rank};
    p->bytes = element;
    for (int i = 0; i < rank; i++) {
        p->shape[i] = shape[i];
        if (!size_mul(p->bytes, shape[i], &p->bytes))
            return false;
    }
    return true;
}

int trace_layout_shapes(const struct trace_header *h, const char *what, struct trace_layout *out,
                        struct plumb_error *e)
{
    int status = check_numbers(h, what, e);
    if (status)
        return status;
    size_t n = h->n, k = (size_t)h->n_options, l = (size_t)h->n_layers, s = (size_t)h->n_hidden;
    size_t d = s ? (size_t)h->hidden_size : 0, depth = h->with_entropy ? l : 0;
    const size_t texts = h->score == TRACE_SCORE_LETTERS ? 0 : n;
    const size_t imported = h->imported ? n : 0, recorded = n - imported;
    struct trace_place *a = out->arrays;
    bool fits =
        place_set(&a[TRACE_ITEM_HASH], "item_hash", "U64", 8, 2, (size_t[]){n, 2}) &&
        place_set(&a[TRACE_IMPORTED], "imported", "F64", 8, 2, (size_t[]){imported, k}) &&
        place_set(&a[TRACE_LOGITS], "logits", "F32", 4, 2, (size_t[]){n, k}) &&
        place_set(&a[TRACE_LENS], "lens", "F32", 4, 3, (size_t[]){n, l, k}) &&
        place_set(&a[TRACE_ENTROPY], "entropy", "F32", 4, 2, (size_t[]){n, depth}) &&
        place_set(&a[TRACE_OPTION_MASS], "option_mass", "F32", 4, 1, &recorded) &&
        place_set(&a[TRACE_TEXT_LOG_LIKELIHOOD], "text_log_likelihood", "F32", 4, 2,
                  (size_t[]){texts, k}) &&
        place_set(&a[TRACE_TEXT_BYTES], "text_bytes", "I32", 4, 2, (size_t[]){texts, k}) &&
        place_set(&a[TRACE_TEXT_CHARACTERS], "text_characters", "I32", 4, 2,
                  (size_t[]){texts, k}) &&
        place_set(&a[TRACE_TEXT_TOKENS], "text_tokens", "I32", 4, 2, (size_t[]){texts, k}) &&
        place_set(&a[TRACE_LABEL], "label", "I32", 4, 1, &n) &&
        place_set(&a[TRACE_OPTIONS], "options", "I32", 4, 1, &n) &&
        place_set(&a[TRACE_GROUP], "group", "I32", 4, 1, &n) &&
        place_set(&a[TRACE_HIDDEN], "hidden", "F16", 2, 3, (size_t[]){n, s, d}) &&
        place_set(&a[TRACE_DONE], "done", "U8", 1, 1, &n);
    size_t sum = 0;
    for (int i = 0; fits && i < TRACE_ARRAYS; i++)
        fits = size_add(sum, a[i].bytes, &sum);
    if (!fits || sum > (size_t)1 << 62)
        return error_set(e, PLUMB_INPUT, "%s: the header asks for more bytes than a file can hold",
                         what);
    return PLUMB_OK;
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------
 */

const char *trace_score_name(enum trace_score s)
{
    static const char *const names[TRACE_SCORES] = {"letters", "text", "text-per-byte",
                                                    "text-per-token"};
    return names[s];
}

static void write_number(struct json_writer *w, const char *key, size_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", v);
    json_write_key(w, key);
    json_write_string(w, text);
}

static void write_text(struct json_writer *w, const char *key, const char *v)
{
    json_write_key(w, key);
    json_write_string(w, v ? v : "");
}

/* Metadata values are strings in safetensors; a list is its JSON text. */
static void write_lists(struct json_writer *w, const struct trace_header *h, struct buffer *scratch)
{
    struct json_writer list = json_writer_start(scratch, 0);
    json_write_array(&list);
    for (int i = 0; i < h->n_hidden; i++)
        json_write_integer(&list, h->hidden_layers[i]);
    json_write_end(&list, ']');
    write_text(w, "hidden_layers", buffer_string(scratch));
    w->out->failed |= scratch->failed;
    buffer_clear(scratch);
    list = json_writer_start(scratch, 0);
    json_write_array(&list);
    for (int i = 0; i < h->n_groups; i++)
        json_write_string(&list, h->groups[i]);
    json_write_end(&list, ']');
    write_text(w, "groups", buffer_string(scratch));
}

static void write_metadata(struct json_writer *w, const struct trace_header *h,
                           struct buffer *scratch)
{
    json_write_key(w, "__metadata__");
    json_write_object(w);
    write_text(w, "format", TRACE_FORMAT);
    write_text(w, "version", TRACE_VERSION);
    write_text(w, "program", h->program);
    write_text(w, "model", h->model);
    write_text(w, "model_fingerprint", h->model_fingerprint);
    write_text(w, "architecture", h->architecture);
    write_text(w, "tokenizer_hash", h->tokenizer_hash);
    write_text(w, "precision", h->precision);
    write_text(w, "arithmetic", h->arithmetic);
    write_text(w, "preset", h->preset);
    write_text(w, "preset_hash", h->preset_hash);
    if (h->chat_hash)
        write_text(w, "chat_hash", h->chat_hash);
    write_text(w, "task", h->task);
    write_text(w, "task_hash", h->task_hash);
    write_text(w, "lens", h->lens);
    if (h->tuned_lens)
        write_text(w, "tuned_lens", h->tuned_lens);
    if (h->score != TRACE_SCORE_LETTERS) /* left out, as it was before there was a choice */
        write_text(w, "score", trace_score_name(h->score));
    if (h->permutation) /* left out for the same reason */
        write_number(w, "permutation", (size_t)h->permutation);
    if (h->steering)
        write_text(w, "steering", h->steering);
    if (h->imported) {
        write_text(w, "imported", h->imported);
        write_text(w, "imported_values", h->imported_probabilities ? "probabilities" : "logits");
        write_text(w, "item_hashes", h->hashes_places ? "places" : "texts");
    }
    write_number(w, "items", h->n);
    write_number(w, "first", h->first);
    write_number(w, "total", h->total);
    write_number(w, "options", (size_t)h->n_options);
    write_number(w, "layers", (size_t)h->n_layers);
    write_text(w, "entropy", h->with_entropy ? "true" : "false");
    write_number(w, "hidden_size", (size_t)h->hidden_size);
    write_lists(w, h, scratch);
    json_write_end(w, '}');
}

static void write_tensor(struct json_writer *w, const struct trace_place *p, size_t begin)
{
    json_write_key(w, p->name);
    json_write_object(w);
    json_write_key(w, "dtype");
    json_write_string(w, p->dtype);
    json_write_key(w, "shape");
    json_write_array(w);
    for (int i = 0; i < p->rank; i++)
        json_write_integer(w, (int64_t)p->shape[i]);
    json_write_end(w, ']');
    json_write_key(w, "data_offsets");
    json_write_array(w);
    json_write_integer(w, (int64_t)begin);
    json_write_integer(w, (int64_t)(begin + p->bytes));
    json_write_end(w, ']');
    json_write_end(w, '}');
}

int trace_header_write(const struct trace_header *h, const char *what, struct buffer *out,
                       struct trace_layout *layout, struct plumb_error *e)
{
    static const char length_place[8];
    struct buffer scratch = BUFFER_EMPTY;
    size_t begin = 0;
    int status = trace_layout_shapes(h, what, layout, e);
    if (status)
        return status;
    buffer_clear(out);
    buffer_add(out, length_place, sizeof length_place);
    struct json_writer w = json_writer_start(out, 0);
    json_write_object(&w);
    write_metadata(&w, h, &scratch);
    for (int i = 0; i < TRACE_ARRAYS; i++) {
        if (!layout->arrays[i].bytes)
            continue;
        write_tensor(&w, &layout->arrays[i], begin);
        begin += layout->arrays[i].bytes;
    }
    json_write_end(&w, '}');
    while (out->size % DATA_ALIGNMENT && !out->failed)
        buffer_putc(out, ' ');
    bool failed = out->failed || scratch.failed;
    buffer_free(&scratch);
    if (failed)
        return error_memory(e, "the trace's header");
    if (out->size - sizeof length_place > TRACE_HEADER_LIMIT)
        return error_set(e, PLUMB_INPUT,
                         "%s: the header would take %zu bytes, at most %zu fit: "
                         "use fewer or shorter group names",
                         what, out->size, TRACE_HEADER_LIMIT);
    uint64_t length = out->size - sizeof length_place;
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(length >> 8 * i);
    layout->data = layout->total = out->size;
    for (int i = 0; i < TRACE_ARRAYS; i++) {
        layout->arrays[i].offset = layout->total;
        layout->total += layout->arrays[i].bytes;
    }
    return PLUMB_OK;
}

/* ---- comparing
 * -----------------------------------------------------------------------------------------------
 */

static bool differ_text(const char *x, const char *y, char a[TRACE_VALUE_TEXT],
                        char b[TRACE_VALUE_TEXT])
{
    snprintf(a, TRACE_VALUE_TEXT, "%.70s", x ? x : "");
    snprintf(b, TRACE_VALUE_TEXT, "%.70s", y ? y : "");
    return strcmp(x ? x : "", y ? y : "") != 0;
}

static bool differ_number(size_t x, size_t y, char a[TRACE_VALUE_TEXT], char b[TRACE_VALUE_TEXT])
{
    snprintf(a, TRACE_VALUE_TEXT, "%zu", x);
    snprintf(b, TRACE_VALUE_TEXT, "%zu", y);
    return x != y;
}

static bool differ_lists(const struct trace_header *x, const struct trace_header *y,
                         char a[TRACE_VALUE_TEXT], char b[TRACE_VALUE_TEXT], const char **name)
{
    *name = "hidden_layers";
    if (differ_number((size_t)x->n_hidden, (size_t)y->n_hidden, a, b))
        return true;
    for (int i = 0; i < x->n_hidden; i++)
        if (differ_number((size_t)x->hidden_layers[i], (size_t)y->hidden_layers[i], a, b))
            return true;
    *name = "groups";
    if (differ_number((size_t)x->n_groups, (size_t)y->n_groups, a, b))
        return true;
    for (int i = 0; i < x->n_groups; i++)
        if (differ_text(x->groups[i], y->groups[i], a, b))
            return true;
    return false;
}

const char *trace_header_difference(const struct trace_header *x, const struct trace_header *y,
                                    bool shard, char a[TRACE_VALUE_TEXT], char b[TRACE_VALUE_TEXT])
{
    const char *name;
    if (differ_text(x->steering, y->steering, a, b)) /* first: it is in the fingerprint, too */
        return "steering";
    if (differ_text(x->model_fingerprint, y->model_fingerprint, a, b))
        return "model_fingerprint";
    if (differ_text(x->model, y->model, a, b))
        return "model";
    if (differ_text(x->architecture, y->architecture, a, b))
        return "architecture";
    if (differ_text(x->tokenizer_hash, y->tokenizer_hash, a, b))
        return "tokenizer_hash";
    if (differ_text(x->task, y->task, a, b))
        return "task";
    if (differ_text(x->task_hash, y->task_hash, a, b))
        return "task_hash";
    if (differ_text(x->preset, y->preset, a, b))
        return "preset";
    if (differ_text(x->preset_hash, y->preset_hash, a, b))
        return "preset_hash";
    if (differ_text(x->chat_hash, y->chat_hash, a, b))
        return "chat_hash";
    if (differ_text(x->precision, y->precision, a, b))
        return "precision";
    if (differ_text(x->arithmetic, y->arithmetic, a, b))
        return "arithmetic";
    if (differ_text(x->lens, y->lens, a, b))
        return "lens";
    if (differ_text(x->tuned_lens, y->tuned_lens, a, b))
        return "tuned_lens";
    if (differ_text(trace_score_name(x->score), trace_score_name(y->score), a, b))
        return "score";
    if (differ_number((size_t)x->permutation, (size_t)y->permutation, a, b))
        return "permutation";
    if (differ_text(x->imported, y->imported, a, b))
        return "imported";
    if (differ_number(x->imported_probabilities, y->imported_probabilities, a, b))
        return "imported_values";
    if (differ_number(x->hashes_places, y->hashes_places, a, b))
        return "item_hashes";
    if (differ_text(x->program, y->program, a, b))
        return "program";
    if (differ_number(x->total, y->total, a, b))
        return "total";
    if (differ_number((size_t)x->n_layers, (size_t)y->n_layers, a, b))
        return "layers";
    if (differ_number(x->with_entropy, y->with_entropy, a, b))
        return "entropy";
    if (differ_number((size_t)x->hidden_size, (size_t)y->hidden_size, a, b))
        return "hidden_size";
    if (differ_lists(x, y, a, b, &name))
        return name;
    if (shard && differ_number(x->n, y->n, a, b))
        return "items";
    if (shard && differ_number(x->first, y->first, a, b))
        return "first";
    if (shard && differ_number((size_t)x->n_options, (size_t)y->n_options, a, b))
        return "options";
    return NULL;
}
