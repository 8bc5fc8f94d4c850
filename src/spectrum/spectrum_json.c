/*
 * spectrum_json.c - see spectrum_json.h.
 */
#include "spectrum/spectrum_json.h"

#include <math.h>
#include <string.h>

#include "base/file.h"

/* ---- writing ---- */

static void write_statistics(struct json_writer *w, const char *key, const double *v)
{
    json_write_key(w, key);
    json_write_object(w);
    for (int s = 0; s < SPECTRUM_STATISTICS; s++) {
        json_write_key(w, spectrum_statistic_words[s].name);
        json_write_double(w, v[s]);
    }
    json_write_end(w, '}');
}

static void write_control(struct json_writer *w, const struct spectrum_item *i,
                          enum spectrum_null null)
{
    double excess[SPECTRUM_STATISTICS];
    for (int s = 0; s < SPECTRUM_STATISTICS; s++)
        excess[s] = spectrum_excess(i, null, (enum spectrum_statistic)s);
    json_write_key(w, spectrum_null_name[null]);
    json_write_object(w);
    write_statistics(w, "mean", i->mean[null]);
    write_statistics(w, "sd", i->sd[null]);
    write_statistics(w, "excess", excess);
    json_write_key(w, "outside");
    json_write_object(w);
    for (int s = 0; s < SPECTRUM_STATISTICS; s++) {
        json_write_key(w, spectrum_statistic_words[s].name);
        json_write_integer(w, spectrum_exceeds(i, null, (enum spectrum_statistic)s));
    }
    json_write_end(w, '}');
    json_write_end(w, '}');
}

static void write_integer(struct json_writer *w, const char *key, size_t v)
{
    json_write_key(w, key);
    json_write_integer(w, (int64_t)v);
}

void spectrum_item_write(struct json_writer *w, const struct spectrum_item *i)
{
    json_write_object(w);
    write_integer(w, "layer", (size_t)i->layer);
    json_write_key(w, "module");
    json_write_string(w, spectrum_module_name(i->module));
    write_integer(w, "rows", i->rows);
    write_integer(w, "columns", i->columns);
    write_integer(w, "triples", i->triples);
    write_integer(w, "energy_count", i->energy_count);
    json_write_key(w, "change");
    json_write_double(w, i->change);
    write_statistics(w, "measured", i->measured);
    write_integer(w, "draws", (size_t)i->draws);
    for (int null = 0; null < SPECTRUM_NULLS && i->draws > 0; null++)
        write_control(w, i, (enum spectrum_null)null);
    json_write_key(w, "ratios");
    json_write_array(w);
    for (int k = 0; k < i->n_ratios; k++) {
        json_write_array(w);
        json_write_double(w, i->ratio_place[k]);
        json_write_double(w, i->ratio[k]);
        json_write_end(w, ']');
    }
    json_write_end(w, ']');
    json_write_end(w, '}');
}

void spectrum_attention_write(struct json_writer *w, const struct spectrum *s)
{
    json_write_array(w);
    for (size_t i = 0; i < s->n_attention; i++) {
        const struct spectrum_attention *a = &s->attention[i];
        const struct {
            const char *key;
            double v;
        } values[] = {{"alpha_q", a->alpha_q},
                      {"alpha_k", a->alpha_k},
                      {"alpha_q_alpha_k", a->alpha_q * a->alpha_k},
                      {"bias_scale_q", a->bias_q},
                      {"bias_scale_k", a->bias_k},
                      {"temperature", a->temperature}};
        json_write_object(w);
        write_integer(w, "layer", (size_t)a->layer);
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            json_write_key(w, values[k].key);
            json_write_double(w, values[k].v);
        }
        json_write_key(w, "caution");
        if (a->caution)
            json_write_string(w, a->caution);
        else
            json_write_null(w);
        json_write_end(w, '}');
    }
    json_write_end(w, ']');
}

void spectrum_state_print(const char *key, const struct spectrum_item *items, size_t n,
                          struct buffer *out)
{
    struct json_writer w = json_writer_start(out, 0);
    json_write_object(&w);
    json_write_key(&w, "plumb_spectrum_state");
    json_write_string(&w, key);
    json_write_key(&w, "items");
    json_write_array(&w);
    for (size_t i = 0; i < n; i++)
        spectrum_item_write(&w, &items[i]);
    json_write_end(&w, ']');
    json_write_end(&w, '}');
}

int spectrum_state_write(const char *path, const char *key, const struct spectrum_item *items,
                         size_t n, struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct file_writer file;
    spectrum_state_print(key, items, n, &text);
    int status = text.failed ? error_memory(e, "the state of a spectrum") : PLUMB_OK;
    if (status == PLUMB_OK)
        status = file_writer_open(path, &file, e);
    if (status == PLUMB_OK) {
        fwrite(text.data, 1, text.size, file.stream);
        status = file_writer_commit(&file, e);
    }
    buffer_free(&text);
    return status;
}

/* ---- reading ---- */

static double number_or_nan(struct json v)
{
    double x;
    return json_number(v, &x) ? x : NAN;
}

static void read_statistics(struct json v, double *out)
{
    for (int s = 0; s < SPECTRUM_STATISTICS; s++)
        out[s] = number_or_nan(json_get(v, spectrum_statistic_words[s].name));
}

static bool read_count(struct json object, const char *key, int64_t most, int64_t *out)
{
    return json_integer(json_get(object, key), out) && *out >= 0 && *out <= most;
}

static bool read_item(struct json v, struct spectrum_item *out)
{
    int64_t layer, rows, columns, triples, count, draws;
    int module = -1;
    for (int m = 0; m < SPECTRUM_MODULES; m++)
        if (json_is_string(json_get(v, "module"), spectrum_module_name((enum spectrum_module)m)))
            module = m;
    if (module < 0 || !read_count(v, "layer", INT32_MAX, &layer) ||
        !read_count(v, "rows", INT32_MAX, &rows) ||
        !read_count(v, "columns", INT32_MAX, &columns) ||
        !read_count(v, "triples", rows < columns ? rows : columns, &triples) ||
        !read_count(v, "energy_count", triples, &count) ||
        !read_count(v, "draws", SPECTRUM_DRAWS_MAX, &draws))
        return false;
    *out = (struct spectrum_item){.module = (enum spectrum_module)module,
                                  .layer = (int)layer,
                                  .rows = (size_t)rows,
                                  .columns = (size_t)columns,
                                  .triples = (size_t)triples,
                                  .energy_count = (size_t)count,
                                  .draws = (int)draws,
                                  .change = number_or_nan(json_get(v, "change"))};
    read_statistics(json_get(v, "measured"), out->measured);
    for (int null = 0; null < SPECTRUM_NULLS; null++) {
        const struct json control = json_get(v, spectrum_null_name[null]);
        read_statistics(json_get(control, "mean"), out->mean[null]);
        read_statistics(json_get(control, "sd"), out->sd[null]);
    }
    for (struct json_iterator i = json_each(json_get(v, "ratios"));
         json_next(&i) && out->n_ratios < SPECTRUM_RATIO_POINTS; out->n_ratios++) {
        out->ratio_place[out->n_ratios] = number_or_nan(json_at(i.value, 0));
        out->ratio[out->n_ratios] = number_or_nan(json_at(i.value, 1));
    }
    return true;
}

static int read_items(struct json root, const char *what, const char *key,
                      struct spectrum_item *items, size_t room, size_t *n, struct plumb_error *e)
{
    if (!json_is_string(json_get(root, "plumb_spectrum_state"), key))
        return error_set(e, PLUMB_INPUT,
                         "%s is the state of another run (other models, rank, draws or seed); "
                         "remove it, or name another file",
                         what);
    for (struct json_iterator i = json_each(json_get(root, "items")); json_next(&i) && *n < room;
         ++*n)
        if (!read_item(i.value, &items[*n]))
            return error_set(e, PLUMB_INPUT, "%s: item %zu is no matrix; remove the file", what,
                             *n + 1);
    return PLUMB_OK;
}

int spectrum_state_parse(const char *text, size_t size, const char *what, const char *key,
                         struct spectrum_item *items, size_t room, size_t *n, struct plumb_error *e)
{
    struct json_document *document = NULL;
    *n = 0;
    int status = json_parse(text, size, what, &document, e);
    if (status == PLUMB_OK)
        status = read_items(json_root(document), what, key, items, room, n, e);
    json_close(document);
    return status;
}

int spectrum_state_read(const char *path, const char *key, struct spectrum_item *items, size_t room,
                        size_t *n, struct plumb_error *e)
{
    struct file_map text = {0};
    *n = 0;
    if (!file_exists(path))
        return PLUMB_OK;
    int status = file_map_open(path, &text, e);
    if (status == PLUMB_OK)
        status =
            spectrum_state_parse((const char *)text.data, text.size, path, key, items, room, n, e);
    file_map_close(&text);
    return status;
}
