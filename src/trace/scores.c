/*
 * scores.c - which format a file is in, and the view of a trace as scores.
 *
 * The content decides, never the ending: the first bytes of safetensors, of a JSON object, or of a header of CSV.
 */
#include "trace/scores.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"
#include "trace/scores_build.h"

const char *scores_format_name(enum scores_format f)
{
    static const char *const names[SCORES_FORMATS] = {
        [SCORES_TRACE] = "trace",
        [SCORES_CSV_CONFIDENCE] = "CSV with conf,correct",
        [SCORES_CSV_LOGITS] = "CSV with option scores and label",
        [SCORES_LM_EVAL] = "sample log of lm-evaluation-harness",
        [SCORES_JSONL] = "JSONL",
    };
    return f < SCORES_FORMATS ? names[f] : "unknown format";
}

void scores_free(struct scores *s)
{
    if (!s)
        return;
    if (s->trace)
        trace_close(s->trace);
    mem_free(s->trace);
    arena_destroy(s->arena);
    *s = (struct scores){0};
}

/* Its 64-bit length keeps the header far below 4 GiB, so the upper bytes are zero; in a text no byte is. */
static bool is_safetensors(const uint8_t *bytes, size_t n)
{
    return n >= 8 && !bytes[5] && !bytes[6] && !bytes[7];
}

int scores_parse(const char *bytes, size_t n, const char *what, const char *columns,
                 struct scores *out, struct plumb_error *e)
{
    *out = (struct scores){0};
    if (n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        bytes += 3, n -= 3;
    size_t i = 0;
    while (i < n && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n'))
        i++;
    if (i == n)
        return error_set(e, PLUMB_INPUT,
                         "%s: the file is empty, expected a trace, CSV, JSONL or a sample log",
                         what);
    if (bytes[i] == '[')
        return error_set(e, PLUMB_INPUT,
                         "%s: found a JSON array, expected one JSON object a line (JSONL)", what);
    if (bytes[i] != '{')
        return scores_csv(bytes, n, what, columns, out, e);
    if (columns)
        return error_set(e, PLUMB_INPUT,
                         "%s: columns '%s' were asked for, but only a CSV has columns", what,
                         columns);
    return scores_jsonl(bytes, n, what, out, e);
}

/* ---- a trace ---- */

static int view_trace(const char *path, struct scores *s, struct plumb_error *e)
{
    struct trace *t = mem_zalloc(1, sizeof *t);
    s->arena = arena_create();
    if (!t || !s->arena) {
        mem_free(t);
        return error_memory(e, "a trace");
    }
    int status = trace_open(path, t, e);
    if (status != PLUMB_OK) {
        mem_free(t);
        return status;
    }
    const struct trace_header *h = &t->header;
    s->trace = t;
    s->kind = h->imported && h->imported_probabilities ? SCORES_PROBABILITIES : SCORES_LOGITS;
    s->format = SCORES_TRACE;
    s->n = h->n;
    s->k = h->n_options;
    s->options = t->options;
    s->label = t->label;
    s->group = t->group;
    s->groups = h->groups;
    s->n_groups = h->n_groups;
    s->hashes_texts = !h->hashes_places;
    return PLUMB_OK;
}

/* f32 in the file, f64 here. */
static double *widen(struct arena *arena, const float *from, size_t n)
{
    double *to = arena_alloc(arena, n, sizeof *to);
    for (size_t i = 0; to && i < n; i++)
        to[i] = (double)from[i];
    return to;
}

/* The numbers of the source; behind a row's last option what scores promise there. */
static double *copy_imported(const struct scores *s, size_t cells)
{
    const size_t k = (size_t)s->k;
    double *to = arena_alloc(s->arena, cells, sizeof *to);
    for (size_t i = 0; to && i < s->n; i++)
        for (size_t j = 0; j < k; j++)
            to[i * k + j] = j < (size_t)s->options[i]  ? s->trace->imported[i * k + j]
                            : s->kind == SCORES_LOGITS ? -INFINITY
                                                       : 0;
    return to;
}

static int copy_trace(struct scores *s, struct plumb_error *e)
{
    const struct trace *t = s->trace;
    size_t cells;
    if (!s->n)
        return error_set(e, PLUMB_INPUT, "%s: the trace holds no item", s->name);
    if (!size_mul(s->n, (size_t)s->k, &cells))
        return error_memory(e, "the scores");
    s->values = t->imported ? copy_imported(s, cells) : widen(s->arena, t->logits, cells);
    s->option_mass = t->option_mass ? widen(s->arena, t->option_mass, s->n) : NULL;
    s->item_hash = arena_alloc(s->arena, s->n, sizeof *s->item_hash);
    if (!s->values || !s->item_hash || (t->option_mass && !s->option_mass))
        return error_memory(e, "the scores");
    memcpy(s->item_hash, t->item_hash, s->n * sizeof *s->item_hash);
    s->argmax_ties = scores_count_ties(s);
    return PLUMB_OK;
}

/* ---- a file ---- */

static int name_scores(const char *path, struct scores *s, struct plumb_error *e)
{
    const struct span task = scores_lm_eval_task(path);
    const char *base = file_base_name(path), *dot = strrchr(base, '.');
    if (s->format == SCORES_LM_EVAL && task.n) {
        s->name = arena_strndup(s->arena, task.s, task.n);
        return s->name ? PLUMB_OK : error_memory(e, "the scores");
    }
    s->name =
        arena_strndup(s->arena, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    return s->name ? PLUMB_OK : error_memory(e, "the scores");
}

int scores_read_columns(const char *path, const char *columns, struct scores *out,
                        struct plumb_error *e)
{
    struct file_map map;
    *out = (struct scores){0};
    int status = file_map_open(path, &map, e);
    if (status != PLUMB_OK)
        return status;
    const bool trace = is_safetensors(map.data, map.size);
    if (trace && columns)
        status =
            error_set(e, PLUMB_INPUT, "%s: columns '%s' were asked for, but only a CSV has columns",
                      path, columns);
    else if (trace)
        status = view_trace(path, out, e);
    else
        status = scores_parse((const char *)map.data, map.size, path, columns, out, e);
    file_map_close(&map);
    if (status == PLUMB_OK)
        status = name_scores(path, out, e);
    if (status == PLUMB_OK && trace)
        status = copy_trace(out, e);
    if (status != PLUMB_OK)
        scores_free(out);
    return status;
}

int scores_read(const char *path, struct scores *out, struct plumb_error *e)
{
    return scores_read_columns(path, NULL, out, e);
}
