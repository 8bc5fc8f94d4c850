/*
 * spectrum_trace.c - `plumb spectrum --trace QUESTIONS`: the causal experiment in one command. Every intervention is written,
 * traced, measured and taken away again, one at a time.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/spectrum.h"
#include "model/config.h"
#include "spectrum/intervention.h"
#include "task/questions.h"
#include "trace/run.h"
#include "trace/scores.h"

/* From what changes least to what ruins. */
static const enum spectrum_intervention kinds[] = {
    INTERVENE_SCALE, INTERVENE_RESTORE, INTERVENE_SCALE_ONLY, INTERVENE_BREAK, INTERVENE_RANDOM};
enum { KINDS = sizeof kinds / sizeof *kinds, ARMS = 2 + KINDS };

struct experiment {
    const struct spectrum_verb_options *o;
    const struct model *base, *post;
    const struct spectrum_options *how;
    struct question_set questions;
    char *folder; /* of the traces */
    struct spectrum_arm *arms;
    struct plumb_error *e;
};

/* ---- one model ---- */

static int measure_trace(struct experiment *x, const char *path, struct digest *out)
{
    const struct sample_options rows = sample_options_default();
    struct measure_options how = measure_options_default();
    struct scores scores;
    struct sample sample;
    how.threads = x->o->threads;
    how.metric.bins = 10;
    int status = scores_read(path, &scores, x->e);
    if (status != PLUMB_OK)
        return status;
    status = sample_create(&scores, &rows, &sample, x->e);
    if (status == PLUMB_OK) {
        status = digest_of(&sample, &how, 1000, out, x->e);
        sample_free(&sample);
    }
    scores_free(&scores);
    return status;
}

static int trace_model(struct experiment *x, const char *model, struct spectrum_arm *arm)
{
    struct model_options open = model_options_default();
    struct trace_run_options run = trace_run_options_default();
    struct trace_run_report report;
    struct model *m = NULL;
    struct progress_line line;
    char name[64];
    snprintf(name, sizeof name, "%s.trace", arm->name);
    char *path = file_join(x->folder, name);
    if (!path)
        return error_memory(x->e, "a file name");
    progress_line_start(&line, x->o->common.quiet);
    open.threads = x->o->threads;
    open.progress = run.progress = &line.progress;
    run.lens = TRACE_LENS_NONE;
    int status = model_open(model, &open, &m, x->e);
    if (status == PLUMB_OK)
        status = trace_run(m, &x->questions, path, &run, &report, x->e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = measure_trace(x, path, &arm->digest);
    model_close(m);
    mem_free(path);
    return status;
}

/* ---- one intervention ---- */

/* A folder that this command wrote, or a single file. */
static void remove_model(const char *path)
{
    struct file_list files;
    struct plumb_error ignored;
    if (!file_is_folder(path)) {
        unlink(path);
        return;
    }
    if (file_list_folder(path, &files, &ignored) != PLUMB_OK)
        return;
    for (size_t i = 0; i < files.count; i++) {
        char *file = file_join(path, files.names[i]);
        if (file)
            unlink(file);
        mem_free(file);
    }
    file_list_free(&files);
    rmdir(path);
}

static int trace_intervention(struct experiment *x, enum spectrum_intervention kind,
                              struct spectrum_arm *arm)
{
    const bool gguf = strcmp(model_config(x->post)->gguf_or_hf, "GGUF") == 0;
    struct spectrum_options how = *x->how;
    struct intervention_result result;
    struct progress_line line;
    char name[64];
    snprintf(name, sizeof name, "%s%s", spectrum_intervention_name[kind], gguf ? ".gguf" : "");
    char *path = file_join(x->folder, name);
    if (!path)
        return error_memory(x->e, "a file name");
    progress_line_start(&line, x->o->common.quiet);
    how.progress = &line.progress;
    how.state = NULL;
    remove_model(path); /* what a run that was stopped left */
    int status = intervention_write(x->base, x->post, &how, kind, path, &result, x->e);
    progress_line_end(&line);
    if (status == PLUMB_OK) {
        arm->off = result.error;
        status = trace_model(x, path, arm);
        remove_model(path);
    }
    mem_free(path);
    return status;
}

/* ---- all of them ---- */

static int read_questions(const struct spectrum_verb_options *o, struct question_set *out,
                          struct plumb_error *e)
{
    size_t known = 0;
    const int status = questions_read(o->trace, o->limit, out, e);
    for (size_t i = 0; i < out->count && status == PLUMB_OK; i++)
        known += out->items[i].gold >= 0;
    if (status == PLUMB_OK && known == 0)
        return error_set(e, PLUMB_INPUT,
                         "%s: no question has an answer, so nothing can be measured", o->trace);
    return status;
}

int spectrum_trace_check(const struct spectrum_verb_options *o, struct plumb_error *e)
{
    struct question_set questions = {0};
    if (!o->trace)
        return o->limit ? error_set(e, PLUMB_INPUT, "--limit needs --trace") : PLUMB_OK;
    if (o->write)
        return error_set(e, PLUMB_INPUT, "--trace writes its models itself: leave out --write");
    if (!o->output)
        return error_set(
            e, PLUMB_INPUT,
            "--trace makes a report and keeps its traces beside it: add -o REPORT.html");
    if (o->rank)
        return error_set(e, PLUMB_INPUT,
                         "--trace needs the whole decomposition; leave --rank away");
    const int status = read_questions(o, &questions, e);
    questions_free(&questions);
    return status;
}

static int prepare(struct experiment *x)
{
    struct buffer folder = BUFFER_EMPTY;
    int status = read_questions(x->o, &x->questions, x->e);
    buffer_printf(&folder, "%s.traces", x->o->output);
    x->folder = mem_strdup(buffer_string(&folder));
    x->arms = mem_zalloc(ARMS, sizeof *x->arms);
    if (status == PLUMB_OK && (folder.failed || !x->folder || !x->arms))
        status = error_memory(x->e, "the experiment");
    buffer_free(&folder);
    return status == PLUMB_OK ? file_make_folder(x->folder, x->e) : status;
}

int spectrum_trace(const struct spectrum_verb_options *o, const struct model *base,
                   const struct model *post, const struct spectrum_options *how,
                   struct spectrum_arm **out, size_t *n, struct plumb_error *e)
{
    struct experiment x = {.o = o, .base = base, .post = post, .how = how, .e = e};
    int status = prepare(&x);
    for (int i = 0; i < ARMS && status == PLUMB_OK; i++) {
        struct spectrum_arm *arm = &x.arms[i];
        arm->name = i == 0 ? "base" : i == 1 ? "post" : spectrum_intervention_name[kinds[i - 2]];
        arm->off = NAN;
        status = i < 2 ? trace_model(&x, model_path(i ? post : base), arm)
                       : trace_intervention(&x, kinds[i - 2], arm);
    }
    mem_free(x.folder);
    questions_free(&x.questions);
    if (status == PLUMB_OK) {
        *out = x.arms;
        *n = ARMS;
    } else {
        mem_free(x.arms);
    }
    return status;
}

/* ---- showing ---- */

static void value_cell(struct table *t, const struct digest_value *v)
{
    if (isnan(v->low))
        table_cell(t, "%.3f", v->value);
    else
        table_cell(t, "%.3f [%.3f, %.3f]", v->value, v->low, v->high);
}

bool spectrum_print_arms(const struct spectrum_arm *arms, size_t n)
{
    static const char *const head[] = {"model",      "off", "accuracy",
                                       "confidence", "ECE", "of the gap"};
    struct table *t = table_create("lrrrrr");
    printf("\nwhat each part of the change does (%zu questions)\n", arms[0].digest.n);
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_cell(t, "%s", head[i]);
    for (size_t i = 0; i < n; i++) {
        const double share = spectrum_arm_share(arms, i);
        table_cell(t, "%s", arms[i].name);
        if (isnan(arms[i].off))
            table_cell(t, "%s", "");
        else
            table_cell(t, "%.3f", arms[i].off);
        value_cell(t, &arms[i].digest.accuracy);
        table_cell(t, "%.3f", arms[i].digest.mean_confidence.value);
        value_cell(t, &arms[i].digest.ece);
        table_cell(t, isnan(share) ? "-" : "%.0f %%", 100 * share);
    }
    if (!table_print(t, stdout))
        return false;
    options_wrap("off: |X - W_post| / |W_post| over the replaced matrices. of the gap: how much of "
                 "the ECE that post has above base is left; not told of models that lost more than "
                 "five points of accuracy.",
                 0, 0, stdout);
    return true;
}

void spectrum_write_arms(const struct spectrum_arm *arms, size_t n, struct result *r)
{
    json_write_key(&r->json, "interventions");
    json_write_array(&r->json);
    for (size_t i = 0; i < n; i++) {
        const struct digest *d = &arms[i].digest;
        json_write_object(&r->json);
        result_text(r, "model", arms[i].name);
        result_double(r, "off", arms[i].off);
        result_integer(r, "n", (int64_t)d->n);
        result_double(r, "accuracy", d->accuracy.value);
        result_double(r, "mean_confidence", d->mean_confidence.value);
        result_double(r, "ece", d->ece.value);
        result_double(r, "ece_low", d->ece.low);
        result_double(r, "ece_high", d->ece.high);
        result_double(r, "nll", d->nll.value);
        result_double(r, "share_of_gap", spectrum_arm_share(arms, i));
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, ']');
}
