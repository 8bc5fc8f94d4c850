/*
 * answers_line.c - see answers_line.h. The one place that knows the members of a question; what is in a file and what is counted
 * both come from the line, so that a run that goes on and one in one piece cannot differ.
 */
#include "answer/answers_line.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* ---- writing ----------------------------------------------------------------------------------- */

static void put_right(struct json_writer *w, int right)
{
    json_write_key(w, "right");
    if (right < 0)
        json_write_null(w);
    else
        json_write_bool(w, right != 0);
}

static void put_texts(struct json_writer *w, const char *key, const char *const *texts, int n)
{
    json_write_key(w, key);
    json_write_array(w);
    for (int i = 0; i < n; i++)
        json_write_string(w, texts[i]);
    json_write_end(w, ']');
}

static void put_sample(struct json_writer *w, const struct sampled_answer *a)
{
    json_write_object(w);
    json_write_member_string(w, "text", a->text);
    json_write_member_double(w, "mean_logprob", a->mean_logprob);
    json_write_member_integer(w, "tokens", (int64_t)a->tokens);
    json_write_member_integer(w, "same", a->same);
    json_write_member_integer(w, "cluster", a->cluster);
    put_right(w, a->right);
    json_write_end(w, '}');
}

static void put_question(struct json_writer *w, const struct free_question *q)
{
    json_write_member_string(w, "id", q->id);
    json_write_member_string(w, "question", q->text);
    if (*q->context)
        json_write_member_string(w, "context", q->context);
    if (q->n_options > 0)
        put_texts(w, "choices", q->options, q->n_options);
    put_texts(w, "answers", q->answers, q->n_answers);
}

static void put_answers(struct json_writer *w, const struct sampled *x)
{
    json_write_member_string(w, "answer", x->given.text);
    if (x->q->n_options > 0) {
        const char letter[2] = {(char)('A' + x->given.letter), '\0'};
        json_write_member_string(w, "letter", x->given.letter >= 0 ? letter : NULL);
    }
    json_write_member_double(w, "mean_logprob", x->given.mean_logprob);
    json_write_member_double(w, "mean_entropy", x->given.mean_entropy);
    json_write_member_integer(w, "tokens", (int64_t)x->given.tokens);
    if (x->n == 0)
        return;
    json_write_key(w, "samples");
    json_write_array(w);
    for (size_t i = 0; i < x->n; i++)
        put_sample(w, &x->drawn[i]);
    json_write_end(w, ']');
    json_write_member_integer(w, "invalid", (int64_t)x->consistency.invalid);
    json_write_member_integer(w, "distinct", (int64_t)x->consistency.distinct);
    json_write_member_integer(w, "clusters", x->n_clusters);
}

void answers_line_write(const struct sampled *x, const bool *wanted, struct buffer *out)
{
    struct json_writer w = json_writer_start(out, 0);
    char item[33];
    hash_hex(x->q->hash, item);
    json_write_object(&w);
    json_write_member_string(&w, "item", item);
    json_write_member_string(&w, "group", x->q->group);
    put_right(&w, x->given.right);
    json_write_key(&w, "confidence");
    json_write_object(&w);
    for (int s = 0; s < ANSWER_SOURCES; s++)
        if (wanted[s])
            json_write_member_double(&w, answer_source(s)->name, answer_source_value(s, x));
    json_write_end(&w, '}');
    json_write_key(&w, "passes");
    json_write_object(&w);
    for (int s = 0; s < ANSWER_SOURCES; s++)
        if (wanted[s])
            json_write_member_double(&w, answer_source(s)->name, answer_source_passes(s, x));
    json_write_end(&w, '}');
    put_question(&w, x->q);
    put_answers(&w, x);
    json_write_end(&w, '}');
}

/* ---- reading ----------------------------------------------------------------------------------- */

static size_t count_of(struct json object, const char *key)
{
    int64_t n;
    return json_integer(json_get(object, key), &n) && n > 0 ? (size_t)n : 0;
}

/* Members besides the four of every confidence file, as an object of their own. */
static int keep_extra(struct json object, size_t i, struct confidence_file *f,
                      struct plumb_error *e)
{
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    json_write_object(&w);
    for (struct json_iterator m = json_each(object); json_next(&m);) {
        static const char *const own[] = {"item", "group", "right", "confidence"};
        bool known = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            known =
                known || (strlen(own[k]) == m.key_size && memcmp(own[k], m.key, m.key_size) == 0);
        if (known)
            continue;
        char *key = mem_strndup(m.key, m.key_size);
        if (!key) {
            text.failed = true;
            break;
        }
        json_write_key(&w, key);
        json_write_value(&w, m.value);
        mem_free(key);
    }
    json_write_end(&w, '}');
    f->extra[i] = text.failed ? NULL : confidence_keep(f, buffer_string(&text));
    buffer_free(&text);
    return f->extra[i] ? PLUMB_OK : error_memory(e, "the answers");
}

static void count_samples(struct json object, size_t i, struct answers_report *r)
{
    const struct json samples = json_get(object, "samples");
    size_t right = 0;
    bool known = json_size(samples) > 0;
    for (struct json_iterator s = json_each(samples); json_next(&s);) {
        bool is_right;
        if (json_bool(json_get(s.value, "right"), &is_right))
            right += is_right;
        else
            known = false;
    }
    r->sample_count[i] = json_size(samples);
    r->sample_right[i] = right;
    r->known[i] = known;
    r->samples += json_size(samples);
    r->invalid += count_of(object, "invalid");
    r->distinct += (double)count_of(object, "distinct");
    r->clusters += (double)count_of(object, "clusters");
}

static void count_answer(struct json object, int8_t right, struct answers_report *r)
{
    const char *text = "";
    size_t n = 0;
    const bool with_options = json_exists(json_get(object, "choices"));
    json_string(json_get(object, "answer"), &text, &n);
    r->answered += with_options ? json_exists(json_get(object, "letter")) : n > 0;
    r->judged += right >= 0;
    r->right += right == 1;
}

int answers_line_read(const char *line, size_t n, const char *what, size_t i,
                      struct confidence_file *f, double *passes, struct answers_report *r,
                      struct plumb_error *e)
{
    struct json_document *d;
    const char *group;
    size_t size;
    bool is_right;
    int status = json_parse(line, n, what, &d, e);
    if (status != PLUMB_OK)
        return status;
    const struct json object = json_root(d);
    if (json_string(json_get(object, "group"), &group, &size)) {
        f->group[i] = confidence_keep(f, group);
        if (!f->group[i])
            status = error_memory(e, "the answers");
    }
    f->right[i] = json_bool(json_get(object, "right"), &is_right) ? (int8_t)is_right : (int8_t)-1;
    for (int s = 0; s < f->n_sources; s++) {
        double x;
        if (json_number(json_get(json_get(object, "confidence"), f->sources[s].name), &x))
            f->value[s][i] = x;
        if (json_number(json_get(json_get(object, "passes"), f->sources[s].name), &x))
            passes[s] += x;
    }
    count_samples(object, i, r);
    count_answer(object, f->right[i], r);
    if (status == PLUMB_OK)
        status = keep_extra(object, i, f, e);
    json_close(d);
    return status;
}
