/*
 * answers_file.c - see answers_file.h.
 *
 * PATH.partial: a first line with the hash of everything that decides the result, then the line of each question that is done, in
 * order. A line that was cut off when the run was killed is dropped.
 */
#include "answer/answers_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "answer/answers_line.h"
#include "base/file.h"
#include "base/memory.h"

struct recording {
    struct model *m;
    const struct free_form_set *questions;
    const struct answers_options *o;
    const char *path;
    char *partial; /* PATH.partial */
    FILE *stream;  /* of the partial, at its end */
    struct answer_prompt prompt;
    struct sampling *sampling;
    char key[33], model[33], task[33];
    char **lines; /* [questions->count] null: not done */
    size_t done;
    struct plumb_error *e;
};

struct answers_options answers_options_default(void)
{
    return (struct answers_options){
        .prompt = {.shots = -1}, .sampled = sampled_options_default(), .chunk = 8};
}

void answers_report_free(struct answers_report *r)
{
    mem_free(r->sample_count);
    mem_free(r->sample_right);
    mem_free(r->known);
    *r = (struct answers_report){0};
}

/* ---- what decides the result ------------------------------------------------------------------- */

static void add_text(struct hash_state *h, const char *text)
{
    const struct hash128 one = hash_bytes(text ? text : "", text ? strlen(text) : 0);
    hash_add(h, &one, sizeof one);
}

static void add_options(struct hash_state *h, const struct answers_options *o)
{
    const struct sampled_options *s = &o->sampled;
    const double numbers[] = {s->sampling.temperature, s->sampling.top_p,
                              s->sampling.min_p,       s->sampling.repeat_penalty,
                              s->meaning.threshold,    s->judge.f1_threshold};
    const int64_t integers[] = {s->samples,        s->given,
                                s->sampling.top_k, s->max_tokens,
                                s->meaning.by,     s->meaning.strict,
                                s->meaning.layer,  s->meaning.rotations,
                                s->judge.rule,     (int64_t)s->sampling.seed};
    hash_add(h, numbers, sizeof numbers);
    hash_add(h, integers, sizeof integers);
    hash_add(h, o->sources, sizeof o->sources);
    add_text(h, s->judge.command);
}

/* The same key, the same file. */
static int make_key(struct recording *r)
{
    struct hash128 model = {0}, prompt = {0};
    int status = model_fingerprint(r->m, &model, r->e);
    if (status == PLUMB_OK)
        status = answer_prompt_hash(&r->prompt, r->questions->has_options, &prompt, r->e);
    struct hash_state *h = status == PLUMB_OK ? hash_create() : NULL;
    if (!h)
        return status == PLUMB_OK ? error_memory(r->e, "a hash") : status;
    hash_hex(model, r->model);
    hash_hex(r->questions->hash, r->task);
    hash_add(h, &model, sizeof model);
    hash_add(h, &prompt, sizeof prompt);
    hash_add(h, &r->questions->hash, sizeof r->questions->hash);
    add_options(h, r->o);
    add_text(h, precision_name(model_precision(r->m)));
    add_text(h, model_arithmetic(r->m));
    add_text(h, PLUMB_VERSION);
    hash_hex(hash_finish(h), r->key);
    return PLUMB_OK;
}

/* ---- the partial file -------------------------------------------------------------------------- */

static void write_key(const struct recording *r, struct buffer *out)
{
    buffer_printf(out, "{\"plumb_answers_partial\": \"%s\"}\n", r->key);
}

/* The lines of an earlier run. *end: so many bytes of the file are whole. */
static int take_lines(struct recording *r, const char *bytes, size_t n, size_t *end)
{
    struct buffer first = BUFFER_EMPTY;
    write_key(r, &first);
    const bool same =
        !first.failed && n >= first.size && memcmp(bytes, first.data, first.size) == 0;
    *end = first.size;
    buffer_free(&first);
    if (!same)
        return error_set(r->e, PLUMB_INPUT,
                         "%s was begun with another model, questions or options: remove it, or "
                         "give another output",
                         r->partial);
    while (*end < n && r->done < r->questions->count) {
        const char *at = bytes + *end, *stop = memchr(at, '\n', n - *end);
        if (!stop)
            break;
        r->lines[r->done] = mem_strndup(at, (size_t)(stop - at));
        if (!r->lines[r->done])
            return error_memory(r->e, "the answers");
        r->done++;
        *end += (size_t)(stop - at) + 1;
    }
    return PLUMB_OK;
}

static int open_partial(struct recording *r)
{
    struct file_map file;
    struct buffer first = BUFFER_EMPTY;
    size_t end = 0;
    int status = PLUMB_OK;
    if (file_exists(r->partial)) {
        status = file_map_open(r->partial, &file, r->e);
        if (status != PLUMB_OK)
            return status;
        status = take_lines(r, (const char *)file.data, file.size, &end);
        file_map_close(&file);
        if (status == PLUMB_OK && truncate(r->partial, (off_t)end) != 0)
            status = error_system(r->e, errno, "shorten", r->partial);
    }
    if (status != PLUMB_OK)
        return status;
    r->stream = fopen(r->partial, "ab");
    if (!r->stream)
        return error_system(r->e, errno, "write", r->partial);
    write_key(r, &first);
    if (end == 0)
        fputs(buffer_string(&first), r->stream);
    buffer_free(&first);
    return fflush(r->stream) == 0 ? PLUMB_OK : error_system(r->e, errno, "write", r->partial);
}

/* ---- running ----------------------------------------------------------------------------------- */

static bool tell(const struct recording *r)
{
    return progress_report(r->o->progress, r->done, r->questions->count, "questions", NULL);
}

static bool go_on(void *user)
{
    return tell(user);
}

static int keep_lines(struct recording *r, const struct sampled *made, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buffer line = BUFFER_EMPTY;
        answers_line_write(&made[i], r->o->sources, &line);
        r->lines[r->done] = line.failed ? NULL : mem_strndup(buffer_string(&line), line.size);
        buffer_free(&line);
        if (!r->lines[r->done])
            return error_memory(r->e, "the answers");
        fprintf(r->stream, "%s\n", r->lines[r->done]);
        r->done++;
    }
    return fflush(r->stream) == 0 ? PLUMB_OK : error_system(r->e, errno, "write", r->partial);
}

static int run(struct recording *r)
{
    const size_t total = r->questions->count;
    struct sampled *made = mem_zalloc((size_t)r->o->chunk, sizeof *made);
    int status = made ? PLUMB_OK : error_memory(r->e, "the answers");
    while (status == PLUMB_OK && r->done < total) {
        const size_t left = total - r->done,
                     n = left < (size_t)r->o->chunk ? left : (size_t)r->o->chunk;
        status = tell(r) ? sampling_run(r->sampling, r->questions->items + r->done, n, go_on, r,
                                        made, r->e)
                         : error_set(r->e, PLUMB_NO, "stopped");
        if (status != PLUMB_OK)
            break;
        status = keep_lines(r, made, n);
        sampled_free(made, n);
    }
    if (status == PLUMB_OK)
        tell(r);
    else if (status == PLUMB_NO)
        error_set(r->e, PLUMB_NO, "stopped after %zu of %zu questions: the same command goes on",
                  r->done, total);
    mem_free(made);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------------- */

static const char *const given_names[] = {[GIVEN_GREEDY] = "greedy", [GIVEN_MAJORITY] = "majority"};
static const char *const meaning_names[] = {[MEANING_STRING] = "string",
                                            [MEANING_ENTAILMENT] = "entailment",
                                            [MEANING_EMBEDDING] = "embedding"};

/* How a source was made, as a JSON object. */
static void write_details(const struct recording *r, enum answer_source s, struct buffer *out)
{
    const struct sampled_options *o = &r->o->sampled;
    struct json_writer w = json_writer_start(out, 0);
    json_write_object(&w);
    json_write_key(&w, "answer");
    json_write_string(&w, given_names[o->given]);
    json_write_key(&w, "prompt");
    json_write_string(&w, r->prompt.chat ? "chat" : "plain");
    json_write_key(&w, "max_tokens");
    json_write_integer(&w, o->max_tokens);
    if (answer_source(s)->samples) {
        json_write_key(&w, "samples");
        json_write_integer(&w, o->samples);
        json_write_key(&w, "temperature");
        json_write_double(&w, o->sampling.temperature);
        json_write_key(&w, "top_k");
        json_write_integer(&w, o->sampling.top_k);
        json_write_key(&w, "top_p");
        json_write_double(&w, o->sampling.top_p);
        json_write_key(&w, "min_p");
        json_write_double(&w, o->sampling.min_p);
        json_write_key(&w, "seed");
        json_write_integer(&w, (int64_t)o->sampling.seed);
    }
    if (answer_source(s)->meaning) {
        json_write_key(&w, "clusters");
        json_write_string(&w, meaning_names[o->meaning.by]);
        if (o->meaning.by == MEANING_EMBEDDING) {
            json_write_key(&w, "cosine");
            json_write_double(&w, o->meaning.threshold);
            json_write_key(&w, "layer"); /* 0: the middle one */
            json_write_integer(&w, o->meaning.layer);
        }
        if (o->meaning.by == MEANING_ENTAILMENT) {
            json_write_key(&w, "strict");
            json_write_bool(&w, o->meaning.strict);
            json_write_key(&w, "rotations");
            json_write_integer(&w, o->meaning.rotations);
        }
    }
    if (s == SOURCE_CAPABILITY) {
        json_write_key(&w, "uses_right_answers");
        json_write_bool(&w, true);
    }
    json_write_end(&w, '}');
}

static int fill_header(const struct recording *r, struct confidence_file *f)
{
    struct buffer text = BUFFER_EMPTY;
    bool good = true;
    if (r->questions->has_options && r->o->sampled.judge.rule != CORRECT_COMMAND)
        buffer_puts(&text, "the option that the answer names is the right one");
    else
        judge_words(&r->o->sampled.judge, &text);
    f->judged = confidence_keep(f, buffer_string(&text));
    f->model = confidence_keep(f, r->model);
    f->model_name = confidence_keep(f, model_name(r->m));
    f->task = confidence_keep(f, r->task);
    f->task_name = confidence_keep(f, r->questions->name);
    buffer_clear(&text);
    buffer_printf(&text, "{\"answers\": \"%s\"}", r->key);
    f->header_extra = confidence_keep(f, buffer_string(&text));
    for (int s = 0, at = 0; s < ANSWER_SOURCES; s++) {
        if (!r->o->sources[s])
            continue;
        const struct answer_source_row *row = answer_source(s);
        buffer_clear(&text);
        write_details(r, s, &text);
        f->sources[at++] =
            (struct confidence_source){.name = row->name,
                                       .words = row->words,
                                       .probability = row->probability,
                                       .details = confidence_keep(f, buffer_string(&text))};
        good = good && f->sources[at - 1].details;
    }
    good = good && f->judged && f->model && f->model_name && f->task && f->task_name &&
           f->header_extra && !text.failed;
    buffer_free(&text);
    return good ? PLUMB_OK : error_memory(r->e, "the answers");
}

/* Rows and sums, from the lines. */
static int fill_rows(const struct recording *r, struct confidence_file *f,
                     struct answers_report *sum)
{
    double passes[ANSWER_SOURCES] = {0};
    const size_t n = r->questions->count;
    int status = PLUMB_OK;
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        f->item[i] = r->questions->items[i].hash;
        status = answers_line_read(r->lines[i], strlen(r->lines[i]), r->partial, i, f, passes, sum,
                                   r->e);
    }
    for (int s = 0; s < f->n_sources; s++)
        f->sources[s].passes = passes[s] / (double)n;
    sum->distinct = sum->samples ? sum->distinct / (double)n : NAN;
    sum->clusters = sum->samples ? sum->clusters / (double)n : NAN;
    return status;
}

static int assemble(const struct recording *r, struct confidence_file *f,
                    struct answers_report *sum)
{
    int n_sources = 0;
    for (int s = 0; s < ANSWER_SOURCES; s++)
        n_sources += r->o->sources[s];
    int status = confidence_create(r->questions->count, n_sources, f, r->e);
    if (status == PLUMB_OK)
        status = fill_header(r, f);
    return status == PLUMB_OK ? fill_rows(r, f, sum) : status;
}

/* ---- finished already? ------------------------------------------------------------------------- */

/* The rows of a finished file, as lines: what the sums are made of. */
static int lines_of(const struct recording *r, const char *path)
{
    struct file_map file;
    int status = file_map_open(path, &file, r->e);
    if (status != PLUMB_OK)
        return status;
    const char *at = (const char *)file.data, *end = at + file.size;
    for (size_t line = 0; at < end && line <= r->questions->count && status == PLUMB_OK; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((stop ? stop : end) - at);
        if (line > 0) {
            r->lines[line - 1] = mem_strndup(at, n);
            if (!r->lines[line - 1])
                status = error_memory(r->e, "the answers");
        }
        at += n + (stop != NULL);
    }
    file_map_close(&file);
    return status;
}

static bool is_finished(const struct recording *r)
{
    struct confidence_file f;
    struct plumb_error ignored = {0};
    char expected[64];
    if (!file_exists(r->path) || file_exists(r->partial) || !confidence_is_file(r->path) ||
        confidence_read(r->path, &f, &ignored) != PLUMB_OK)
        return false;
    snprintf(expected, sizeof expected, "\"answers\": \"%s\"", r->key);
    const bool same =
        f.n == r->questions->count && f.header_extra && strstr(f.header_extra, expected);
    confidence_free(&f);
    return same;
}

static int check(const struct recording *r)
{
    bool any = false;
    for (int s = 0; s < ANSWER_SOURCES; s++) {
        any = any || r->o->sources[s];
        if (r->o->sources[s] && answer_source(s)->samples && r->o->sampled.samples == 0)
            return error_set(r->e, PLUMB_INPUT,
                             "the confidence \"%s\" is of samples: ask for 10 or more",
                             answer_source(s)->name);
    }
    if (!any)
        return error_set(r->e, PLUMB_INPUT, "no confidence is asked for; expected at least one");
    if (r->o->chunk < 1)
        return error_set(r->e, PLUMB_INPUT, "%d questions at a time; expected 1 or more",
                         r->o->chunk);
    return PLUMB_OK;
}

static int reserve(struct recording *r, struct answers_report *report)
{
    const size_t n = r->questions->count, size = strlen(r->path) + sizeof ".partial";
    report->questions = n;
    r->lines = mem_zalloc(n, sizeof(char *)); // NOLINT(bugprone-sizeof-expression)
    r->partial = mem_alloc(size);
    report->sample_count = mem_zalloc(n, sizeof *report->sample_count);
    report->sample_right = mem_zalloc(n, sizeof *report->sample_right);
    report->known = mem_zalloc(n, sizeof *report->known);
    if (!r->lines || !r->partial || !report->sample_count || !report->sample_right ||
        !report->known)
        return error_memory(r->e, "the answers");
    snprintf(r->partial, size, "%s.partial", r->path);
    return PLUMB_OK;
}

/* Everything up to the file. */
static int record(struct recording *r, struct confidence_file *out, struct answers_report *report)
{
    int status = answer_prompt_open(r->m, &r->o->prompt, &r->prompt, r->e);
    if (status == PLUMB_OK)
        status = make_key(r);
    report->chat = r->prompt.chat != NULL;
    if (status == PLUMB_OK && is_finished(r)) {
        report->resumed = r->questions->count;
        status = lines_of(r, r->path);
        return status == PLUMB_OK ? assemble(r, out, report) : status;
    }
    if (status == PLUMB_OK) /* before anything is written: an option may be wrong */
        status = sampling_open(r->m, &r->prompt, &r->o->sampled, &r->sampling, r->e);
    if (status == PLUMB_OK)
        status = open_partial(r);
    report->resumed = r->done;
    if (status == PLUMB_OK)
        status = run(r);
    if (status == PLUMB_OK)
        status = assemble(r, out, report);
    if (status == PLUMB_OK)
        status = confidence_write(out, r->path, r->e);
    if (status == PLUMB_OK)
        unlink(r->partial);
    return status;
}

int answers_record(struct model *m, const struct free_form_set *questions,
                   const struct answers_options *o, const char *path, struct confidence_file *out,
                   struct answers_report *report, struct plumb_error *e)
{
    struct recording r = {.m = m, .questions = questions, .o = o, .path = path, .e = e};
    const double start = clock_seconds();
    *out = (struct confidence_file){0};
    *report = (struct answers_report){0};
    int status = check(&r);
    if (status == PLUMB_OK)
        status = reserve(&r, report);
    if (status == PLUMB_OK)
        status = record(&r, out, report);
    report->seconds = clock_seconds() - start;
    if (r.stream)
        fclose(r.stream);
    for (size_t i = 0; r.lines && i < questions->count; i++)
        mem_free(r.lines[i]);
    mem_free(r.lines);
    mem_free(r.partial);
    sampling_close(r.sampling);
    answer_prompt_close(&r.prompt);
    if (status != PLUMB_OK) {
        confidence_free(out);
        answers_report_free(report);
    }
    return status;
}
