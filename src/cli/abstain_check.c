/*
 * abstain_check.c - `plumb abstain check`: asks a model about its own answers, and shows what each way of asking is worth.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "answer/self_check_record.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/sum.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "metric/measure.h"

struct check_options {
    struct common_options common;
    const char *trace, *answers, *sources, *shots_from, *trace_out, *output;
    size_t limit;

    int shots, guess, layout, template, choices, guesses, reasoning, batch, precision, threads;
    bool json;
};

#define AT(field) offsetof(struct check_options, field)
static const struct option_row options[] = {
    {0, "trace", OPTION_TEXT, "TRACE", AT(trace),
     "the answers are the options with the largest logit in this trace of QUESTIONS"},
    {0, "answers", OPTION_TEXT, "FILE", AT(answers),
     "the answers are those of this file, which plumb answer wrote"},
    {0, "sources", OPTION_TEXT, "LIST", AT(sources),
     "comma-separated, or all: p-true (the default), p-true-raw, p-ik-prompted, verbalised-1s, "
     "verbalised-topk, linguistic, verbalised-2s, verbalised-2s-cot, judge"},
    {0, "few-shot", OPTION_INT, "N", AT(shots),
     "solved examples before P(True), right and wrong ones in turn; 0"},
    {0, "shots-from", OPTION_TEXT, "FILE", AT(shots_from),
     "where the examples come from: questions with answers, or a file of judged answers; not those "
     "that are checked"},
    {0, "layout", OPTION_CHOICE, "plain|brainstormed", AT(layout),
     "of P(True): question and answer, or the model's other answers before them"},
    {0, "choices", OPTION_CHOICE, "listed|hidden", AT(choices),
     "show the options of a multiple-choice question, or only its text"},
    {0, "guess", OPTION_CHOICE, "given|own", AT(guess),
     "verbalised-1s, verbalised-topk and linguistic: the answer stands where the guess would, or "
     "the model makes its own guess, as in the paper, which counts where it is that answer"},
    {0, "guesses", OPTION_INT, "K", AT(guesses), "that verbalised-topk asks for; 4"},
    {0, "reasoning", OPTION_INT, "TOKENS", AT(reasoning),
     "the model thinks for at most so long; 96"},
    {0, "template", OPTION_CHOICE, "auto|chat|plain", AT(template),
     "ask through the model's own chat template: where it has one, always, never"},
    {0, "limit", OPTION_SIZE, "N", AT(limit), "only the first N questions"},
    {0, "batch", OPTION_INT, "N", AT(batch), "questions in hand at a time; 16"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads), "0, the default: as many as there are"},
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "the confidence file"},
    {0, "trace-out", OPTION_TEXT, "FILE", AT(trace_out),
     "also P(True) as a trace of the options True and False, for plumb fit"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

/* ---- what is shown ----------------------------------------------------------------------------- */

/* One source over the questions that it has a value for. */
struct source_summary {
    double mean, auroc, ece; /* NaN: no value, no labels, one class only */
    size_t missing, labelled;
};

static int summarise(const struct confidence_file *f, int s, struct source_summary *out,
                     struct plumb_error *e)
{
    double *confidence = mem_array(f->n, sizeof *confidence);
    uint8_t *correct = mem_array(f->n, sizeof *correct);
    struct sum sum = {0};
    static const char *const keys[] = {"auroc", "ece_15", NULL};
    double value[] = {NAN, NAN};
    size_t right = 0;
    *out = (struct source_summary){0};
    int status = confidence && correct ? PLUMB_OK : error_memory(e, "a sample");
    for (size_t i = 0; status == PLUMB_OK && i < f->n; i++) {
        const double v = f->value[s][i];
        out->missing += isnan(v) != 0;
        if (isnan(v))
            continue;
        sum_add(&sum, v);
        if (f->right[i] < 0)
            continue;
        confidence[out->labelled] = v;
        correct[out->labelled++] = f->right[i] == 1;
        right += f->right[i] == 1;
    }
    out->mean = sum_value(sum) / (double)(f->n - out->missing);
    if (status == PLUMB_OK && right > 0 && right < out->labelled)
        status = measure_confidences(confidence, correct, out->labelled, keys, value, e);
    out->auroc = value[0];
    out->ece = value[1];
    mem_free(confidence);
    mem_free(correct);
    return status;
}

/* A number that stands in a source's details; NaN where it does not. */
static double detail(const struct confidence_source *s, const char *key)
{
    struct json_document *d = NULL;
    double v = NAN;
    if (s->details && json_parse(s->details, strlen(s->details), "details", &d, NULL) == PLUMB_OK)
        (void)json_number(json_get(json_root(d), key), &v);
    json_close(d);
    return v;
}

static void put_cell(struct table *t, double v, const char *format)
{
    char text[32];
    snprintf(text, sizeof text, format, v); /* NOLINT: the two formats below */
    table_cell(t, "%s", isnan(v) ? "-" : text);
}

static int show_table(const struct confidence_file *f, const struct source_summary *all)
{
    static const char *const heads[] = {"source", "",       "mean",  "missing",
                                        "passes", "tokens", "AUROC", "ECE"};
    struct table *t = table_create("llrrrrrr");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_cell(t, "%s", heads[i]);
    for (int s = 0; s < f->n_sources; s++) {
        table_cell(t, "%s", f->sources[s].name);
        table_cell(t, "%s", f->sources[s].words);
        put_cell(t, all[s].mean, "%.3f");
        table_cell(t, "%zu", all[s].missing);
        put_cell(t, f->sources[s].passes, "%.1f");
        put_cell(t, detail(&f->sources[s], "tokens_run"), "%.0f");
        put_cell(t, all[s].auroc, "%.3f");
        put_cell(t, all[s].ece, "%.3f");
    }
    return table_print(t, stdout) ? PLUMB_OK : PLUMB_MACHINE;
}

static void count_right(const struct confidence_file *f, size_t *labelled, size_t *right)
{
    *labelled = *right = 0;
    for (size_t i = 0; i < f->n; i++) {
        *labelled += f->right[i] >= 0;
        *right += f->right[i] == 1;
    }
}

/* A probability read from two letters that the model hardly thinks of says little. */
static void show_letter_mass(const struct confidence_file *f)
{
    for (int s = 0; s < f->n_sources; s++) {
        const double mass = detail(&f->sources[s], "letter_mass");
        if (mass < 0.5) {
            printf("P(True): the letters A and B together have %.1f %% of the probability; the "
                   "model would rather say\nsomething else, so their ratio may mean little.\n",
                   100 * mass);
            return;
        }
    }
}

/* Guesses of another answer are missing values of a kind of their own. */
static void show_other_guesses(const struct confidence_file *f)
{
    for (int s = 0; s < f->n_sources; s++) {
        const double other = detail(&f->sources[s], "guessed_another");
        if (other > 0)
            printf("%s: %.0f of the missing guessed another answer.\n", f->sources[s].name, other);
    }
}

static int show_text(const struct confidence_file *f, const struct source_summary *all, bool chat)
{
    size_t labelled, right;
    const int status = show_table(f, all);
    count_right(f, &labelled, &right);
    if (labelled > 0)
        printf("%zu answers, %.1f %% right (%s). ", f->n, 100.0 * (double)right / (double)labelled,
               f->judged ? f->judged : "as the file says");
    else
        printf("%zu answers; it is not known which are right. ", f->n);
    printf("Asked %s.\n", chat ? "through the model's chat template" : "in plain text");
    show_letter_mass(f);
    show_other_guesses(f);
    printf("mean, AUROC and ECE (15 bins) leave out what is missing. passes: runs of the model a "
           "question;\ntokens: that went through it a question, shared ones counted once.\n");
    return status;
}

static int show_json(const struct confidence_file *f, const struct source_summary *all, bool chat)
{
    struct result r;
    size_t labelled, right;
    count_right(f, &labelled, &right);
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "model", f->model_name);
    result_text(&r, "template", chat ? "chat" : "plain");
    result_text(&r, "judged", f->judged);
    result_integer(&r, "items", (int64_t)f->n);
    result_integer(&r, "labelled", (int64_t)labelled);
    result_integer(&r, "right", (int64_t)right);
    json_write_key(&r.json, "sources");
    json_write_array(&r.json);
    for (int s = 0; s < f->n_sources; s++) {
        json_write_object(&r.json);
        result_text(&r, "name", f->sources[s].name);
        result_text(&r, "words", f->sources[s].words);
        result_double(&r, "mean", all[s].mean);
        result_integer(&r, "missing", (int64_t)all[s].missing);
        result_double(&r, "passes", f->sources[s].passes);
        result_double(&r, "tokens", detail(&f->sources[s], "tokens"));
        result_double(&r, "tokens_run", detail(&f->sources[s], "tokens_run"));
        result_double(&r, "letter_mass", detail(&f->sources[s], "letter_mass"));
        result_double(&r, "auroc", all[s].auroc);
        result_double(&r, "ece_15", all[s].ece);
        json_write_end(&r.json, '}');
    }
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int show(const struct check_options *o, const struct confidence_file *f, bool chat,
                struct plumb_error *e)
{
    struct source_summary all[SELF_CHECKS];
    int status = PLUMB_OK;
    for (int s = 0; s < f->n_sources && status == PLUMB_OK; s++)
        status = summarise(f, s, &all[s], e);
    if (status != PLUMB_OK)
        return status;
    return o->json ? show_json(f, all, chat) : show_text(f, all, chat);
}

/* ---- what is done ------------------------------------------------------------------------------ */

static int read_answers(const struct check_options *o, const struct operands *w,
                        struct self_check_answers *out, struct plumb_error *e)
{
    const struct self_check_answers_options how = {.limit = o->limit,
                                                   .no_choices = o->choices == 1};
    if (o->trace && !o->answers && w->count == 2)
        return self_check_answers_trace(w->words[1], o->trace, &how, out, e);
    if (o->answers && !o->trace && w->count == 1)
        return self_check_answers_file(o->answers, &how, out, e);
    return error_set(e, PLUMB_INPUT,
                     "which answers? expected MODEL QUESTIONS --trace TRACE, or MODEL --answers "
                     "FILE");
}

static int read_shots(const struct check_options *o, const struct self_check_answers *judged,
                      struct self_check_answers *owner, struct self_check_options *run,
                      struct plumb_error *e)
{
    const struct self_check_answers_options how = {.no_choices = o->choices == 1};
    struct self_check_shot *shots = NULL;
    if (o->shots == 0 && !o->shots_from)
        return PLUMB_OK;
    if (o->shots == 0 || !o->shots_from)
        return error_set(e, PLUMB_INPUT,
                         "examples need both their number and their source: --few-shot N "
                         "--shots-from FILE");
    int status = self_check_shots(o->shots_from, o->shots, owner, &how, &shots, e);
    if (status == PLUMB_OK)
        status = self_check_shots_apart(o->shots_from, shots, o->shots, judged, e);
    run->wording.shots = shots;
    run->wording.n_shots = o->shots;
    return status;
}

/* What one run of the verb holds. */
struct job {
    struct self_check_answers answers, examples;
    struct model *model;
    struct self_check_options run;
    struct confidence_file file;
};

static int prepare(const struct check_options *o, const struct operands *w, struct job *j,
                   const struct progress *progress, struct plumb_error *e)
{
    struct model_options how = model_options_default();
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = progress;
    j->run = self_check_options_default();
    j->run.progress = progress;
    j->run.batch = o->batch;
    j->run.reasoning_tokens = o->reasoning;
    j->run.template = (enum self_check_template)o->template;
    j->run.wording.layout = (enum p_true_layout)o->layout;
    j->run.wording.k = o->guesses;
    j->run.wording.own_guess = o->guess == 1;
    int status = self_check_parse(o->sources, j->run.wanted, e);
    if (status == PLUMB_OK && !o->output)
        status = error_set(e, PLUMB_INPUT, "no output file: add -o FILE");
    if (status == PLUMB_OK)
        status = file_check_output(o->output, e);
    if (status == PLUMB_OK)
        status = file_check_output(o->trace_out, e);
    if (status == PLUMB_OK)
        status = read_answers(o, w, &j->answers, e);
    if (status == PLUMB_OK)
        status = read_shots(o, &j->answers, &j->examples, &j->run, e);
    return status == PLUMB_OK ? model_open(w->words[0], &how, &j->model, e) : status;
}

static int check(const struct check_options *o, const struct operands *w, struct plumb_error *e)
{
    struct job j = {0};
    struct self_check_record_report report = {0};
    struct progress_line line;
    progress_line_start(&line, o->common.quiet);
    int status = prepare(o, w, &j, &line.progress, e);
    if (status == PLUMB_OK)
        status = self_check_record(j.model, &j.answers, &j.run, o->output, o->trace_out, &j.file,
                                   &report, e);
    progress_line_end(&line);
    if (status == PLUMB_OK && !o->common.quiet && report.resumed > 0)
        fprintf(stderr, "%zu of %zu questions were done already\n", report.resumed, j.file.n);
    if (status == PLUMB_OK && o->common.verbose)
        fprintf(stderr, "%.2f s\n", report.seconds);
    if (status == PLUMB_OK)
        status = show(o, &j.file, report.chat, e);
    confidence_free(&j.file);
    model_close(j.model);
    self_check_answers_free(&j.examples);
    self_check_answers_free(&j.answers);
    return status;
}

static int run(int argc, char **argv)
{
    struct check_options o = {.sources = "p-true", .guesses = 4, .reasoning = 96, .batch = 16};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_abstain_check, argc, argv, &o, 1, 2, &words, &status))
        return status;
    status = check(&o, &words, &e);
    if (status != PLUMB_OK)
        status = verb_fail(&verb_abstain_check, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"MODEL QUESTIONS --trace TRACE -o FILE [options]",
                                       "MODEL --answers FILE -o FILE [options]", NULL};
static const char *const examples[][2] = {
    {"plumb trace demo/post demo/questions.jsonl -o post.trace",
     "the answers that are to be judged"},
    {"plumb abstain check demo/post demo/questions.jsonl --trace post.trace --sources "
     "p-true,p-true-raw,judge -o check.jsonl",
     "how sure the model says it is of each, in three ways"},
    {"plumb abstain compare post.trace check.jsonl", "beside the confidences of the trace itself"},
    {"plumb abstain check demo/base demo/questions.jsonl --trace post.trace -o base.jsonl "
     "--trace-out base-ptrue.trace",
     "the base model's P(True) of the same answers; with that of the post-trained model, plumb fit "
     "--base base-ptrue.trace --post post-ptrue.trace calibrates without labels"},
    {NULL},
};
const struct verb verb_abstain_check = {
    .name = "abstain check",
    .summary = "ask a model about its own answers",
    .synopses = synopses,
    .description =
        "Asks a model how sure it is of answers that it has given, and writes a confidence file "
        "that plumb abstain compare reads.\n"
        "P(True) is the probability of \"A) True\" against \"B) False\" after the question and the "
        "answer; raw, of True alone. P(IK) is that of Yes to \"do you know the answer?\"; a "
        "trained one is plumb abstain probe. Verbalised: the model writes a number behind the "
        "answer, at once, among k guesses, in a second turn, or after its own reasoning; in words: "
        "one of 17 expressions. judge: P(True) after the model's own reasoning.\n"
        "What the model does not say is missing, and counted; it is never 0. A run that was "
        "stopped goes on when the same command is given again.",
    .options = options,
    .examples = examples,
    .run = run,
};
