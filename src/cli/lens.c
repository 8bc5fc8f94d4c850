/*
 * lens.c - `plumb lens`: fits a tuned lens to a model on a text, or judges one on another text.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "layers/tuned_lens.h"
#include "model/config.h"
#include "model/tokenizer.h"

struct lens_verb_options {
    struct common_options common;
    const char *output;
    int optimizer, steps, window, precision, threads;
    size_t tokens, seed, judged;
    double learning_rate, weight_decay, clip, held_out;
    bool json;
};

#define AT(field) offsetof(struct lens_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output),
     "fit: the lens; FILE.state while it is made, from which the same command goes on"},
    {0, "steps", OPTION_INT, "N", AT(steps), "fit: steps of the optimiser; 250, as published"},
    {0, "tokens", OPTION_SIZE, "N", AT(tokens), "fit: tokens of a step; 4096 (published: 262144)"},
    {0, "window", OPTION_INT, "N", AT(window),
     "tokens that the model reads at a time; 256, or its context where that is smaller"},
    {0, "optimizer", OPTION_CHOICE, "sgd|adamw", AT(optimizer),
     "fit: sgd with Nesterov momentum 0.9, as published, or adamw"},
    {0, "learning-rate", OPTION_NUMBER, "RATE", AT(learning_rate),
     "fit: at the first step, falling linearly to 0; 0.1 for sgd, 0.001 for adamw"},
    {0, "weight-decay", OPTION_NUMBER, "RATE", AT(weight_decay), "fit: 0.001"},
    {0, "clip", OPTION_NUMBER, "NORM", AT(clip),
     "fit: the gradient of all layers together is cut to this norm; 1.0; 0 = never"},
    {0, "held-out", OPTION_NUMBER, "SHARE", AT(held_out),
     "fit: this share of the text, its end, is judged and not trained on; 0.1"},
    {0, "judged", OPTION_SIZE, "TOKENS", AT(judged), "at most so many tokens are judged; 16384"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "fit: of the order of the windows: 0"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of the model's weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

/* ---- the text -------------------------------------------------------------------------------- */

struct job {
    struct model *model;
    struct token_list ids;
    char text_hash[33];
};

static void job_close(struct job *j)
{
    token_list_free(&j->ids);
    model_close(j->model);
}

static int read_text(struct job *j, const char *file, struct plumb_error *e)
{
    const struct tokenizer *tokenizer;
    struct file_map text = {0};
    int status = file_map_open(file, &text, e);
    if (status == PLUMB_OK)
        status = model_need_tokenizer(j->model, &tokenizer, e);
    if (status == PLUMB_OK) {
        hash_hex(hash_bytes(text.data, text.size), j->text_hash);
        status = tokenizer_encode(tokenizer, (const char *)text.data, text.size,
                                  (struct tokenizer_options){.add_special = true}, &j->ids, e);
        if (status == PLUMB_INPUT)
            error_prefix(e, "%s", file);
    }
    file_map_close(&text);
    return status;
}

static int job_open(struct job *j, const char *model, const char *file,
                    const struct lens_verb_options *o, const struct progress *progress,
                    struct plumb_error *e)
{
    struct model_options how = model_options_default();
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = progress;
    const int status = model_open(model, &how, &j->model, e);
    return status == PLUMB_OK ? read_text(j, file, e) : status;
}

static struct tuned_lens_options options_of(const struct lens_verb_options *o)
{
    struct tuned_lens_options t = tuned_lens_options_default();
    t.optimizer.kind = (enum tuned_lens_optimizer)o->optimizer;
    t.optimizer.steps = o->steps;
    t.optimizer.learning_rate = o->learning_rate;
    t.optimizer.weight_decay = o->weight_decay;
    t.optimizer.clip = o->clip;
    t.tokens = o->tokens;
    t.window = o->window;
    t.held_out = o->held_out;
    t.judged = o->judged;
    t.seed = o->seed;
    return t;
}

/* ---- showing --------------------------------------------------------------------------------- */

static int show_table(const struct tuned_lens_report *r, struct plumb_error *e)
{
    static const char *const head[] = {"layer",    "KL, logit lens",   "KL, tuned lens",
                                       "lower by", "same word, logit", "same word, tuned"};
    char n[32];
    struct table *t = table_create("rrrrrr");
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        table_cell(t, "%s", head[i]);
    for (int l = 0; l < r->layers; l++) {
        table_cell(t, "%d", l);
        table_cell(t, "%.4f", r->kl_logit[l]);
        table_cell(t, "%.4f", r->kl_tuned[l]);
        if (r->kl_logit[l] > 0)
            table_cell(t, "%.0f %%", 100 * (1 - r->kl_tuned[l] / r->kl_logit[l]));
        else
            table_cell(t, "-");
        table_cell(t, "%.3f", r->first_logit[l]);
        table_cell(t, "%.3f", r->first_tuned[l]);
    }
    if (!table_print(t, stdout))
        return error_memory(e, "the table");
    printf("\nOn %s tokens, in windows of %d. KL: mean of KL(final distribution || the layer's "
           "reading),\nnats, full vocabulary. Same word: share of the tokens after which the most "
           "probable next one\nis that of the end. Layer 0: the embeddings.\n",
           human_grouped(r->tokens_judged, n), r->window);
    return PLUMB_OK;
}

static void write_layers(const struct tuned_lens_report *r, struct result *out)
{
    json_write_key(&out->json, "layers");
    json_write_array(&out->json);
    for (int l = 0; l < r->layers; l++) {
        json_write_object(&out->json);
        result_integer(out, "layer", l);
        result_double(out, "kl_logit", r->kl_logit[l]);
        result_double(out, "kl_tuned", r->kl_tuned[l]);
        result_double(out, "first_logit", r->first_logit[l]);
        result_double(out, "first_tuned", r->first_tuned[l]);
        json_write_end(&out->json, '}');
    }
    json_write_end(&out->json, ']');
    result_integer(out, "window", r->window);
    result_integer(out, "tokens_judged", (int64_t)r->tokens_judged);
}

static int show(const struct job *j, const char *lens, const struct lens_verb_options *o,
                const struct tuned_lens_report *r, struct plumb_error *e)
{
    struct result out;
    if (!o->json)
        return show_table(r, e);
    result_start(&out);
    json_write_object(&out.json);
    result_text(&out, "lens", lens);
    result_text(&out, "model", model_name(j->model));
    result_text(&out, "text_hash", j->text_hash);
    if (r->steps > 0) {
        result_text(&out, "optimizer",
                    tuned_lens_optimizer_name((enum tuned_lens_optimizer)o->optimizer));
        result_double(&out, "learning_rate", r->learning_rate);
        result_integer(&out, "steps", r->steps);
        result_integer(&out, "resumed", r->resumed);
        result_integer(&out, "tokens_step", (int64_t)r->tokens_step);
        result_integer(&out, "tokens_trained", (int64_t)r->tokens_trained);
        result_double(&out, "seconds", r->seconds);
    }
    write_layers(r, &out);
    json_write_end(&out.json, '}');
    return result_print(&out);
}

/* ---- fit ------------------------------------------------------------------------------------- */

/* The file tells how it was made, and how well it did. */
static int write_lens(const struct job *j, const struct lens_verb_options *o,
                      const struct lens_values *v, const struct tuned_lens_report *r,
                      struct plumb_error *e)
{
    enum { NUMBERS = 8 };
    static const char *const names[NUMBERS] = {"steps", "tokens_step",   "window",
                                               "seed",  "learning_rate", "weight_decay",
                                               "clip",  "tokens_judged"};
    const double values[NUMBERS] = {r->steps,        (double)r->tokens_step,  r->window,
                                    (double)o->seed, r->learning_rate,        o->weight_decay,
                                    o->clip,         (double)r->tokens_judged};
    char text[NUMBERS][32];
    struct safetensors_note notes[NUMBERS + 3];
    struct buffer kl = BUFFER_EMPTY;
    struct json_writer list = json_writer_start(&kl, 0);
    for (int i = 0; i < NUMBERS; i++) {
        snprintf(text[i], sizeof text[i], "%.10g", values[i]);
        notes[i] = (struct safetensors_note){names[i], text[i]};
    }
    json_write_array(&list);
    for (int l = 0; l < r->layers; l++)
        json_write_double(&list, r->kl_tuned[l]);
    json_write_end(&list, ']');
    notes[NUMBERS] = (struct safetensors_note){"text_hash", j->text_hash};
    notes[NUMBERS + 1] = (struct safetensors_note){
        "optimizer", tuned_lens_optimizer_name((enum tuned_lens_optimizer)o->optimizer)};
    notes[NUMBERS + 2] = (struct safetensors_note){"kl_held_out", buffer_string(&kl)};
    const int status = kl.failed ? error_memory(e, "the lens file")
                                 : lens_values_write(o->output, v, j->model, notes, NUMBERS + 3, e);
    buffer_free(&kl);
    return status;
}

static void remark(const struct lens_verb_options *o, const struct tuned_lens_report *r)
{
    char trained[32], text[32], time[32];
    if (o->common.quiet)
        return;
    fprintf(stderr,
            "plumb lens: %d steps of %zu tokens (%s; the text has %s) in %s; published are 250 of "
            "262144\n",
            r->steps, r->tokens_step, human_grouped(r->tokens_trained, trained),
            human_grouped(r->tokens_text, text), human_seconds(r->seconds, time));
    if (r->resumed)
        fprintf(stderr, "plumb lens: %d steps were there from an earlier run\n", r->resumed);
    fprintf(stderr, "plumb lens: wrote %s\n", o->output);
}

static int fit(const char *model, const char *file, const struct lens_verb_options *o,
               struct plumb_error *e)
{
    struct job j = {0};
    struct lens_values v = {0};
    struct tuned_lens_report r = {0};
    struct buffer state = BUFFER_EMPTY;
    struct progress_line line;
    struct tuned_lens_options t = options_of(o);
    if (!o->output)
        return error_set(e, PLUMB_INPUT, "no output file: add -o FILE");
    int status = file_check_output(o->output, e);
    if (status != PLUMB_OK)
        return status;
    buffer_printf(&state, "%s.state", o->output);
    progress_line_start(&line, o->common.quiet);
    status = state.failed ? error_memory(e, "a file name")
                          : job_open(&j, model, file, o, &line.progress, e);
    t.state = buffer_string(&state);
    t.origin = j.text_hash;
    t.progress = &line.progress;
    if (status == PLUMB_OK)
        status = tuned_lens_fit(j.model, j.ids.ids, j.ids.count, &t, &v, &r, e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = write_lens(&j, o, &v, &r, e);
    if (status == PLUMB_OK) {
        remove(t.state);
        remark(o, &r);
        status = show(&j, o->output, o, &r, e);
    }
    tuned_lens_report_free(&r);
    lens_values_free(&v);
    buffer_free(&state);
    job_close(&j);
    return status;
}

/* ---- judge ----------------------------------------------------------------------------------- */

static int judge(const char *model, const char *file, const char *lens,
                 const struct lens_verb_options *o, struct plumb_error *e)
{
    struct job j = {0};
    struct lens_values v = {0};
    struct tuned_lens_report r = {0};
    struct progress_line line;
    struct tuned_lens_options t = options_of(o);
    progress_line_start(&line, o->common.quiet);
    t.progress = &line.progress;
    int status = job_open(&j, model, file, o, &line.progress, e);
    if (status == PLUMB_OK)
        status = lens_values_read(lens, j.model, &v, NULL, e);
    if (status == PLUMB_OK)
        status = tuned_lens_judge(j.model, j.ids.ids, j.ids.count, &t, &v, &r, e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = show(&j, lens, o, &r, e);
    tuned_lens_report_free(&r);
    lens_values_free(&v);
    job_close(&j);
    return status;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int act(const struct lens_verb_options *o, const struct operands *w, struct plumb_error *e)
{
    const char *word = w->words[0];
    if (strcmp(word, "fit") == 0 && w->count == 3)
        return fit(w->words[1], w->words[2], o, e);
    if (strcmp(word, "judge") == 0 && w->count == 4)
        return judge(w->words[1], w->words[2], w->words[3], o, e);
    return error_set(e, PLUMB_INPUT,
                     "'%.40s' with %d files; expected fit MODEL TEXT or judge MODEL TEXT LENS",
                     word, w->count - 1);
}

static int run(int argc, char **argv)
{
    const struct tuned_lens_options usual = tuned_lens_options_default();
    struct lens_verb_options o = {.steps = usual.optimizer.steps,
                                  .tokens = usual.tokens,
                                  .weight_decay = usual.optimizer.weight_decay,
                                  .clip = usual.optimizer.clip,
                                  .held_out = usual.held_out,
                                  .judged = usual.judged};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_lens, argc, argv, &o, 1, 4, &words, &status))
        return status;
    status = act(&o, &words, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_lens, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"fit MODEL TEXTFILE -o LENS [options]",
                                       "judge MODEL TEXTFILE LENS [options]", NULL};
static const char *const examples[][2] = {
    {"plumb lens fit demo/base demo/README.md -o base.lens --steps 20 --tokens 1024",
     "a short fit on a short text; Ctrl-C stops it, and the same command goes on"},
    {"plumb trace demo/base demo/questions.jsonl -o tuned.safetensors --lens-file base.lens",
     "a trace whose inner layers are read through it"},
    {"plumb lens judge demo/base docs/architecture.md base.lens", "how well it reads another text"},
    {NULL},
};
const struct verb verb_lens = {
    .name = "lens",
    .summary = "fit a tuned lens, which reads a model's inner layers better than its head does",
    .synopses = synopses,
    .description =
        "Reads the inner layers of a model: for each layer an affine map of the residual stream is "
        "fitted, so that the final norm and head behind it say what the model will say at its end "
        "(the tuned lens, arXiv 2303.08112). The logit lens is the same without the map.\n"
        "fit trains it on a plain text file, tokenised by MODEL, by the divergence KL(final "
        "distribution || reading) over the full vocabulary, and judges it on the end of the text, "
        "beside the logit lens. judge does that with another text. plumb trace --lens-file and "
        "plumb layers --other-lens use a lens.",
    .options = options,
    .examples = examples,
    .run = run,
};
