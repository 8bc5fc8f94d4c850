/*
 * merge.c - `plumb merge`: weights between models, written as a model.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/merge_sweep.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "merge/job.h"
#include "merge/merge.h"
#include "model/config.h"

struct merge_verb_options {
    struct common_options common;
    const char *output, *config, *t, *weight, *density, *lambda, *filter, *base, *dtype, *tokenizer;
    const char *method;
    const char *sweep, *extrapolate, *task, *test, *write; /* of a sweep, to .. */
    const char *diversity, *react;
    double react_at, temperature;
    int samples, max_tokens;
    int preset, pick, precision, draws;
    size_t limit;
    double split; /* .. here */
    double shard_size;
    size_t seed;
    int threads;
    bool normalise, no_normalise, no_rescale, json;
};

#define AT(field) offsetof(struct merge_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "OUT", AT(output),
     "where the merged model goes: a folder, or a .gguf file where the last model is one"},
    {'m', "method", OPTION_TEXT, "METHOD", AT(method),
     "linear (default), slerp, nuslerp, task, ties, dare-linear, dare-ties"},
    {0, "t", OPTION_TEXT, "T", AT(t),
     "between two models, 0 = the first, 1 = the second, beyond = extrapolated; a list such as "
     "0,0.2,0.5 runs along the "
     "depth; 0.5"},
    {0, "filter", OPTION_TEXT, "NAME=T,...", AT(filter),
     "t (lambda for task vectors) for tensors whose name holds NAME or whose kind is it: attn, "
     "mlp, norm, embed, head; the "
     "first that fits counts, * fits all"},
    {0, "weight", OPTION_TEXT, "W,...", AT(weight), "a weight for each merged model; 1"},
    {0, "density", OPTION_TEXT, "D,...", AT(density),
     "ties, dare: share of each task vector's elements that is kept, for all or for each; 1"},
    {0, "lambda", OPTION_TEXT, "L", AT(lambda), "task vectors: factor of their sum; 1"},
    {0, "base", OPTION_TEXT, "MODEL", AT(base),
     "nuslerp: go along the arc between task vectors from this model"},
    {0, "normalise", OPTION_FLAG, NULL, AT(normalise),
     "divide by the sum of weights; the default for linear, nuslerp and ties"},
    {0, "no-normalise", OPTION_FLAG, NULL, AT(no_normalise), "do not"},
    {0, "no-rescale", OPTION_FLAG, NULL, AT(no_rescale),
     "dare: leave the kept elements as small as they are"},
    {0, "seed", OPTION_SIZE, "S", AT(seed), "dare: which elements are dropped; 0"},
    {0, "dtype", OPTION_TEXT, "bf16|f16|f32", AT(dtype),
     "element type that is written; as in the last model"},
    {0, "tokenizer", OPTION_TEXT, "base|post", AT(tokenizer),
     "whose tokenizer, chat template and generation settings the result gets: the first model's or "
     "the last one's; post"},
    {0, "config", OPTION_TEXT, "FILE.yml", AT(config),
     "models, method and numbers from mergekit's YAML"},
    {0, "sweep", OPTION_TEXT, "FROM:TO:STEP", AT(sweep),
     "evaluate every merge between BASE and POST without writing it: 0:1:0.1; -o is then the "
     "folder of traces and report; sweep"},
    {0, "extrapolate", OPTION_TEXT, "T,...", AT(extrapolate), "sweep: more points: 1.1,1.25,1.5"},
    {0, "task", OPTION_TEXT, "QUESTIONS", AT(task),
     "sweep: questions that temperatures are fitted on and, if answered, a point is picked on"},
    {0, "test", OPTION_TEXT, "QUESTIONS", AT(test), "sweep: answered questions to judge on"},
    {0, "pick", OPTION_CHOICE, "knee|accuracy|calibration", AT(pick),
     "sweep: the rule that picks a point"},
    {0, "write", OPTION_TEXT, "OUT", AT(write), "sweep: write the picked merge"},
    {0, "diversity", OPTION_TEXT, "PROMPTS", AT(diversity),
     "sweep: sample answers from every point and tell how much they differ; prompts as for plumb "
     "generate --file"},
    {0, "samples", OPTION_INT, "N", AT(samples), "--diversity: answers to a prompt; 10"},
    {0, "max-tokens", OPTION_INT, "N", AT(max_tokens),
     "--diversity: at most so many tokens of an answer, which ends at a line break; 32"},
    {0, "temperature", OPTION_NUMBER, "T", AT(temperature),
     "--diversity: of the draws; 1, as the model has it"},
    {0, "react", OPTION_TEXT, "P,...", AT(react),
     "sweep: also one merge with its last hidden state corrected by ReACT towards BASE (0), POST "
     "(1) or between"},
    {0, "react-at", OPTION_NUMBER, "T", AT(react_at),
     "--react: which merge of the sweep; the one nearest to 0.5"},
    {0, "preset", OPTION_CHOICE, "clean|daca|chat", AT(preset),
     "sweep: how a question becomes a prompt"},
    {0, "split", OPTION_NUMBER, "SHARE", AT(split),
     "sweep: share of the answered questions to pick on where the task has no answers of its own; "
     "0.3"},
    {0, "draws", OPTION_INT, "N", AT(draws), "sweep: resamples for intervals: 1000; 0 for none"},
    {0, "limit", OPTION_SIZE, "N", AT(limit), "sweep: only the first N questions of each file"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "sweep: of weights and matrix products"},
    {0, "shard-size", OPTION_NUMBER, "GB", AT(shard_size),
     "most bytes of one file of a folder, in 10^9; 5"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result is the same"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static struct merge_words words_of(const struct merge_verb_options *o, const struct operands *words)
{
    return (struct merge_words){.method = o->method ? o->method : "linear",
                                .models = (const char *const *)words->words,
                                .n_models = words->count,
                                .base = o->base,
                                .t = o->t,
                                .filter = o->filter,
                                .weight = o->weight,
                                .density = o->density,
                                .lambda = o->lambda,
                                .normalise = o->normalise      ? 1
                                             : o->no_normalise ? 0
                                                               : -1,
                                .rescale = o->no_rescale ? 0 : -1,
                                .seed = o->seed,
                                .dtype = o->dtype};
}

static int make_job(const struct merge_verb_options *o, const struct operands *words,
                    struct merge_job *job, struct plumb_error *e)
{
    if (o->config) {
        struct file_map text;
        if (words->count > 0)
            return error_set(e, PLUMB_INPUT, "--config names the models already; leave '%s' away",
                             words->words[0]);
        if (o->t || o->weight || o->density || o->lambda || o->filter || o->base || o->method)
            return error_set(e, PLUMB_INPUT,
                             "--config says method and numbers; give those in the file");
        int status = file_map_open(o->config, &text, e);
        if (status != PLUMB_OK)
            return status;
        status = merge_job_from_yaml((const char *)text.data, text.size, o->config, job, e);
        file_map_close(&text);
        if (status == PLUMB_OK && o->dtype && !merge_type_parse(o->dtype, &job->recipe.type))
            return error_set(e, PLUMB_INPUT,
                             "there is no type '%s' to write; expected bf16, f16 or f32", o->dtype);
        return status;
    }
    const struct merge_words w = words_of(o, words);
    return merge_job_from_words(&w, job, e);
}

static int choose_tokenizer(const struct merge_verb_options *o, struct merge_job *job,
                            struct plumb_error *e)
{
    if (!o->tokenizer)
        return PLUMB_OK;
    if (strcmp(o->tokenizer, "base") == 0)
        job->tokenizer_from = 0;
    else if (strcmp(o->tokenizer, "post") == 0)
        job->tokenizer_from = job->like;
    else
        return error_set(e, PLUMB_INPUT, "--tokenizer is '%s'; expected base or post",
                         o->tokenizer);
    return PLUMB_OK;
}

/* All at once: reading their tokenizers takes longer than anything else before the first weight. */
static int open_models(const struct merge_job *job, struct model **models, struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct plumb_error *errors = mem_zalloc((size_t)job->n_paths, sizeof *errors);
    int *statuses = mem_zalloc((size_t)job->n_paths, sizeof *statuses), status = PLUMB_OK;
    if (!errors || !statuses)
        status = error_memory(e, "the models");
    how.weights = false;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < (status == PLUMB_OK ? job->n_paths : 0); i++)
        statuses[i] = model_open(job->paths[i], &how, &models[i], &errors[i]);
    for (int i = 0; status == PLUMB_OK && i < job->n_paths; i++)
        if ((status = statuses[i]) != PLUMB_OK)
            *e = errors[i]; /* the first one's, in their order */
    mem_free(errors);
    mem_free(statuses);
    return status;
}

/* Traps that are worth a word before the work. */
static void warn(const struct merge_job *job, struct model *const *models)
{
    const struct merge_recipe *r = &job->recipe;
    if (r->method == MERGE_TIES && r->n_inputs == 1 && merge_normalises(r) && r->weight[0].n > 0)
        fprintf(stderr, "plumb merge: note: ties divides by the sum of weights, so the weight of "
                        "one single task vector changes "
                        "nothing; use --lambda, or --no-normalise\n");
    (void)models;
}

static void show_text(const struct merge_job *job, struct model *const *models, const char *out,
                      const struct merge_report *report, double seconds)
{
    char size[32], time[32];
    const struct model *tokenizer =
        models[job->tokenizer_from >= 0 ? job->tokenizer_from : job->like];
    printf("%s: %zu tensors, %s, by %s in %s\n", out, report->tensors,
           human_size(report->bytes, size), merge_method_name(job->recipe.method),
           human_seconds(seconds, time));
    printf("tokenizer, chat template and generation settings: those of %s\n",
           model_name(tokenizer));
    if (!isnan(report->relative_change))
        printf("the models differ by |b - a| / |a| = %.4g; their least similar tensor is\n%s "
               "(cosine %.6f)\n",
               report->relative_change, report->smallest_name, report->smallest_cosine);
    if (job->recipe.method == MERGE_SLERP)
        printf("slerp leaves the straight line by at most %.2g of a tensor's norm (%zu of %zu "
               "tensors went straight)%s\n",
               report->largest_arc_gap, report->lerped, report->tensors,
               report->largest_arc_gap < 2e-3
                   ? ": the same as linear to the rounding of bf16 (2e-3)"
                   : "");
}

static int show_json(const struct merge_job *job, struct model *const *models, const char *out,
                     const struct merge_report *report)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "output", out);
    result_text(&r, "method", merge_method_name(job->recipe.method));
    result_integer(&r, "tensors", (int64_t)report->tensors);
    result_integer(&r, "bytes", (int64_t)report->bytes);
    result_text(&r, "tokenizer_from",
                model_name(models[job->tokenizer_from >= 0 ? job->tokenizer_from : job->like]));
    result_double(&r, "relative_change", report->relative_change);
    result_double(&r, "smallest_cosine", report->smallest_cosine);
    result_text(&r, "smallest_cosine_tensor", report->smallest_name);
    result_double(&r, "largest_slerp_lerp_gap", report->largest_arc_gap);
    result_integer(&r, "straight_tensors", (int64_t)report->lerped);
    json_write_end(&r.json, '}');
    return result_print(&r);
}

static int merge(const struct merge_verb_options *o, const struct operands *words,
                 struct plumb_error *e)
{
    struct merge_job job = {0};
    struct merge_plan plan = {0};
    struct merge_report report;
    struct progress_line line;
    struct model **models = NULL;
    int status = make_job(o, words, &job, e);
    if (status == PLUMB_OK)
        status = choose_tokenizer(o, &job, e);
    if (status == PLUMB_OK) {
        models = mem_zalloc((size_t)job.n_paths, sizeof *models);
        status = models ? open_models(&job, models, e) : error_memory(e, "the models");
    }
    if (status == PLUMB_OK)
        status = merge_plan_create(&job.recipe, (const struct model *const *)models, job.n_paths,
                                   job.like, &plan, e);
    if (status == PLUMB_OK) {
        warn(&job, models);
        progress_line_start(&line, o->common.quiet);
        const struct merge_write_options how = {
            .tokenizer_from = models[job.tokenizer_from >= 0 ? job.tokenizer_from : job.like],
            .shard_bytes = (size_t)(o->shard_size * 1e9),
            .threads = o->threads,
            .progress = &line.progress};
        const double begin = clock_seconds();
        status = merge_write(&plan, o->output, &how, &report, e);
        progress_line_end(&line);
        if (status == PLUMB_OK && o->json)
            status = show_json(&job, models, o->output, &report);
        else if (status == PLUMB_OK)
            show_text(&job, models, o->output, &report, clock_seconds() - begin);
    }
    merge_plan_free(&plan);
    for (int i = 0; models && i < job.n_paths; i++)
        model_close(models[i]);
    mem_free(models);
    merge_job_free(&job);
    return status;
}

/* ---- the sweep ---- */

static int check_sweep(const struct merge_verb_options *o, const struct operands *words,
                       struct plumb_error *e)
{
    if (words->count != 2)
        return error_set(e, PLUMB_INPUT, "--sweep goes between two models, BASE POST; found %d",
                         words->count);
    if (!o->task)
        return error_set(e, PLUMB_INPUT, "--sweep needs --task QUESTIONS");
    if (o->t || o->lambda || o->weight || o->filter || o->config)
        return error_set(e, PLUMB_INPUT, "--sweep sets %s itself; leave --%s away",
                         o->lambda ? "lambda" : "t",
                         o->t        ? "t"
                         : o->lambda ? "lambda"
                         : o->weight ? "weight"
                         : o->filter ? "filter"
                                     : "config");
    if (o->tokenizer && strcmp(o->tokenizer, "base") != 0 && strcmp(o->tokenizer, "post") != 0)
        return error_set(e, PLUMB_INPUT, "--tokenizer is '%s'; expected base or post",
                         o->tokenizer);
    return PLUMB_OK;
}

static int sweep(const struct merge_verb_options *o, const struct operands *words,
                 struct plumb_error *e)
{
    struct merge_sweep_job job = {.words = words_of(o, words),
                                  .range = o->sweep,
                                  .extrapolate = o->extrapolate,
                                  .task = o->task,
                                  .test = o->test,
                                  .folder = o->output ? o->output : "sweep",
                                  .write = o->write,
                                  .pick = (enum frontier_rule)o->pick,
                                  .tokenizer_of_base =
                                      o->tokenizer && strcmp(o->tokenizer, "base") == 0,
                                  .limit = o->limit,
                                  .shard_bytes = (size_t)(o->shard_size * 1e9),
                                  .run = trace_run_options_default(),
                                  .model = model_options_default(),
                                  .frontier = frontier_options_default(),
                                  .diversity = o->diversity,
                                  .sampling = frontier_sampling_default(),
                                  .react = o->react,
                                  .react_at = o->react_at,
                                  .quiet = o->common.quiet,
                                  .json = o->json};
    job.run.preset.kind = (enum preset_kind)o->preset;
    job.model.precision = (enum precision)o->precision;
    job.model.threads = job.frontier.threads = o->threads;
    job.frontier.split = o->split;
    job.frontier.seed = o->seed;
    job.frontier.draws = o->draws;
    job.sampling.samples = o->samples;
    job.sampling.max_tokens = o->max_tokens;
    job.sampling.temperature = o->temperature;
    job.sampling.seed = o->seed;
    const int status = check_sweep(o, words, e);
    return status == PLUMB_OK ? merge_sweep_run(&job, e) : status;
}

static int run(int argc, char **argv)
{
    struct merge_verb_options o = {.shard_size = 5,
                                   .split = frontier_options_default().split,
                                   .draws = frontier_options_default().draws,
                                   .react_at = NAN,
                                   .temperature = frontier_sampling_default().temperature,
                                   .samples = frontier_sampling_default().samples,
                                   .max_tokens = frontier_sampling_default().max_tokens};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_merge, argc, argv, &o, 0, 64, &words, &status))
        return status;
    const bool sweeps = o.sweep != NULL;
    if (!sweeps && (o.task || o.test || o.write || o.extrapolate || o.diversity || o.react))
        status = error_set(&e, PLUMB_INPUT, "--%s belongs to a sweep: add --sweep 0:1:0.1",
                           o.task          ? "task"
                           : o.test        ? "test"
                           : o.write       ? "write"
                           : o.extrapolate ? "extrapolate"
                           : o.diversity   ? "diversity"
                                           : "react");
    else if (!sweeps && !o.output)
        status = error_set(&e, PLUMB_INPUT, "-o OUT is missing: where does the merged model go?");
    else if (words.count < 2 && !o.config)
        status = error_set(&e, PLUMB_INPUT, "%s; expected BASE POST, or --config FILE.yml",
                           words.count ? "one model alone is no merge" : "no models");
    else if (!(o.shard_size >= 0.001 && o.shard_size < 1e6))
        status = error_set(&e, PLUMB_INPUT,
                           "--shard-size is %g; expected 0.001 (a megabyte) or more", o.shard_size);
    else
        status = sweeps ? sweep(&o, &words, &e) : merge(&o, &words, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_merge, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"BASE POST -o OUT [options]",
                                       "--config merge.yml -o OUT [options]",
                                       "BASE POST --sweep 0:1:0.1 --task QUESTIONS [--test "
                                       "QUESTIONS] [-o DIR] [--write OUT]",
                                       NULL};
static const char *const examples[][2] = {
    {"plumb merge base/ post/ -o between/ --t 0.6", "three fifths of the way from base to post"},
    {"plumb merge base/ post/ -o merged/ --method slerp --filter 'attn=0.7,mlp=0.4,*=0.5'",
     "along the arc, attention nearer to post"},
    {"plumb merge base/ math/ code/ -o both/ --method ties --density 0.3 --lambda 0.8",
     "two task vectors on one base"},
    {"plumb merge demo/base demo/post --sweep 0:1:0.1 --task demo/calibration.jsonl --test "
     "demo/test.jsonl -o sweep",
     "accuracy against calibration all the way from base to post"},
    {"plumb merge demo/base demo/post --sweep 0:1:0.25 --task demo/calibration.jsonl --test "
     "demo/test.jsonl --limit 200 --react 0,0.5,1 -o sweep-react",
     "and the merge in the middle with its last hidden state corrected"},
    {"plumb merge --config merge.yml -o merged/", "what mergekit would have been given"},
    {NULL},
};
const struct verb verb_merge = {
    .name = "merge",
    .summary = "weights between models, written as a model",
    .synopses = synopses,
    .description =
        "Merges the weights of models of one architecture. Arithmetic is done in f32 or better and "
        "rounded once to "
        "the type that is written; tensors are streamed, so memory does not grow with the models.\n"
        "Tokenizer, chat template and generation settings come from the last model (POST) unless "
        "--tokenizer says "
        "otherwise. A merge card (merge_card.json) records inputs, method, and how far each tensor "
        "moved.\n"
        "Folders and GGUF files can be mixed; the result has the last model's format. Quantised "
        "weights are read "
        "and written as bf16 unless --dtype says otherwise.\n"
        "--sweep runs every merge between two models over questions without writing any, and shows "
        "accuracy and calibration of each beside both parents and beside POST with a temperature; "
        "t is lambda for methods of task vectors. --diversity also samples answers at every point, "
        "--react "
        "corrects one merge's last hidden state towards its parents. A sweep that was stopped goes "
        "on when the same "
        "command is given again.",
    .options = options,
    .examples = examples,
    .run = run,
};
