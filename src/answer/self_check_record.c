/*
 * self_check_record.c - see self_check_record.h.
 *
 * PATH.partial: a first line with the hash of everything that decides the result, then a line of JSON for each question that is
 * done, in order. A line that was cut off when the run was killed is dropped.
 */
#include "answer/self_check_record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "answer/self_check_trace.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/sum.h"
#include "model/chat.h"

struct recording {
    struct model *m;
    const struct self_check_answers *answers;
    const struct self_check_options *o;
    const char *path;
    char *partial; /* PATH.partial */
    FILE *stream;  /* of the partial, at its end */
    bool chat;
    char key[33], fingerprint[33];
    struct self_check_result *results; /* [answers->n] */
    size_t done;
    struct plumb_error *e;
};

/* ---- what decides the result ------------------------------------------------------------------- */

static void add_hash(struct hash_state *h, struct hash128 part)
{
    hash_add(h, &part, sizeof part);
}

/* The same key, the same file. */
static int make_key(struct recording *r)
{
    struct hash128 model = {0}, chat = {0};
    struct chat *template = NULL;
    int status = model_fingerprint(r->m, &model, r->e);
    if (status == PLUMB_OK)
        status = self_check_uses_chat(r->m, r->o->template, &r->chat, r->e);
    if (status == PLUMB_OK && r->chat)
        status = chat_open(model_path(r->m), &template, r->e);
    if (status == PLUMB_OK && template)
        chat = chat_hash(template);
    chat_close(template);
    struct hash_state *h = status == PLUMB_OK ? hash_create() : NULL;
    if (status != PLUMB_OK || !h)
        return status == PLUMB_OK ? error_memory(r->e, "a hash") : status;
    const int numbers[] = {r->chat, r->o->reasoning_tokens, r->o->number_tokens, r->o->guess_tokens,
                           (int)model_precision(r->m)};
    hash_hex(model, r->fingerprint);
    add_hash(h, model);
    add_hash(h, chat);
    add_hash(h, r->answers->identity);
    add_hash(h, self_check_wording_hash(&r->o->wording));
    hash_add(h, r->o->wanted, sizeof r->o->wanted);
    hash_add(h, numbers, sizeof numbers);
    hash_add(h, model_arithmetic(r->m), strlen(model_arithmetic(r->m)));
    hash_add(h, PLUMB_VERSION, strlen(PLUMB_VERSION));
    hash_hex(hash_finish(h), r->key);
    return PLUMB_OK;
}

/* ---- the partial file --------------------------------------------------------------------------- */

static const char partial_key[] = "plumb_self_check_partial";

static void put_string(struct json_writer *w, const char *s)
{
    if (s)
        json_write_string(w, s);
    else
        json_write_null(w);
}

static void put_result(struct json_writer *w, size_t i, const struct self_check_result *x)
{
    json_write_object(w);
    json_write_key(w, "question");
    json_write_integer(w, (int64_t)i);
    json_write_key(w, "p");
    json_write_array(w);
    json_write_double(w, x->log_true);
    json_write_double(w, x->log_false);
    json_write_end(w, ']');
    json_write_key(w, "reasoning");
    put_string(w, x->thoughts);
    json_write_key(w, "sources");
    json_write_array(w);
    for (int s = 0; s < SELF_CHECKS; s++) {
        json_write_array(w);
        json_write_double(w, x->value[s]);
        json_write_integer(w, x->passes[s]);
        json_write_integer(w, (int64_t)x->run[s]);
        json_write_integer(w, (int64_t)x->prompt[s]);
        put_string(w, x->said[s]);
        json_write_bool(w, x->other[s]);
        json_write_end(w, ']');
    }
    json_write_end(w, ']');
    json_write_end(w, '}');
}

static bool read_double(struct json v, double *out)
{
    *out = (double)NAN;
    return json_kind(v) == JSON_NULL || json_number(v, out);
}

static bool read_size(struct json v, int64_t most, size_t *out)
{
    int64_t n;
    if (!json_integer(v, &n) || n < 0 || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

static bool read_string(struct json v, char **out)
{
    const char *s;
    size_t n;
    *out = NULL;
    if (json_kind(v) == JSON_NULL)
        return true;
    if (!json_string(v, &s, &n))
        return false;
    *out = mem_strndup(s, n);
    return *out != NULL;
}

static bool read_source(struct json v, int s, struct self_check_result *out)
{
    size_t passes = 0;
    const bool good = read_double(json_at(v, 0), &out->value[s]) &&
                      read_size(json_at(v, 1), INT32_MAX, &passes) &&
                      read_size(json_at(v, 2), INT64_MAX, &out->run[s]) &&
                      read_size(json_at(v, 3), INT64_MAX, &out->prompt[s]) &&
                      read_string(json_at(v, 4), &out->said[s]) &&
                      json_bool(json_at(v, 5), &out->other[s]);
    out->passes[s] = (int)passes;
    return good;
}

/* One line of a question; false: it is not whole, or not what stands here. */
static bool read_result(struct json v, size_t i, struct self_check_result *out)
{
    size_t question;
    const struct json p = json_get(v, "p"), all = json_get(v, "sources");
    bool good = read_size(json_get(v, "question"), INT64_MAX, &question) && question == i &&
                json_size(all) == SELF_CHECKS && read_double(json_at(p, 0), &out->log_true) &&
                read_double(json_at(p, 1), &out->log_false) &&
                read_string(json_get(v, "reasoning"), &out->thoughts);
    for (int s = 0; good && s < SELF_CHECKS; s++)
        good = read_source(json_at(all, (size_t)s), s, out);
    return good;
}

/* Reads what is done; *keep = bytes of whole lines. */
static int read_partial(struct recording *r, const struct file_map *f, size_t *keep)
{
    const char *at = (const char *)f->data, *end = at + f->size;
    const char *line_end = memchr(at, '\n', f->size);
    struct json_document *d = NULL;
    *keep = 0;
    if (!line_end || json_parse(at, (size_t)(line_end - at), r->partial, &d, NULL) != PLUMB_OK ||
        !json_is_string(json_get(json_root(d), partial_key), r->key)) {
        json_close(d);
        return error_set(r->e, PLUMB_INPUT,
                         "%s is left from another run (another model, other questions, other "
                         "options): remove it, or write to another file",
                         r->partial);
    }
    json_close(d);
    for (at = line_end + 1; at < end && r->done < r->answers->n; at = line_end + 1) {
        struct self_check_result *x = &r->results[r->done];
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end || json_parse(at, (size_t)(line_end - at), r->partial, &d, NULL) != PLUMB_OK)
            break;
        const bool good = read_result(json_root(d), r->done, x);
        json_close(d);
        if (!good) {
            self_check_results_free(x, 1);
            break;
        }
        r->done++;
    }
    *keep = (size_t)(at - (const char *)f->data);
    return PLUMB_OK;
}

static int disk_failed(const struct recording *r)
{
    return error_set(r->e, PLUMB_MACHINE, "%s: cannot write: is the disk full?", r->partial);
}

static int open_partial(struct recording *r)
{
    struct file_map f = {0};
    size_t keep = 0;
    int status = PLUMB_OK;
    const bool there = file_exists(r->partial);
    if (there)
        status = file_map_open(r->partial, &f, r->e);
    const bool empty = !there || f.size == 0;
    if (status == PLUMB_OK && !empty)
        status = read_partial(r, &f, &keep);
    file_map_close(&f);
    if (status != PLUMB_OK)
        return status;
    if (!empty && truncate(r->partial, (off_t)keep) != 0)
        return disk_failed(r);
    r->stream = fopen(r->partial, "ab");
    if (!r->stream)
        return disk_failed(r);
    if (empty)
        fprintf(r->stream, "{\"%s\": \"%s\"}\n", partial_key, r->key);
    return fflush(r->stream) == 0 ? PLUMB_OK : disk_failed(r);
}

static int append(void *user, size_t first, size_t n, const struct self_check_result *results,
                  struct plumb_error *e)
{
    struct recording *r = user;
    struct buffer line = BUFFER_EMPTY;
    for (size_t i = 0; i < n; i++) {
        struct json_writer w = json_writer_start(&line, 0);
        put_result(&w, r->done + i, &results[i]);
        buffer_putc(&line, '\n');
    }
    (void)first;
    r->done += n;
    const bool failed = line.failed;
    const bool good = !failed && fwrite(line.data, 1, line.size, r->stream) == line.size &&
                      fflush(r->stream) == 0;
    buffer_free(&line);
    return good ? PLUMB_OK : failed ? error_memory(e, "a line of results") : disk_failed(r);
}

/* ---- the run ----------------------------------------------------------------------------------- */

/* Progress of the questions that are left, told as of all of them. */
struct rest {
    const struct progress *told;
    size_t before;
};
static bool tell(void *user, size_t done, size_t total, const char *unit, const char *note)
{
    const struct rest *rest = user;
    return progress_report(rest->told, rest->before + done, rest->before + total, unit, note);
}

static int run_rest(struct recording *r, struct self_check_record_report *report)
{
    const size_t done = r->done, left = r->answers->n - done;
    struct rest rest = {r->o->progress, done};
    const struct progress progress = {tell, &rest};
    struct self_check_options o = *r->o;
    struct self_check_report run = {0};
    o.progress = &progress;
    o.batch_done = append;
    o.user = r;
    int status = left > 0 ? self_check_run(r->m, r->answers->items + done, left, &o,
                                           r->results + done, &run, r->e)
                          : PLUMB_OK;
    report->seconds = run.seconds;
    if (status == PLUMB_NO)
        status =
            error_set(r->e, PLUMB_NO,
                      "stopped after %zu of %zu questions; the same command goes on from there",
                      r->done, r->answers->n);
    return status;
}

/* ---- the confidence file ------------------------------------------------------------------------ */

static double mean_of(const struct recording *r, enum self_check s,
                      double (*of)(const struct self_check_result *, enum self_check))
{
    struct sum sum = {0};
    for (size_t i = 0; i < r->answers->n; i++)
        sum_add(&sum, of(&r->results[i], s));
    return sum_value(sum) / (double)r->answers->n;
}

static double passes_of(const struct self_check_result *x, enum self_check s)
{
    return x->passes[s];
}
static double run_of(const struct self_check_result *x, enum self_check s)
{
    return (double)x->run[s];
}
static double prompt_of(const struct self_check_result *x, enum self_check s)
{
    return (double)x->prompt[s];
}
static double mass_of(const struct self_check_result *x, enum self_check s)
{
    (void)s;
    return exp(x->log_true) + exp(x->log_false);
}

static bool one_step(enum self_check s)
{
    return s == SELF_CHECK_VERBALISED || s == SELF_CHECK_VERBALISED_TOP_K ||
           s == SELF_CHECK_LINGUISTIC;
}

/* How a source was asked, what is missing, what it cost. */
static int describe(const struct recording *r, enum self_check s, const double *value,
                    struct confidence_file *out, struct confidence_source *source)
{
    const bool p_true = s == SELF_CHECK_P_TRUE || s == SELF_CHECK_P_TRUE_RAW;
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    size_t missing = 0, other = 0;
    for (size_t i = 0; i < out->n; i++) {
        missing += isnan(value[i]) != 0;
        other += r->results[i].other[s];
    }
    json_write_object(&w);
    json_write_key(&w, "missing");
    json_write_integer(&w, (int64_t)missing);
    if (one_step(s)) {
        json_write_key(&w, "guess");
        json_write_string(&w, r->o->wording.own_guess ? "own" : "given");
        json_write_key(&w, "guessed_another");
        json_write_integer(&w, (int64_t)other);
    }
    json_write_member_double(&w, "tokens", mean_of(r, s, prompt_of));
    json_write_member_double(&w, "tokens_run", mean_of(r, s, run_of));
    json_write_key(&w, "template");
    json_write_string(&w, r->chat ? "chat" : "plain");
    if (p_true) {
        json_write_member_double(&w, "letter_mass", mean_of(r, s, mass_of));
        json_write_key(&w, "layout");
        json_write_string(&w, r->o->wording.layout == P_TRUE_PLAIN ? "plain" : "brainstormed");
        json_write_key(&w, "examples");
        json_write_integer(&w, r->o->wording.n_shots);
    }
    if (s == SELF_CHECK_VERBALISED_TOP_K) {
        json_write_key(&w, "k");
        json_write_integer(&w, r->o->wording.k);
    }
    if (s == SELF_CHECK_VERBALISED_REASON || s == SELF_CHECK_JUDGE) {
        json_write_key(&w, "reasoning_tokens");
        json_write_integer(&w, r->o->reasoning_tokens);
    }
    json_write_end(&w, '}');
    *source = (struct confidence_source){.name = self_check_name(s),
                                         .words = self_check_words(s),
                                         .passes = mean_of(r, s, passes_of),
                                         .probability = true,
                                         .details = confidence_keep(out, buffer_string(&text))};
    const bool good = !text.failed && source->details;
    buffer_free(&text);
    return good ? PLUMB_OK : error_memory(r->e, "the confidences");
}

/* The members of one question that are not those of every confidence file. */
static int put_extra(const struct recording *r, size_t i, struct confidence_file *out)
{
    const struct self_check_result *x = &r->results[i];
    struct buffer text = BUFFER_EMPTY;
    struct json_writer w = json_writer_start(&text, 0);
    json_write_object(&w);
    json_write_key(&w, "question");
    json_write_string(&w, r->answers->items[i].question);
    json_write_key(&w, "answer");
    json_write_string(&w, r->answers->items[i].answer);
    if (x->thoughts) {
        json_write_key(&w, "reasoning");
        json_write_string(&w, x->thoughts);
    }
    json_write_key(&w, "said");
    json_write_object(&w);
    for (int s = 0; s < SELF_CHECKS; s++)
        if (x->said[s]) {
            json_write_key(&w, self_check_name((enum self_check)s));
            json_write_string(&w, x->said[s]);
        }
    json_write_end(&w, '}');
    json_write_end(&w, '}');
    out->extra[i] = confidence_keep(out, buffer_string(&text));
    const bool good = !text.failed && out->extra[i];
    buffer_free(&text);
    return good ? PLUMB_OK : error_memory(r->e, "the confidences");
}

static int put_sources(const struct recording *r, struct confidence_file *out)
{
    int status = PLUMB_OK, at = 0;
    for (int s = 0; s < SELF_CHECKS && status == PLUMB_OK; s++) {
        if (!r->o->wanted[s])
            continue;
        for (size_t i = 0; i < out->n; i++)
            out->value[at][i] = r->results[i].value[s];
        status = describe(r, (enum self_check)s, out->value[at], out, &out->sources[at]);
        at++;
    }
    return status;
}

static int make_file(const struct recording *r, struct confidence_file *out)
{
    const struct self_check_answers *a = r->answers;
    char key[64];
    int n_sources = 0;
    for (int s = 0; s < SELF_CHECKS; s++)
        n_sources += r->o->wanted[s];
    int status = confidence_create(a->n, n_sources, out, r->e);
    if (status != PLUMB_OK)
        return status;
    snprintf(key, sizeof key, "{\"self_check\": \"%s\"}", r->key);
    out->header_extra = confidence_keep(out, key);
    out->model = confidence_keep(out, r->fingerprint);
    out->model_name = confidence_keep(out, model_name(r->m));
    if (!out->header_extra || !out->model || !out->model_name)
        status = error_memory(r->e, "the confidences");
    out->task = a->task;
    out->task_name = a->task_name;
    out->judged = a->judged;
    if (status == PLUMB_OK)
        status = put_sources(r, out);
    for (size_t i = 0; i < a->n && status == PLUMB_OK; i++) {
        out->item[i] = a->hash[i];
        out->right[i] = a->right[i];
        out->group[i] = a->group[i];
        status = put_extra(r, i, out);
    }
    return status;
}

/* Is the finished file that is there this call's? */
static bool is_finished(const struct recording *r, struct confidence_file *out)
{
    struct json_document *d = NULL;
    if (!confidence_is_file(r->path) || confidence_read(r->path, out, NULL) != PLUMB_OK)
        return false;
    const char *extra = out->header_extra ? out->header_extra : "{}";
    const bool same = json_parse(extra, strlen(extra), r->path, &d, NULL) == PLUMB_OK &&
                      json_is_string(json_get(json_root(d), "self_check"), r->key);
    json_close(d);
    if (!same)
        confidence_free(out);
    return same;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static struct p_true_trace trace_of(const struct recording *r)
{
    return (struct p_true_trace){r->m,           r->answers,     r->results,
                                 &r->o->wording, r->fingerprint, r->chat};
}

static bool has_trace(const struct recording *r, const char *path)
{
    const struct p_true_trace of = trace_of(r);
    return p_true_trace_is_there(&of, path);
}

static int record(struct recording *r, const char *trace, struct confidence_file *out,
                  struct self_check_record_report *report)
{
    const struct p_true_trace of = trace_of(r);
    int status = open_partial(r);
    report->resumed = r->done;
    if (status == PLUMB_OK)
        status = run_rest(r, report);
    if (status == PLUMB_OK && trace)
        status = p_true_trace_write(&of, trace, r->e);
    if (status == PLUMB_OK)
        status = make_file(r, out);
    if (status == PLUMB_OK)
        status = confidence_write(out, r->path, r->e);
    if (r->stream)
        fclose(r->stream); /* every line was flushed, and told when that failed */
    if (status == PLUMB_OK)
        unlink(r->partial);
    return status;
}

static char *partial_path(const char *path)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_printf(&b, "%s.partial", path);
    char *out = b.failed ? NULL : mem_strndup(b.data, b.size);
    buffer_free(&b);
    return out;
}

bool self_check_is_in(struct model *m, const struct self_check_answers *answers,
                      const struct self_check_options *o, const char *path,
                      struct confidence_file *out)
{
    struct plumb_error ignored;
    struct recording r = {.m = m, .answers = answers, .o = o, .path = path, .e = &ignored};
    *out = (struct confidence_file){0};
    return make_key(&r) == PLUMB_OK && is_finished(&r, out);
}

int self_check_record(struct model *m, const struct self_check_answers *answers,
                      const struct self_check_options *o, const char *path, const char *trace,
                      struct confidence_file *out, struct self_check_record_report *report,
                      struct plumb_error *e)
{
    struct recording r = {.m = m, .answers = answers, .o = o, .path = path, .e = e};
    *out = (struct confidence_file){0};
    *report = (struct self_check_record_report){0};
    if (trace && !o->wanted[SELF_CHECK_P_TRUE] && !o->wanted[SELF_CHECK_P_TRUE_RAW])
        return error_set(e, PLUMB_INPUT, "a trace of P(True) needs the source p-true");
    r.partial = partial_path(path);
    r.results = mem_zalloc(answers->n, sizeof *r.results);
    int status = r.partial && r.results ? PLUMB_OK : error_memory(e, "the results");
    const struct tokenizer *tokenizer;
    if (status == PLUMB_OK)
        status = model_need_tokenizer(m, &tokenizer, e);
    if (status == PLUMB_OK)
        status = make_key(&r);
    report->chat = r.chat;
    const bool finished =
        status == PLUMB_OK && is_finished(&r, out) && (!trace || has_trace(&r, trace));
    if (finished)
        report->resumed = answers->n;
    if (status == PLUMB_OK && !finished) {
        confidence_free(out);
        status = record(&r, trace, out, report);
    }
    if (r.results)
        self_check_results_free(r.results, answers->n);
    mem_free(r.results);
    mem_free(r.partial);
    if (status != PLUMB_OK)
        confidence_free(out);
    return status;
}
