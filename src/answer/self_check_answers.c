/*
 * self_check_answers.c - see self_check_answers.h.
 */
#include "answer/self_check_answers.h"

#include <string.h>

#include "abstain/confidence.h"
#include "answer/correctness.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "task/questions.h"
#include "trace/scores.h"

static int out_of_memory(struct plumb_error *e)
{
    return error_memory(e, "the answers");
}

static const char *keep(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

static int start(size_t n, struct self_check_answers *out, struct plumb_error *e)
{
    struct arena *a = arena_create();
    *out = (struct self_check_answers){.n = n, .arena = a};
    if (!a)
        return out_of_memory(e);
    out->items = arena_alloc(a, n, sizeof *out->items);
    out->right = arena_alloc(a, n, sizeof *out->right);
    out->hash = arena_alloc(a, n, sizeof *out->hash);
    out->group = arena_alloc(a, n, sizeof *out->group);
    if (!out->items || !out->right || !out->hash || !out->group)
        return out_of_memory(e);
    memset(out->items, 0, n * sizeof *out->items);
    memset(out->right, -1, n);
    memset(out->hash, 0, n * sizeof *out->hash);
    memset(out->group, 0, n * sizeof *out->group);
    return PLUMB_OK;
}

void self_check_answers_free(struct self_check_answers *a)
{
    arena_destroy(a->arena);
    *a = (struct self_check_answers){0};
}

static void hash_text(struct hash_state *h, const char *s)
{
    hash_add(h, s ? s : "", s ? strlen(s) + 1 : 1);
}

/* Of everything that is asked about, and of what is known of it. */
static int identify(struct self_check_answers *a, struct plumb_error *e)
{
    struct hash_state *h = hash_create();
    if (!h)
        return out_of_memory(e);
    for (size_t i = 0; i < a->n; i++) {
        const struct self_check_item *q = &a->items[i];
        hash_text(h, q->context);
        hash_text(h, q->question);
        hash_text(h, q->answer);
        hash_add(h, &q->n_choices, sizeof q->n_choices);
        for (int c = 0; c < q->n_choices; c++)
            hash_text(h, q->choices[c]);
        hash_add(h, &q->n_ideas, sizeof q->n_ideas);
        for (int c = 0; c < q->n_ideas; c++)
            hash_text(h, q->ideas[c]);
        hash_text(h, a->group[i]);
    }
    hash_add(h, a->right, a->n);
    hash_add(h, a->hash, a->n * sizeof *a->hash);
    a->identity = hash_finish(h);
    return PLUMB_OK;
}

/* ---- a trace ----------------------------------------------------------------------------------- */

/* Copies of all texts; the ideas are the other options. */
static int put_choices(struct arena *a, const struct question *q, int answer, bool listed,
                       struct self_check_item *out, struct plumb_error *e)
{
    const size_t n = (size_t)q->n_options;
    const char **choices = arena_alloc(a, n, sizeof *choices),
               **ideas = arena_alloc(a, n, sizeof *ideas);
    if (!choices || !ideas)
        return out_of_memory(e);
    *out = (struct self_check_item){.context = keep(a, q->context),
                                    .question = keep(a, q->text),
                                    .choices = choices,
                                    .n_choices = listed ? q->n_options : 0,
                                    .ideas = ideas};
    bool good = out->context && out->question;
    for (int i = 0; i < q->n_options; i++) {
        choices[i] = keep(a, q->options[i]);
        good = good && choices[i];
        if (i != answer)
            ideas[out->n_ideas++] = choices[i];
    }
    out->answer = choices[answer];
    return good ? PLUMB_OK : out_of_memory(e);
}

static int check_trace(const struct scores *s, const char *path, struct plumb_error *e)
{
    if (s->kind == SCORES_CONFIDENCE)
        return error_set(e, PLUMB_INPUT,
                         "%s holds confidences and not the options' scores, which say what was "
                         "answered: give a trace",
                         path);
    if (!s->hashes_texts)
        return error_set(e, PLUMB_INPUT,
                         "%s does not say which questions it is of: import it with --questions, or "
                         "trace the model here",
                         path);
    return PLUMB_OK;
}

static int largest_option(const struct scores *s, size_t row)
{
    const double *z = s->values + row * (size_t)s->k;
    int best = 0;
    for (int i = 1; i < s->options[row]; i++)
        if (z[i] > z[best])
            best = i;
    return best;
}

static int take_row(const struct question_set *set, size_t i, const struct scores *s, int32_t row,
                    const char *path, bool listed, struct self_check_answers *out,
                    struct plumb_error *e)
{
    const struct question *q = &set->items[i];
    if (row < 0)
        return error_set(e, PLUMB_INPUT,
                         "question %s is not in %s: trace the same questions, or give only those "
                         "that it holds (--limit)",
                         q->id, path);
    if (s->options[row] != q->n_options)
        return error_set(e, PLUMB_INPUT, "question %s has %d options, in %s %d", q->id,
                         q->n_options, path, s->options[row]);
    const int answer = largest_option(s, (size_t)row),
              label = s->label[row] >= 0 ? s->label[row] : q->gold;
    out->hash[i] = q->hash;
    out->right[i] = (int8_t)(label < 0 ? -1 : answer == label);
    out->group[i] = keep(out->arena, set->groups[q->group]);
    return out->group[i] ? put_choices(out->arena, q, answer, listed, &out->items[i], e)
                         : out_of_memory(e);
}

static int take_rows(const struct question_set *set, const struct scores *s, const char *path,
                     bool listed, struct self_check_answers *out, struct plumb_error *e)
{
    struct hash_table *rows = hash_table_create(s->n);
    bool good = rows != NULL;
    for (size_t i = s->n; good && i-- > 0;) /* of equal questions the first */
        good = hash_table_put(rows, (const char *)&s->item_hash[i], sizeof *s->item_hash,
                              (int32_t)i) >= 0;
    int status = good ? PLUMB_OK : out_of_memory(e);
    for (size_t i = 0; i < set->count && status == PLUMB_OK; i++) {
        const struct hash128 *hash = &set->items[i].hash;
        status = take_row(set, i, s, hash_table_get(rows, (const char *)hash, sizeof *hash, -1),
                          path, listed, out, e);
    }
    if (rows)
        hash_table_destroy(rows);
    return status;
}

int self_check_answers_trace(const char *questions, const char *trace,
                             const struct self_check_answers_options *o,
                             struct self_check_answers *out, struct plumb_error *e)
{
    struct question_set set = {0};
    struct scores s = {0};
    char hash[33];
    *out = (struct self_check_answers){0};
    int status = questions_read(questions, o->limit, &set, e);
    if (status == PLUMB_OK)
        status = scores_read(trace, &s, e);
    if (status == PLUMB_OK)
        status = check_trace(&s, trace, e);
    if (status == PLUMB_OK)
        status = start(set.count, out, e);
    if (status == PLUMB_OK) {
        hash_hex(set.hash, hash);
        out->judged = "the right option";
        out->task = keep(out->arena, hash);
        out->task_name = keep(out->arena, set.name);
        status = out->task && out->task_name ? take_rows(&set, &s, trace, !o->no_choices, out, e)
                                             : out_of_memory(e);
    }
    if (status == PLUMB_OK)
        status = identify(out, e);
    scores_free(&s);
    questions_free(&set);
    if (status != PLUMB_OK)
        self_check_answers_free(out);
    return status;
}

/* ---- a file of answers ------------------------------------------------------------------------- */

struct answers_file {
    const char *path;
    size_t line; /* of the question, from 1: the header is the first */
    struct arena *arena;
    struct plumb_error *e;
};

/* A member that is a text; *out = null where it is not there. */
static int read_text(const struct answers_file *f, struct json object, const char *key, bool needed,
                     const char **out)
{
    const struct json v = json_get(object, key);
    const char *s = NULL;
    size_t n = 0;
    *out = NULL;
    if (!json_exists(v) && !needed)
        return PLUMB_OK;
    if (!json_string(v, &s, &n) || strlen(s) != n)
        return error_set(f->e, PLUMB_INPUT,
                         "%s:%zu: \"%s\" is %s; expected a text: give a file that plumb answer "
                         "wrote",
                         f->path, f->line, key, json_kind_name(json_kind(v)));
    *out = arena_strndup(f->arena, s, n);
    return *out ? PLUMB_OK : out_of_memory(f->e);
}

/* An array of texts, or of objects with a "text". */
static int read_texts(const struct answers_file *f, struct json object, const char *key,
                      const char ***out, int *count)
{
    const struct json v = json_get(object, key);
    const size_t n = json_kind(v) == JSON_ARRAY ? json_size(v) : 0;
    const char **texts = arena_alloc(f->arena, n, sizeof *texts);
    *out = texts;
    *count = 0;
    if (!texts)
        return out_of_memory(f->e);
    struct json_iterator i = json_each(v);
    for (size_t at = 0; at < n && json_next(&i); at++) {
        const char *s;
        size_t size;
        const struct json text =
            json_kind(i.value) == JSON_OBJECT ? json_get(i.value, "text") : i.value;
        if (!json_string(text, &s, &size))
            return error_set(f->e, PLUMB_INPUT,
                             "%s:%zu: element %zu of \"%s\" is %s; expected a text", f->path,
                             f->line, at + 1, key, json_kind_name(json_kind(text)));
        texts[at] = arena_strndup(f->arena, s, size);
        if (!texts[at])
            return out_of_memory(f->e);
        ++*count;
    }
    return PLUMB_OK;
}

/* An answer to a question with options is the option that it names: "B" is asked about by its text. */
static const char *option_text(const struct self_check_item *q, const char *answer)
{
    const int option = q->n_choices > 0 ? option_letter(answer, q->choices, q->n_choices) : -1;
    return option >= 0 ? q->choices[option] : answer;
}

static int read_item(const struct answers_file *f, const char *extra, bool listed,
                     struct self_check_item *out)
{
    struct json_document *d = NULL;
    const char **choices = NULL, **ideas = NULL;
    const char *text = extra ? extra : "{}";
    int status = json_parse(text, strlen(text), f->path, &d, f->e);
    if (status != PLUMB_OK)
        return status;
    const struct json object = json_root(d);
    status = read_text(f, object, "question", true, &out->question);
    if (status == PLUMB_OK)
        status = read_text(f, object, "answer", true, &out->answer);
    if (status == PLUMB_OK)
        status = read_text(f, object, "context", false, &out->context);
    if (status == PLUMB_OK)
        status = read_texts(f, object, "choices", &choices, &out->n_choices);
    out->choices = choices;
    if (status == PLUMB_OK)
        status = read_texts(f, object, "samples", &ideas, &out->n_ideas);
    json_close(d);
    if (status != PLUMB_OK)
        return status;
    out->answer = option_text(out, out->answer);
    for (int i = 0; i < out->n_ideas; i++)
        ideas[i] = option_text(out, ideas[i]);
    out->ideas = ideas;
    out->n_choices = listed ? out->n_choices : 0;
    return PLUMB_OK;
}

static int take_file(const struct confidence_file *c, const char *path, bool listed,
                     struct self_check_answers *out, struct plumb_error *e)
{
    struct answers_file f = {.path = path, .arena = out->arena, .e = e};
    out->judged = keep(out->arena, c->judged);
    out->task = keep(out->arena, c->task);
    out->task_name = keep(out->arena, c->task_name);
    int status =
        (c->judged && !out->judged) || (c->task && !out->task) || (c->task_name && !out->task_name)
            ? out_of_memory(e)
            : PLUMB_OK;
    for (size_t i = 0; i < out->n && status == PLUMB_OK; i++) {
        f.line = i + 2;
        out->hash[i] = c->item[i];
        out->right[i] = c->right[i];
        out->group[i] = keep(out->arena, c->group[i]);
        status = c->group[i] && !out->group[i] ? out_of_memory(e)
                                               : read_item(&f, c->extra[i], listed, &out->items[i]);
    }
    return status;
}

int self_check_answers_file(const char *path, const struct self_check_answers_options *o,
                            struct self_check_answers *out, struct plumb_error *e)
{
    struct confidence_file c = {0};
    *out = (struct self_check_answers){0};
    int status = confidence_read(path, &c, e);
    if (status == PLUMB_OK)
        status = start(o->limit > 0 && o->limit < c.n ? o->limit : c.n, out, e);
    if (status == PLUMB_OK)
        status = take_file(&c, path, !o->no_choices, out, e);
    if (status == PLUMB_OK)
        status = identify(out, e);
    confidence_free(&c);
    if (status != PLUMB_OK)
        self_check_answers_free(out);
    return status;
}

/* ---- solved examples --------------------------------------------------------------------------- */

/* Right and wrong in turn, from answers of which it is known. */
static int shots_of_answers(const char *path, int n, const struct self_check_answers *from,
                            struct self_check_shot *out, struct plumb_error *e)
{
    size_t next[2] = {0, 0}; /* the next wrong answer, the next right one */
    for (int i = 0; i < n; i++) {
        const int right = i % 2 == 0;
        size_t *at = &next[right];
        while (*at < from->n && from->right[*at] != right)
            ++*at;
        if (*at == from->n)
            return error_set(e, PLUMB_INPUT,
                             "%s: too few %s answers for %d examples, right and wrong ones in "
                             "turn: ask for fewer",
                             path, right ? "right" : "wrong", n);
        out[i] = (struct self_check_shot){.item = from->items[(*at)++], .right = right};
    }
    return PLUMB_OK;
}

/* The question's right option, or the first wrong one. */
static int shots_of_questions(const char *path, int n, const struct question_set *set, bool listed,
                              struct self_check_answers *owner, struct self_check_shot *out,
                              struct plumb_error *e)
{
    int found = 0;
    int status = PLUMB_OK;
    for (size_t i = 0; i < set->count && found < n && status == PLUMB_OK; i++) {
        const struct question *q = &set->items[i];
        if (q->gold < 0)
            continue;
        const bool right = found % 2 == 0;
        const int answer = right ? q->gold : q->gold == 0 ? 1 : 0;
        struct self_check_shot *shot = &out[found++];
        shot->right = right;
        status = put_choices(owner->arena, q, answer, listed, &shot->item, e);
    }
    if (status == PLUMB_OK && found < n)
        status = error_set(e, PLUMB_INPUT,
                           "%s: %d examples asked for, but only %d questions have a known answer",
                           path, n, found);
    return status;
}

int self_check_shots(const char *path, int n, struct self_check_answers *owner,
                     const struct self_check_answers_options *o, struct self_check_shot **out,
                     struct plumb_error *e)
{
    const bool answers = confidence_is_file(path);
    struct question_set set = {0};
    struct self_check_answers_options how = *o;
    how.limit = 0;
    int status =
        answers ? self_check_answers_file(path, &how, owner, e) : questions_read(path, 0, &set, e);
    if (status == PLUMB_OK && !answers)
        status = start(1, owner, e);
    *out = status == PLUMB_OK ? arena_alloc(owner->arena, (size_t)n, sizeof **out) : NULL;
    if (status == PLUMB_OK && !*out)
        status = out_of_memory(e);
    if (status == PLUMB_OK)
        status = answers ? shots_of_answers(path, n, owner, *out, e)
                         : shots_of_questions(path, n, &set, !o->no_choices, owner, *out, e);
    questions_free(&set);
    if (status != PLUMB_OK)
        self_check_answers_free(owner);
    return status;
}

int self_check_shots_apart(const char *path, const struct self_check_shot *shots, int n,
                           const struct self_check_answers *judged, struct plumb_error *e)
{
    for (int i = 0; i < n; i++)
        for (size_t j = 0; j < judged->n; j++)
            if (strcmp(shots[i].item.question, judged->items[j].question) == 0)
                return error_set(
                    e, PLUMB_INPUT,
                    "%s: example %d is a question that is judged (\"%.60s\"): its answer "
                    "would be in sight; take examples from other questions",
                    path, i + 1, shots[i].item.question);
    return PLUMB_OK;
}
