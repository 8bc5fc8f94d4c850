/*
 * answer.c - `plumb answer`: a model answers questions in its own words, with every confidence that its samples give.
 */
#include "cli/answer.h"

#include <stdio.h>
#include <string.h>

#include "answer/self_check_join.h"
#include "base/buffer.h"
#include "base/file.h"
#include "cli/progress_line.h"
#include "cli/verb.h"

#define AT(field) offsetof(struct answer_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output),
     "answers and confidences, a line of JSON a question; a run that was stopped goes on"},
    {0, "samples", OPTION_INT, "N", AT(samples), "further answers drawn for each question; 10"},
    {0, "confidence", OPTION_TEXT, "LIST", AT(sources),
     "comma-separated, or all: agreement, entropy, fsd, support, semantic-entropy, "
     "cluster-entropy, semantic-support, likelihood, token-entropy, capability; the default is all "
     "but capability, which needs the right answers. Also, by name alone, those of plumb abstain "
     "check: p-true, judge and so on"},
    {0, "answer", OPTION_CHOICE, "greedy|majority", AT(given),
     "the answer given: the most likely text, or what most samples say"},
    {0, "clusters", OPTION_CHOICE, "string|entailment|embedding", AT(clusters),
     "which samples mean the same: equal after normalisation; each entails the other, as the model "
     "says; its hidden states are alike"},
    {0, "strict", OPTION_FLAG, NULL, AT(strict),
     "entailment: both ways, where otherwise one way and no contradiction is enough"},
    {0, "rotations", OPTION_INT, "N", AT(rotations),
     "entailment: orders of the three options that are averaged, 1 to 3; 3"},
    {0, "cosine", OPTION_NUMBER, "X", AT(cosine), "embedding: alike from this cosine on; 0.9"},
    {0, "layer", OPTION_INT, "L", AT(layer),
     "embedding: the layer of the hidden states; 0, the default: the middle one"},
    {0, "correct", OPTION_CHOICE, "normalised|exact|f1|command", AT(correct),
     "when an answer is right: equal to a right one in lower case, without punctuation and "
     "articles; equal as it is; by the words they share; by --judge-command"},
    {0, "f1", OPTION_NUMBER, "X", AT(f1), "with --correct f1: right from this F1 on; 0.5"},
    {0, "judge-command", OPTION_TEXT, "COMMAND", AT(judge_command),
     "run by sh for each answer: reads a JSON object with question, answer and answers, ends with "
     "0 for right and 1 for wrong"},
    {0, "prompt", OPTION_CHOICE, "auto|plain|chat", AT(template),
     "ask by solved examples, or through the model's own chat template where it has one"},
    {0, "instruction", OPTION_TEXT, "TEXT", AT(instruction), "instead of the built-in one"},
    {0, "shots", OPTION_INT, "N", AT(shots), "plain: solved examples in front; 5"},
    {0, "shots-from", OPTION_TEXT, "FILE", AT(shots_from),
     "take them from here, not from the built-in ones"},
    {0, "max-tokens", OPTION_INT, "N", AT(max_tokens), "at most so many tokens an answer; 32"},
    {0, "temperature", OPTION_NUMBER, "T", AT(temperature), "of the samples; 1"},
    {0, "top-k", OPTION_INT, "K", AT(top_k), "samples from the K most likely tokens; 0: all"},
    {0, "top-p", OPTION_NUMBER, "P", AT(top_p), "from the fewest that together reach P; 1: all"},
    {0, "min-p", OPTION_NUMBER, "P", AT(min_p),
     "from those at least P times as likely as the most likely; 0: all"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the samples; equal seeds give equal samples"},
    {0, "limit", OPTION_SIZE, "N", AT(limit), "only the first N questions"},
    {0, "batch", OPTION_INT, "N", AT(batch),
     "texts in hand at a time; 32, or as many as --samples"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads), "0, the default: as many as there are"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document instead of the table"},
    {0},
};

/* ---- which confidences ------------------------------------------------------------------------- */

static int unknown_source(const char *name, size_t n, struct plumb_error *e)
{
    struct buffer known = BUFFER_EMPTY;
    for (int s = 0; s < ANSWER_SOURCES; s++)
        buffer_printf(&known, "%s, ", answer_source((enum answer_source)s)->name);
    for (int s = 0; s < SELF_CHECKS; s++)
        buffer_printf(&known, "%s, ", self_check_name((enum self_check)s));
    const int status = error_set(e, PLUMB_INPUT, "--confidence: no \"%.*s\"; there are %sand all",
                                 n < 31 ? (int)n : 31, name, buffer_string(&known));
    buffer_free(&known);
    return status;
}

static int self_check_find(const char *name, size_t n)
{
    for (int s = 0; s < SELF_CHECKS; s++) {
        const char *known = self_check_name((enum self_check)s);
        if (strlen(known) == n && memcmp(known, name, n) == 0)
            return s;
    }
    return -1;
}

/* Without a list: what can be had from the samples. `all` is of the samples, too. */
static int take_sources(const char *list, int samples, bool wanted[ANSWER_SOURCES],
                        bool checks[SELF_CHECKS], struct plumb_error *e)
{
    const bool all = list && strcmp(list, "all") == 0;
    for (int s = 0; s < ANSWER_SOURCES; s++)
        wanted[s] =
            all || (!list && s != SOURCE_CAPABILITY && (samples > 0 || !answer_source(s)->samples));
    for (const char *at = list; at && !all;) {
        const size_t n = strcspn(at, ",");
        const int s = answer_source_find(at, n), check = self_check_find(at, n);
        if (s < 0 && check < 0)
            return unknown_source(at, n, e);
        if (s >= 0)
            wanted[s] = true;
        else
            checks[check] = true;
        at = at[n] ? at + n + 1 : NULL;
    }
    bool any = false;
    for (int s = 0; s < ANSWER_SOURCES; s++)
        any = any || wanted[s];
    if (!any) /* only self-checks: the answer's own likelihood costs nothing */
        wanted[SOURCE_LIKELIHOOD] = true;
    return PLUMB_OK;
}

/* ---- the verb ---------------------------------------------------------------------------------- */

/* Asks about the answers too, where that is wanted. */
static int check_answers(struct model *m, const struct answer_options *o,
                         const bool checks[SELF_CHECKS], const struct progress *progress,
                         struct confidence_file *file, struct plumb_error *e)
{
    static const enum self_check_template templates[] = {[ANSWER_AUTO] = SELF_CHECK_AUTO,
                                                         [ANSWER_PLAIN] = SELF_CHECK_PLAIN,
                                                         [ANSWER_CHAT] = SELF_CHECK_CHAT};
    struct self_check_options how = self_check_options_default();
    bool any = false;
    for (int s = 0; s < SELF_CHECKS; s++)
        any = any || checks[s];
    if (!any)
        return PLUMB_OK;
    memcpy(how.wanted, checks, sizeof how.wanted);
    how.template = templates[o->template];
    how.progress = progress;
    return self_check_join(m, &how, o->output, file, e);
}

static int set_options(const struct answer_options *o, struct answers_options *out,
                       bool checks[SELF_CHECKS], struct plumb_error *e)
{
    *out = answers_options_default();
    struct sampled_options *s = &out->sampled;
    s->samples = o->samples;
    s->given = (enum answer_given)o->given;
    s->max_tokens = o->max_tokens;
    s->batch = o->batch ? o->batch : o->samples <= 32 ? 32 : o->samples < 64 ? o->samples : 64;
    s->sampling.temperature = o->temperature;
    s->sampling.top_k = o->top_k;
    s->sampling.top_p = o->top_p;
    s->sampling.min_p = o->min_p;
    s->sampling.seed = o->seed;
    s->meaning.by = (enum meaning_by)o->clusters;
    s->meaning.strict = o->strict;
    s->meaning.rotations = o->rotations;
    s->meaning.threshold = o->cosine;
    s->meaning.layer = o->layer;
    s->judge.rule = (enum correctness)o->correct;
    s->judge.f1_threshold = o->f1;
    s->judge.command = o->judge_command;
    out->prompt.template = (enum answer_template)o->template;
    out->prompt.instruction = o->instruction;
    out->prompt.shots = o->shots;
    if (o->judge_command && o->correct != CORRECT_COMMAND)
        return error_set(e, PLUMB_INPUT, "--judge-command needs --correct command");
    if (o->correct == CORRECT_COMMAND && !o->judge_command)
        return error_set(e, PLUMB_INPUT, "--correct command: say which with --judge-command");
    if (!o->output)
        return error_set(e, PLUMB_INPUT, "no output file: add -o FILE");
    return take_sources(o->sources, o->samples, out->sources, checks, e);
}

static int check_shots(const struct free_form_set *questions, const struct free_form_set *shots,
                       struct plumb_error *e)
{
    if (shots->count && shots->has_options != questions->has_options)
        return error_set(e, PLUMB_INPUT,
                         "--shots-from %s has questions %s options, %s has them %s: examples and "
                         "questions must be of one kind",
                         shots->name, shots->has_options ? "with" : "without", questions->name,
                         shots->has_options ? "without" : "with");
    return PLUMB_OK;
}

static int answer(const char *model, const char *path, const struct answer_options *o,
                  struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct answers_options what;
    struct free_form_set questions = {0}, shots = {0};
    struct confidence_file file = {0};
    struct answers_report report = {0};
    struct model *m = NULL;
    struct progress_line line;
    bool checks[SELF_CHECKS] = {false};
    int status = set_options(o, &what, checks, e);
    if (status == PLUMB_OK)
        status = file_check_output(o->output, e);
    if (status != PLUMB_OK)
        return status;
    progress_line_start(&line, o->common.quiet);
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = what.progress = &line.progress;
    status = free_form_read(path, o->limit, &questions, e);
    if (status == PLUMB_OK && o->shots_from) {
        status = free_form_read(o->shots_from, 0, &shots, e);
        what.prompt.shots_from = &shots;
    }
    if (status == PLUMB_OK)
        status = check_shots(&questions, &shots, e);
    if (status == PLUMB_OK)
        status = model_open(model, &how, &m, e);
    if (status == PLUMB_OK)
        status = answers_record(m, &questions, &what, o->output, &file, &report, e);
    if (status == PLUMB_OK)
        status = check_answers(m, o, checks, &line.progress, &file, e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = o->json ? answer_show_json(o, &file, &report) : answer_show(o, &file, &report);
    confidence_free(&file);
    answers_report_free(&report);
    free_form_free(&questions);
    free_form_free(&shots);
    model_close(m);
    return status;
}

static int run(int argc, char **argv)
{
    struct answer_options o = {.samples = 10,
                               .max_tokens = 32,
                               .rotations = 3,
                               .shots = -1,
                               .temperature = 1,
                               .top_p = 1,
                               .cosine = 0.9,
                               .f1 = 0.5};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_answer, argc, argv, &o, 2, 2, &words, &status))
        return status;
    status = answer(words.words[0], words.words[1], &o, &e);
    if (status != PLUMB_OK)
        status = verb_fail(&verb_answer, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"MODEL QUESTIONS -o FILE [options]", NULL};
static const char *const examples[][2] = {
    {"plumb answer demo/post demo/questions.jsonl --limit 20 -o answers.jsonl",
     "ten drawn answers a question: how far they agree, and whether that tells right from wrong"},
    {"plumb answer SmolLM2-135M-Instruct questions.jsonl --samples 20 --clusters entailment -o "
     "answers.jsonl",
     "semantic entropy over answers that entail each other, as the model itself judges"},
    {"plumb abstain compare answers.jsonl", "which of the confidences ranks right answers best"},
    {NULL},
};
const struct verb verb_answer = {
    .name = "answer",
    .summary = "let a model answer questions in words, with confidences from its samples",
    .synopses = synopses,
    .description =
        "QUESTIONS is JSONL with \"question\" on each line and, where they are known, \"answers\": "
        "the texts that count as right. A set with options (\"choices\", CSV, a folder) works too: "
        "its answer is a letter.\n"
        "For each question the model gives its most likely answer and further ones drawn at "
        "--temperature, all behind one run of the prompt. The file holds them with every "
        "confidence "
        "that they give; plumb abstain compare and fit read it. Samples depend on the question, "
        "the "
        "options and the seed alone.\n"
        "Agreement, entropy and first-second distance count equal answers; semantic entropy, "
        "cluster "
        "entropy and semantic support count answers that mean the same (--clusters). Where no "
        "right "
        "answer is known, \"right\" is null.",
    .options = options,
    .examples = examples,
    .run = run,
};
