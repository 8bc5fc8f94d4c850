/*
 * trace.c - `plumb trace`: runs a model over questions and records the option logits at every layer; joins shards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/layer_list.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/trace_summary.h"
#include "cli/verb.h"
#include "model/config.h"
#include "model/lens.h"
#include "model/steering.h"
#include "trace/run.h"

struct trace_verb_options {
    struct common_options common;
    const char *output, *instruction, *system, *shots_from, *hidden, *shard, *permute, *steer,
        *lens_file;
    int preset, score, lens, precision, shots, threads;
    size_t limit;
    bool json, join, no_sharing;
};

enum { LENS_AUTO }; /* then as in enum trace_lens */

#define AT(field) offsetof(struct trace_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "the trace; FILE.partial while it grows"},
    {0, "preset", OPTION_CHOICE, "clean|daca|chat", AT(preset),
     "how a question becomes a prompt: clean ends in \"Answer:\" and scores \" A\", \" B\", ...; "
     "daca is the prompt of the DACA "
     "paper and scores \"A\", \"B\", ...; chat asks in the model's own chat template and lets the "
     "answer begin with \"Answer:\""},
    {0, "system", OPTION_TEXT, "TEXT", AT(system), "with --preset chat: the system's message"},
    {0, "instruction", OPTION_TEXT, "TEXT", AT(instruction),
     "instead of the preset's own first line; {group} stands for the group's name"},
    {0, "shots", OPTION_INT, "N", AT(shots), "examples with answers in front of each question"},
    {0, "shots-from", OPTION_TEXT, "FILE", AT(shots_from),
     "where the examples come from: questions with answers"},
    {0, "score", OPTION_CHOICE, "letters|text|text-per-byte|text-per-token", AT(score),
     "what an option's score is: the logit of its letter; or, for models too small for letters, "
     "how "
     "probable its text is as the answer: the sum of its tokens' log-likelihoods, the sum by "
     "bytes, by "
     "tokens"},
    {0, "lens", OPTION_CHOICE, "auto|letters|vocab|none", AT(lens),
     "at every layer: the option logits; also the entropy over the full vocabulary; nothing. auto "
     "is "
     "letters, and none where texts are scored"},
    {0, "lens-file", OPTION_TEXT, "FILE", AT(lens_file),
     "read the inner layers through this tuned lens, from plumb lens fit; the trace keeps which"},
    {0, "permute", OPTION_TEXT, "R|cyclic", AT(permute),
     "list the options in another order: place 1 shows option 1 + R, and so on around; what is "
     "recorded stands at the options' own places. cyclic: FILE in their own order and FILE.shift1, "
     "FILE.shift2, ... in every other, for CAPE (plumb fit --permuted)"},
    {0, "hidden", OPTION_TEXT, "LAYERS", AT(hidden),
     "also keep the hidden states after these layers: 0,8,16 or 4-8, last, all; 0 is the "
     "embeddings"},
    {0, "steer", OPTION_TEXT, "FILE[:STRENGTH]", AT(steer),
     "run the model along this direction, from plumb steer fit; the strength is the file's unless "
     "one is given"},
    {0, "limit", OPTION_SIZE, "N", AT(limit), "only the first N questions; 0, the default: all"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products; auto is bf16 where the file's weights are BF16, f32 "
     "otherwise"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "shard", OPTION_TEXT, "I/N", AT(shard),
     "only part I of N, 1/N to N/N; join the parts with --join"},
    {0, "join", OPTION_FLAG, NULL, AT(join), "make one trace of the given parts"},
    {0, "no-sharing", OPTION_FLAG, NULL, AT(no_sharing),
     "compute the beginning that prompts share again for each; slower, with the same result"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "the summary as one JSON document"},
    {0},
};

/* "3/8": the third of eight parts. */
static int parse_shard(const char *text, struct trace_run_options *run, struct plumb_error *e)
{
    char *slash = NULL, *end = NULL;
    unsigned long part = 0, parts = 0;
    if (!text)
        return PLUMB_OK;
    if (text[0] >= '0' && text[0] <= '9')
        part = strtoul(text, &slash, 10);
    if (slash && slash[0] == '/' && slash[1] >= '0' && slash[1] <= '9')
        parts = strtoul(slash + 1, &end, 10);
    if (!end || *end || part < 1 || part > parts)
        return error_set(e, PLUMB_INPUT,
                         "--shard '%s': expected I/N with I from 1 to N, such as 3/8", text);
    run->shard = part - 1;
    run->shards = parts;
    return PLUMB_OK;
}

/* The orders to run, [first, end) of the shifts 0..most - 1; the file of `first` is the output itself. */
struct orders {
    int first, end;
};

static int parse_permute(const char *text, int most, struct orders *out, struct plumb_error *e)
{
    char *end = NULL;
    *out = (struct orders){0, 1};
    if (!text)
        return PLUMB_OK;
    if (!strcmp(text, "cyclic")) {
        out->end = most;
        return PLUMB_OK;
    }
    const unsigned long shift = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    if (!end || *end || shift >= (unsigned long)most)
        return error_set(e, PLUMB_INPUT,
                         "--permute '%.20s': expected cyclic, or a number from 0 to %d (the most "
                         "options of a question are %d)",
                         text, most - 1, most);
    *out = (struct orders){(int)shift, (int)shift + 1};
    return PLUMB_OK;
}

static int most_options(const struct question_set *questions)
{
    int most = 0;
    for (size_t i = 0; i < questions->count; i++)
        most = questions->items[i].n_options > most ? questions->items[i].n_options : most;
    return most;
}

/* Where the order `shift` is recorded; null without memory. mem_free'd by the caller. */
static char *order_path(const char *output, const struct orders *orders, int shift)
{
    const size_t size = strlen(output) + sizeof ".shift00";
    char *path = mem_alloc(size);
    if (path && shift == orders->first)
        snprintf(path, size, "%s", output);
    else if (path)
        snprintf(path, size, "%s.shift%d", output, shift);
    return path;
}

static void print_json(const struct trace *t, const char *path, const struct orders *orders,
                       const struct trace_run_report *report, struct result *r)
{
    result_start(r);
    json_write_object(&r->json);
    result_text(r, "trace", path);
    result_text(r, "model", t->header.model);
    result_text(r, "task", t->header.task);
    result_text(r, "precision", t->header.precision);
    result_text(r, "score", trace_score_name(t->header.score));
    if (t->header.steering)
        result_text(r, "steering", t->header.steering);
    if (t->header.tuned_lens)
        result_text(r, "tuned_lens", t->header.tuned_lens);
    result_integer(r, "items", (int64_t)t->header.n);
    result_integer(r, "layers", t->header.n_layers);
    if (report) {
        result_integer(r, "resumed", (int64_t)report->resumed);
        result_integer(r, "tokens", (int64_t)report->tokens);
        result_integer(r, "tokens_computed", (int64_t)report->tokens_run);
        result_double(r, "seconds", report->seconds);
        result_double(r, "peak_share", report->peak_share);
    }
    result_integer(r, "permutation", t->header.permutation);
    json_write_key(&r->json, "permuted"); /* the files of the other orders */
    json_write_array(&r->json);
    for (int shift = orders->first + 1; shift < orders->end; shift++) {
        char *other = order_path(path, orders, shift);
        json_write_string(&r->json, other ? other : "");
        mem_free(other);
    }
    json_write_end(&r->json, ']');
    trace_summary_json(t, r);
    json_write_end(&r->json, '}');
}

/* One remark on stderr about speed; about which order where there are several. */
static void remark(const struct trace_run_report *report, const struct orders *orders, int shift)
{
    char items[32], tokens[32], time[32], resumed[32];
    size_t run = report->items - report->resumed;
    if (orders->end - orders->first > 1)
        fprintf(stderr, "plumb trace: options shifted by %d:\n", shift);
    if (report->resumed)
        fprintf(stderr, "plumb trace: %s questions were there from an earlier run\n",
                human_grouped(report->resumed, resumed));
    if (!run || report->seconds <= 0)
        return;
    fprintf(stderr, "plumb trace: %s questions (%s tokens) in %s: %.1f questions/s",
            human_grouped(run, items), human_grouped(report->tokens, tokens),
            human_seconds(report->seconds, time), (double)run / report->seconds);
    if (report->tokens > report->tokens_run)
        fprintf(stderr, ", %.0f %% of the tokens shared",
                100 * (1 - (double)report->tokens_run / (double)report->tokens));
    if (report->peak_share > 0)
        fprintf(stderr, ", %.0f %% of this machine's peak", 100 * report->peak_share);
    fputc('\n', stderr);
}

/* Opens the finished file again and prints what it says. */
static int show(const char *path, const struct trace_verb_options *o, const struct orders *orders,
                const struct trace_run_report *report, struct plumb_error *e)
{
    struct trace t;
    int status = trace_open(path, &t, e);
    if (status != PLUMB_OK)
        return status;
    if (o->json) {
        struct result r;
        print_json(&t, path, orders, report, &r);
        status = result_print(&r);
    } else {
        enum { MOST_GROUPS = 60 }; /* MMLU's 57 fit */
        bool good = trace_summary_print(&t, MOST_GROUPS, stdout);
        status = good ? PLUMB_OK : error_memory(e, "the table");
    }
    trace_close(&t);
    return status;
}

/* Everything that a run opened, in the order of opening. */
struct job {
    struct question_set questions, examples;
    struct model *model;
    int *hidden;
    struct steering steering;
    struct lens *lens;
};

static int prepare(const char *model, const char *questions, const struct trace_verb_options *o,
                   struct job *job, struct trace_run_options *run, const struct progress *progress,
                   struct plumb_error *e)
{
    struct model_options how = model_options_default();
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = progress;
    run->preset.kind = (enum preset_kind)o->preset;
    run->preset.instruction = o->instruction;
    run->preset.system = o->system;
    run->preset.shots = o->shots;
    run->lens = o->lens == LENS_AUTO ? TRACE_LENS_LETTERS : (enum trace_lens)(o->lens - 1);
    run->score = (enum trace_score)o->score;
    run->no_prefix_sharing = o->no_sharing;
    run->progress = progress;
    int status = parse_shard(o->shard, run, e);
    if (status == PLUMB_OK && o->system && run->preset.kind != PRESET_CHAT)
        status = error_set(e, PLUMB_INPUT, "--system needs --preset chat: no other has a system");
    if (status == PLUMB_OK && run->score != TRACE_SCORE_LETTERS && o->lens != LENS_AUTO &&
        run->lens != TRACE_LENS_NONE)
        status = error_set(e, PLUMB_INPUT,
                           "--lens reads letters, and --score %s has none: leave out one of them",
                           trace_score_name(run->score));
    if (status == PLUMB_OK && o->shots > 0 && !o->shots_from)
        status =
            error_set(e, PLUMB_INPUT, "--shots %d needs examples: add --shots-from FILE", o->shots);
    if (status == PLUMB_OK)
        status = questions_read(questions, o->limit, &job->questions, e);
    if (status == PLUMB_OK && o->shots_from) {
        status = questions_read(o->shots_from, 0, &job->examples, e);
        run->preset.shots_from = &job->examples;
    }
    if (status == PLUMB_OK)
        status = model_open(model, &how, &job->model, e);
    if (status == PLUMB_OK && o->hidden) {
        status = layer_list_parse(o->hidden, model_config(job->model)->n_layers, &job->hidden,
                                  &run->n_hidden, e);
        run->hidden_layers = job->hidden;
    }
    if (status == PLUMB_OK && o->lens_file) {
        status = run->score != TRACE_SCORE_LETTERS || run->lens == TRACE_LENS_NONE
                     ? error_set(e, PLUMB_INPUT,
                                 "--lens-file reads letters at every layer: leave out --score and "
                                 "--lens none")
                     : lens_open(o->lens_file, job->model, &job->lens, e);
        run->tuned = job->lens;
    }
    if (status == PLUMB_OK && o->steer) {
        status = steering_open(o->steer, job->model, &job->steering, e);
        run->steering = &job->steering;
    }
    return status;
}

/* One order of the options into its own file. */
static int record_order(struct job *job, struct trace_run_options *run,
                        const struct trace_verb_options *o, const struct orders *orders, int shift,
                        struct progress_line *line, struct trace_run_report *first,
                        struct plumb_error *e)
{
    struct trace_run_report report;
    char *path = order_path(o->output, orders, shift);
    if (!path)
        return error_memory(e, "a file name");
    run->permutation = shift;
    progress_line_start(line, o->common.quiet);
    const int status = trace_run(job->model, &job->questions, path, run, &report, e);
    progress_line_end(line);
    if (status == PLUMB_OK && !o->common.quiet)
        remark(&report, orders, shift);
    if (shift == orders->first)
        *first = report;
    mem_free(path);
    return status;
}

static int record(const char *model, const char *questions, const struct trace_verb_options *o,
                  struct plumb_error *e)
{
    struct job job = {0};
    struct trace_run_options run = trace_run_options_default();
    struct trace_run_report report = {0}; /* of the first order */
    struct orders orders = {0, 1};
    struct progress_line line;
    progress_line_start(&line, o->common.quiet);
    int status = prepare(model, questions, o, &job, &run, &line.progress, e);
    if (status == PLUMB_OK)
        status = parse_permute(o->permute, most_options(&job.questions), &orders, e);
    for (int shift = orders.first; shift < orders.end && status == PLUMB_OK; shift++)
        status = record_order(&job, &run, o, &orders, shift, &line, &report, e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = show(o->output, o, &orders, &report, e);
    mem_free(job.hidden);
    steering_free(&job.steering);
    lens_close(job.lens);
    model_close(job.model);
    questions_free(&job.examples);
    questions_free(&job.questions);
    return status;
}

static int run(int argc, char **argv)
{
    struct trace_verb_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_trace, argc, argv, &o, 1, 1 << 20, &words, &status))
        return status;
    if (!o.output)
        status = error_set(&e, PLUMB_INPUT, "no output file: add -o FILE");
    else if (o.join)
        status = trace_join((const char *const *)words.words, (size_t)words.count, o.output, &e);
    else if (words.count != 2)
        status = error_set(&e, PLUMB_INPUT, "expected MODEL and QUESTIONS, found %d argument%s",
                           words.count, words.count == 1 ? "" : "s");
    else
        status = record(words.words[0], words.words[1], &o, &e);
    if (status == PLUMB_OK && o.join)
        status = show(o.output, &o, &(struct orders){0, 1}, NULL, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_trace, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"MODEL QUESTIONS -o FILE [options]",
                                       "--join PART1 PART2 ... -o FILE", NULL};
static const char *const examples[][2] = {
    {"plumb trace Qwen2.5-0.5B-Instruct mmlu/test -o post.safetensors --shots 5 --shots-from "
     "mmlu/dev",
     "five-shot, over every file of a folder; Ctrl-C stops it, and the same command goes on"},
    {"plumb trace model.gguf questions.jsonl -o base.safetensors --precision f32 --json",
     "a GGUF model in the reference precision; the summary as JSON"},
    {"plumb trace SmolLM2-135M-Instruct arc_easy.jsonl -o arc.safetensors --score text",
     "a small model: each option's text is scored instead of a letter"},
    {"plumb trace Qwen2.5-0.5B-Instruct mmlu/test -o post.safetensors --permute cyclic",
     "every question once for each order of its options; four options take four times as long"},
    {NULL},
};
const struct verb verb_trace = {
    .name = "trace",
    .summary = "run a model over questions; record the option logits at every layer",
    .synopses = synopses,
    .description =
        "Runs a model over multiple-choice questions, one prefill each, and records in one "
        "safetensors file what it thinks of the "
        "options after every layer.\n"
        "MODEL is a folder in Hugging Face layout or a .gguf file. QUESTIONS is JSONL (question, "
        "choices, and if known gold, id, "
        "group, context), a CSV in MMLU's layout, or a folder of these. A run that was stopped, by "
        "Ctrl-C or otherwise, goes "
        "on when the same command is given again; the finished file does not depend on it.\n"
        "Printed at the end: accuracy (right answers / questions with an answer), confidence (mean "
        "of the largest option "
        "probability), option mass (mean probability of all options together in the full "
        "vocabulary). With --score text also acc (the option with the largest sum), acc_norm "
        "(largest "
        "sum / characters) and acc_bytes (largest sum / bytes) as lm-evaluation-harness defines "
        "them.",
    .options = options,
    .examples = examples,
    .run = run,
};
