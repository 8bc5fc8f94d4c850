/*
 * generate.c - `plumb generate`: lets a model go on from prompts; shows the text as it comes, or everything as JSON.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/prompt_list.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "model/chat.h"
#include "model/generate.h"
#include "model/steering.h"
#include "model/tokenizer.h"

struct generate_verb_options {
    struct common_options common;
    const char *file, *system, *steer;
    struct option_texts stops;
    int max_tokens, samples, top_k, logprobs, batch, precision, threads;
    double temperature, top_p, min_p, repeat_penalty;
    size_t seed;
    bool special, chat, json;
};

#define AT(field) offsetof(struct generate_verb_options, field)
static const struct option_row options[] = {
    {'f', "file", OPTION_TEXT, "FILE", AT(file),
     "prompts from a file: a .jsonl has an object with \"prompt\" on each line, any other file is "
     "one prompt, \"-\" is standard input"},
    {'n', "max-tokens", OPTION_INT, "N", AT(max_tokens), "at most so many new tokens; 256"},
    {0, "samples", OPTION_INT, "N", AT(samples),
     "so many texts of each prompt, behind one run of it; 1. More than one need --temperature"},
    {0, "temperature", OPTION_NUMBER, "T", AT(temperature),
     "0, the default, takes the most likely token; above, tokens are drawn: 1 as the model has "
     "them"},
    {0, "top-k", OPTION_INT, "K", AT(top_k), "draw from the K most likely; 0, the default: all"},
    {0, "top-p", OPTION_NUMBER, "P", AT(top_p),
     "draw from the fewest that together reach P; 1, the default: all"},
    {0, "min-p", OPTION_NUMBER, "P", AT(min_p),
     "draw from those at least P times as likely as the most likely; 0, the default: all"},
    {0, "repeat-penalty", OPTION_NUMBER, "X", AT(repeat_penalty),
     "make tokens that the text has already less likely; 1, the default: do not"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the draws; equal seeds give equal texts"},
    {0, "stop", OPTION_TEXTS, "TEXT", AT(stops),
     "end before this text; \\n and \\t stand for a line break and a tab; may be given several "
     "times, the first that comes up ends the text"},
    {0, "logprobs", OPTION_INT, "N", AT(logprobs), "also the N most likely tokens at each place"},
    {0, "chat", OPTION_FLAG, NULL, AT(chat),
     "each prompt is what a user says; the model's own chat template asks for the answer"},
    {0, "system", OPTION_TEXT, "TEXT", AT(system), "with --chat: the system text in front"},
    {0, "steer", OPTION_TEXT, "FILE[:STRENGTH]", AT(steer),
     "run the model along this direction, from plumb steer fit, at the prompt's last token and "
     "every "
     "new one; the strength is the file's unless one is given"},
    {0, "special", OPTION_FLAG, NULL, AT(special),
     "read \"<|im_end|>\" and the like in a prompt as that token; otherwise it is text like any "
     "other"},
    {0, "batch", OPTION_INT, "N", AT(batch),
     "texts in hand at a time; 8, or as many as --samples up to 64"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the text does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

struct job {
    const struct generate_verb_options *o;
    struct model *model;
    struct prompt_list prompts;
    struct token_list *tokens;      /* [prompts.count] */
    struct generate_prompt *inputs; /* [prompts.count] */
    struct generated *results;      /* [n_texts] = [prompts.count, samples] */
    size_t n_texts;
    struct generate_options how;
    struct steering steering;
    char *stops[OPTION_TEXTS_MAX];
    double seconds;
};

/* "\n", "\t" and "\\" as a shell word can hardly say them; any other backslash stays. */
static char *unescape(const char *s)
{
    char *out = mem_strdup(s), *to = out;
    for (; out && *s; s++) {
        const char escape = s[0] == '\\' ? s[1] : '\0';
        const char c = escape == 'n' ? '\n' : escape == 't' ? '\t' : escape == '\\' ? '\\' : '\0';
        s += c != '\0';
        *to++ = c ? c : *s;
    }
    if (out)
        *to = '\0';
    return out;
}

/* What a user says, as the model's template puts it; nothing in it becomes a special token. */
static int encode_chat(const struct job *j, const struct chat *chat, size_t i,
                       struct plumb_error *e)
{
    const struct prompt *p = &j->prompts.items[i];
    struct chat_message messages[2];
    struct jinja_output text = {0};
    size_t n = 0;
    if (j->o->system)
        messages[n++] = (struct chat_message){"system", j->o->system, strlen(j->o->system)};
    messages[n++] = (struct chat_message){"user", p->text, p->size};
    int status = chat_render(chat, messages, n,
                             (struct chat_options){.add_generation_prompt = true}, &text, e);
    if (status == PLUMB_OK)
        status = chat_encode(model_tokenizer(j->model), &text, &j->tokens[i], e);
    jinja_output_free(&text);
    return status;
}

static int encode(const struct job *j, const struct chat *chat, size_t i, struct plumb_error *e)
{
    const struct prompt *p = &j->prompts.items[i];
    const struct tokenizer_options how = {.add_special = true, .parse_special = j->o->special};
    if (chat)
        return encode_chat(j, chat, i, e);
    return tokenizer_encode(model_tokenizer(j->model), p->text, p->size, how, &j->tokens[i], e);
}

static int tokenize(struct job *j, struct plumb_error *e)
{
    const size_t n = j->prompts.count;
    struct chat *chat = NULL;
    j->tokens = mem_zalloc(n, sizeof *j->tokens);
    j->inputs = mem_zalloc(n, sizeof *j->inputs);
    if (!size_mul(n, (size_t)j->o->samples, &j->n_texts))
        return error_memory(e, "so many texts");
    j->results = mem_zalloc(j->n_texts, sizeof *j->results);
    if (!j->tokens || !j->inputs || !j->results)
        return error_memory(e, "the prompts");
    const struct tokenizer *tokenizer;
    int status = model_need_tokenizer(j->model, &tokenizer, e);
    if (status == PLUMB_OK && j->o->chat)
        status = chat_open(model_path(j->model), &chat, e);
    for (size_t i = 0; i < n && status == PLUMB_OK; i++) {
        status = encode(j, chat, i, e);
        if (status != PLUMB_OK)
            status = error_prefix(e, "prompt %zu", i + 1);
        j->inputs[i] = (struct generate_prompt){j->tokens[i].ids, j->tokens[i].count};
    }
    chat_close(chat);
    return status;
}

static void show_piece(void *user, size_t i, const char *text, size_t n)
{
    (void)user;
    (void)i;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
}

static bool go_on(void *user)
{
    (void)user;
    return !progress_interrupted();
}

static int run_model(struct job *j, struct plumb_error *e)
{
    const bool stream = !j->o->json && j->n_texts == 1;
    const struct generate_listener l = {.piece = stream ? show_piece : NULL, .go_on = go_on};
    const double start = clock_seconds();
    int status = generate_samples(j->model, j->inputs, j->prompts.count, j->o->samples, &j->how, &l,
                                  j->results, e);
    j->seconds = clock_seconds() - start;
    if (stream)
        putchar('\n');
    return status;
}

/* ---- what is shown ---- */

static void token_text(const struct tokenizer *t, int32_t id, struct buffer *shown)
{
    struct buffer piece = BUFFER_EMPTY;
    tokenizer_piece(t, id, &piece);
    buffer_clear(shown);
    output_visible(shown, buffer_string(&piece), piece.size);
    buffer_free(&piece);
}

static bool show_logprobs(const struct job *j, const struct generated *g)
{
    struct table *table = table_create("rlrl");
    struct buffer shown = BUFFER_EMPTY, others = BUFFER_EMPTY;
    table_cell(table, "#");
    table_cell(table, "token");
    table_cell(table, "p");
    table_cell(table, "most likely");
    for (size_t i = 0; i < g->n; i++) {
        token_text(model_tokenizer(j->model), g->tokens[i], &shown);
        table_cell(table, "%zu", i + 1);
        table_cell(table, "\"%s\"", buffer_string(&shown));
        table_cell(table, "%.4f", exp((double)g->logprobs[i]));
        buffer_clear(&others);
        for (int k = 0; k < j->how.logprobs; k++) {
            const struct token_logprob *t = &g->top[i * (size_t)j->how.logprobs + (size_t)k];
            if (t->id < 0)
                break;
            token_text(model_tokenizer(j->model), t->id, &shown);
            buffer_printf(&others, "%s\"%s\" %.4f", k ? "  " : "", buffer_string(&shown),
                          exp((double)t->logprob));
        }
        table_cell(table, "%s", buffer_string(&others));
    }
    const bool good = !shown.failed && !others.failed && table_print(table, stdout);
    buffer_free(&shown);
    buffer_free(&others);
    return good;
}

static int show_texts(const struct job *j)
{
    bool good = true;
    for (size_t i = 0; i < j->n_texts; i++) {
        const struct generated *g = &j->results[i];
        if (j->n_texts > 1) { /* a single one has been shown as it came */
            printf("%s--- %zu", style_on(stdout, STYLE_DIM), i / (size_t)j->o->samples + 1);
            if (j->o->samples > 1)
                printf(".%zu", i % (size_t)j->o->samples + 1);
            printf(" ---%s\n", style_off(stdout));
            fwrite(g->text, 1, g->text_size, stdout);
            putchar('\n');
        }
        if (j->how.logprobs > 0)
            good = show_logprobs(j, g) && good;
    }
    return good ? PLUMB_OK : PLUMB_MACHINE;
}

static void write_token(const struct job *j, struct result *r, int32_t id, double logprob)
{
    struct buffer piece = BUFFER_EMPTY;
    tokenizer_piece(model_tokenizer(j->model), id, &piece);
    result_integer(r, "id", id);
    json_write_key(&r->json, "piece");
    json_write_string_n(&r->json, buffer_string(&piece), piece.size);
    result_double(r, "logprob", logprob);
    buffer_free(&piece);
}

static void write_result(const struct job *j, size_t i, struct result *r)
{
    const struct generated *g = &j->results[i];
    const size_t top = (size_t)j->how.logprobs, prompt = i / (size_t)j->o->samples;
    json_write_object(&r->json);
    if (j->prompts.items[prompt].id)
        result_text(r, "id", j->prompts.items[prompt].id);
    if (j->o->samples > 1) {
        result_integer(r, "prompt", (int64_t)prompt + 1);
        result_integer(r, "sample", (int64_t)(i % (size_t)j->o->samples) + 1);
    }
    json_write_key(&r->json, "text");
    json_write_string_n(&r->json, g->text, g->text_size);
    result_text(r, "reason", generate_reason_name(g->reason));
    if (g->stop >= 0)
        result_text(r, "stop", j->stops[g->stop]);
    result_integer(r, "prompt_tokens", (int64_t)j->inputs[prompt].n);
    json_write_key(&r->json, "tokens");
    json_write_array(&r->json);
    for (size_t t = 0; t < g->n; t++) {
        json_write_object(&r->json);
        write_token(j, r, g->tokens[t], (double)g->logprobs[t]);
        if (top > 0) {
            json_write_key(&r->json, "top");
            json_write_array(&r->json);
            for (size_t k = 0; k < top && g->top[t * top + k].id >= 0; k++) {
                json_write_object(&r->json);
                write_token(j, r, g->top[t * top + k].id, (double)g->top[t * top + k].logprob);
                json_write_end(&r->json, '}');
            }
            json_write_end(&r->json, ']');
        }
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, ']');
    json_write_end(&r->json, '}');
}

static int show_json(const struct job *j)
{
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    result_text(&r, "model", model_name(j->model));
    result_text(&r, "precision", precision_name(model_precision(j->model)));
    result_integer(&r, "max_tokens", j->how.max_tokens);
    result_double(&r, "temperature", j->how.sampling.temperature);
    result_integer(&r, "top_k", j->how.sampling.top_k);
    result_double(&r, "top_p", j->how.sampling.top_p);
    result_double(&r, "min_p", j->how.sampling.min_p);
    result_double(&r, "repeat_penalty", j->how.sampling.repeat_penalty);
    result_integer(&r, "seed", (int64_t)j->how.sampling.seed);
    json_write_key(&r.json, "stops");
    json_write_array(&r.json);
    for (int i = 0; i < j->how.n_stops; i++)
        json_write_string(&r.json, j->stops[i]);
    json_write_end(&r.json, ']');
    json_write_key(&r.json, "results");
    json_write_array(&r.json);
    for (size_t i = 0; i < j->n_texts; i++)
        write_result(j, i, &r);
    json_write_end(&r.json, ']');
    json_write_end(&r.json, '}');
    return result_print(&r);
}

/* ---- the verb ---- */

static int take_stops(struct job *j, struct plumb_error *e)
{
    for (int i = 0; i < j->o->stops.count; i++) {
        if (!*j->o->stops.words[i])
            return error_set(e, PLUMB_INPUT, "--stop '': every text would end at once");
        j->stops[i] = unescape(j->o->stops.words[i]);
        if (!j->stops[i])
            return error_memory(e, "a stop text");
    }
    j->how.stops = (const char *const *)j->stops;
    j->how.n_stops = j->o->stops.count;
    return PLUMB_OK;
}

static int prepare(const char *model, char **texts, int n_texts, struct job *j,
                   const struct progress *progress, struct plumb_error *e)
{
    const struct generate_verb_options *o = j->o;
    struct model_options how = model_options_default();
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = progress;
    j->how = generate_options_default();
    j->how.max_tokens = o->max_tokens;
    j->how.logprobs = o->logprobs;
    j->how.batch = o->batch != 0     ? o->batch
                   : o->samples < 8  ? 8
                   : o->samples < 64 ? o->samples
                                     : 64;
    j->how.sampling = (struct sampler_options){.temperature = o->temperature,
                                               .top_k = o->top_k,
                                               .top_p = o->top_p,
                                               .min_p = o->min_p,
                                               .repeat_penalty = o->repeat_penalty,
                                               .seed = o->seed};
    int status = sampler_options_check(&j->how.sampling, e);
    if (status == PLUMB_OK && o->samples < 1)
        status = error_set(e, PLUMB_INPUT, "--samples %d: expected 1 or more", o->samples);
    if (status == PLUMB_OK && o->samples > 1 && o->temperature == 0)
        status = error_set(e, PLUMB_INPUT,
                           "--samples %d at temperature 0 would be one text, %d times: add "
                           "--temperature 1",
                           o->samples, o->samples);
    if (status == PLUMB_OK && o->chat && o->special)
        status = error_set(e, PLUMB_INPUT,
                           "--special and --chat: what a user says never becomes a special token");
    if (status == PLUMB_OK && o->system && !o->chat)
        status =
            error_set(e, PLUMB_INPUT, "--system is for --chat: without it a prompt is plain text");
    if (status == PLUMB_OK)
        status = take_stops(j, e);
    for (int i = 0; i < n_texts && status == PLUMB_OK; i++)
        status = prompt_list_add(&j->prompts, texts[i], strlen(texts[i]), NULL, e);
    if (status == PLUMB_OK && o->file)
        status = prompt_list_read(&j->prompts, o->file, e);
    if (status == PLUMB_OK && j->prompts.count == 0)
        status = error_set(e, PLUMB_INPUT,
                           "no prompt: give one after the model, or a file of them with --file");
    if (status == PLUMB_OK)
        status = model_open(model, &how, &j->model, e);
    if (status == PLUMB_OK && o->steer) {
        status = steering_open(o->steer, j->model, &j->steering, e);
        j->how.steering = &j->steering;
    }
    return status == PLUMB_OK ? tokenize(j, e) : status;
}

static void tell_speed(const struct job *j)
{
    size_t given = 0, made = 0;
    for (size_t i = 0; i < j->prompts.count; i++)
        given += j->inputs[i].n;
    for (size_t i = 0; i < j->n_texts; i++)
        made += j->results[i].n;
    fprintf(stderr, "%zu tokens given, %zu made, in %.2f s: %.1f tokens/s made, reading included\n",
            given, made, j->seconds, (double)made / j->seconds);
}

static void release(struct job *j)
{
    for (size_t i = 0; j->tokens && i < j->prompts.count; i++)
        token_list_free(&j->tokens[i]);
    if (j->results)
        generated_free(j->results, j->n_texts);
    mem_free(j->tokens);
    mem_free(j->inputs);
    mem_free(j->results);
    for (int i = 0; i < OPTION_TEXTS_MAX; i++)
        mem_free(j->stops[i]);
    prompt_list_free(&j->prompts);
    steering_free(&j->steering);
    model_close(j->model);
}

static int run(int argc, char **argv)
{
    struct generate_verb_options o = {
        .max_tokens = 256, .samples = 1, .top_p = 1, .repeat_penalty = 1};
    struct operands words;
    struct plumb_error e = {0};
    struct job job = {.o = &o};
    struct progress_line line;
    int status;
    if (!verb_parse(&verb_generate, argc, argv, &o, 1, 1 << 20, &words, &status))
        return status;
    progress_line_start(&line, o.common.quiet);
    status = prepare(words.words[0], words.words + 1, words.count - 1, &job, &line.progress, &e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = run_model(&job, &e);
    if (status != PLUMB_OK && !progress_interrupted())
        status = verb_fail(&verb_generate, &e);
    else if (status == PLUMB_OK)
        status = o.json ? show_json(&job) : show_texts(&job);
    if (status == PLUMB_OK && o.common.verbose)
        tell_speed(&job);
    release(&job);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"MODEL PROMPT... [options]", "MODEL --file FILE [options]",
                                       NULL};
static const char *const examples[][2] = {
    {"plumb generate SmolLM2-135M \"The capital of France is\" -n 20",
     "the 20 most likely tokens that follow, one after the other"},
    {"plumb generate model.gguf --file prompts.jsonl --temperature 0.8 --top-p 0.95 --seed 7 "
     "--json "
     "> texts.json",
     "a draw for each prompt of a file, with token ids and log-probabilities"},
    {"plumb generate demo/post \"Kampala is\" --samples 5 --temperature 1 -n 8",
     "five texts of one prompt, which is run once"},
    {"plumb generate SmolLM2-135M-Instruct --chat --system \"Answer in one word.\" \"The capital "
     "of "
     "France?\"",
     "the model's answer to a user"},
    {NULL},
};
const struct verb verb_generate = {
    .name = "generate",
    .summary = "let a model go on from prompts",
    .synopses = synopses,
    .description =
        "Lets a model go on from prompts: the most likely token each time, or a draw. The text of "
        "a single prompt is shown as it comes. What follows a prompt does not depend on the "
        "prompts beside it, on the batch or on the threads; draws depend on the seed and on the "
        "numbers of the prompt and of the sample. The text ends where the model ends it, before a "
        "stop text, after "
        "--max-tokens, or where the model's context is full.",
    .options = options,
    .examples = examples,
    .run = run,
};
