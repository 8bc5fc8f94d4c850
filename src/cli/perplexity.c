/*
 * perplexity.c - `plumb perplexity`: how well a model predicts a text, with the definition beside the number.
 */
#include <stdio.h>

#include "base/file.h"
#include "cli/description.h"
#include "cli/progress_line.h"
#include "cli/verb.h"
#include "model/perplexity.h"

struct perplexity_verb_options {
    struct common_options common;
    int protocol, context, stride, precision, threads;
    size_t limit;
    const char *per_token;
    bool bos_each, json;
};

#define AT(field) offsetof(struct perplexity_verb_options, field)
static const struct option_row options[] = {
    {0, "protocol", OPTION_CHOICE, "gptq|llama.cpp|strided", AT(protocol),
     "how the text is cut into windows; numbers of different protocols are not comparable"},
    {0, "context", OPTION_INT, "N", AT(context),
     "tokens of a window; 2048, and 512 for llama.cpp, but no more than the model's context"},
    {0, "stride", OPTION_INT, "N", AT(stride),
     "strided: a new window every N tokens; half the context"},
    {0, "limit", OPTION_SIZE, "TOKENS", AT(limit), "only the first tokens of the text"},
    {0, "bos-each", OPTION_FLAG, NULL, AT(bos_each),
     "put the model's beginning token at the start of every window, as llama.cpp does"},
    {0, "per-token", OPTION_TEXT, "FILE", AT(per_token),
     "also a line for each scored token: place in the text, id, log-probability, the model's first "
     "choice; parted by tabs"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "of weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads), "0, the default: as many as there are"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static void write_token(void *user, const struct perplexity_token *t)
{
    fprintf(user, "%zu\t%d\t%.6f\t%d\n", t->place, t->id, t->log_prob, t->best);
}

static void tell_result(struct description *d, const struct perplexity *p)
{
    char text[96], tokens[32], windows[32], bytes[32];
    description_number(d, "tokens", "tokens", (double)p->tokens, human_grouped(p->tokens, tokens));
    snprintf(text, sizeof text, "%s tokens (%s bytes) in %s windows",
             human_grouped(p->scored, tokens), human_grouped(p->scored_bytes, bytes),
             human_grouped(p->windows, windows));
    description_number(d, "scored", "scored", (double)p->scored, text);
    snprintf(text, sizeof text, "%.4f ± %.4f  (standard error)", p->perplexity, p->standard_error);
    description_number(d, "perplexity", "perplexity", p->perplexity, text);
    snprintf(text, sizeof text, "%.5f nats a token  (-mean log p)", p->nll);
    description_number(d, "nll", "nll", p->nll, text);
    snprintf(text, sizeof text, "%.5f  (sum of -log2 p / bytes of the scored tokens)",
             p->bits_per_byte);
    description_number(d, "bits per byte", "bits_per_byte", p->bits_per_byte, text);
    const double share = (double)p->first_choices / (double)p->scored;
    snprintf(text, sizeof text, "%.4f  (share of scored tokens that the model held most probable)",
             share);
    description_number(d, "first choice", "first_choice", share, text);
}

static int show(const struct model *m, const char *file, const struct perplexity_verb_options *o,
                const struct perplexity *p, struct plumb_error *e)
{
    struct result result;
    struct buffer definition = BUFFER_EMPTY;
    const enum perplexity_protocol protocol = (enum perplexity_protocol)o->protocol;
    perplexity_definition(protocol, p, &definition);
    if (definition.failed)
        return error_memory(e, "the result");
    result_start(&result);
    struct description d = description_start(o->json ? &result : NULL, "perplexity");
    description_text(&d, "model", "model", model_name(m));
    description_text(&d, "precision", "precision", precision_name(model_precision(m)));
    description_text(&d, "text", "text", file);
    description_text(&d, "protocol", "protocol", perplexity_protocol_name(protocol));
    if (o->json) {
        result_text(&result, "definition", buffer_string(&definition));
        result_integer(&result, "context", p->context);
        result_integer(&result, "stride", p->stride);
        result_bool(&result, "bos_each", p->bos_each);
        result_integer(&result, "windows", (int64_t)p->windows);
        result_integer(&result, "scored_bytes", (int64_t)p->scored_bytes);
        result_double(&result, "standard_error", p->standard_error);
    }
    tell_result(&d, p);
    bool good = description_section(&d, !o->json);
    if (!o->json)
        options_wrap(buffer_string(&definition), 0, 0, stdout);
    buffer_free(&definition);
    return description_finish(&d, good);
}

static int measure(const char *path, const char *file, const struct perplexity_verb_options *o,
                   struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct model *m = NULL;
    const struct tokenizer *tokenizer;
    struct file_map text = {0};
    struct file_writer per_token = {0};
    struct perplexity result;
    struct progress_line line;
    progress_line_start(&line, o->common.quiet);
    how.precision = (enum precision)o->precision;
    how.threads = o->threads;
    how.progress = &line.progress;
    struct perplexity_options p = {.protocol = (enum perplexity_protocol)o->protocol,
                                   .context = o->context,
                                   .stride = o->stride,
                                   .limit = o->limit,
                                   .bos_each = o->bos_each,
                                   .progress = &line.progress};
    int status = file_map_open(file, &text, e);
    if (status == PLUMB_OK && o->per_token) {
        status = file_writer_open(o->per_token, &per_token, e);
        p.token = write_token;
        p.user = per_token.stream;
    }
    if (status == PLUMB_OK)
        status = model_open(path, &how, &m, e);
    if (status == PLUMB_OK)
        status = model_need_tokenizer(m, &tokenizer, e);
    if (status == PLUMB_OK) { /* from here on it is the text that may be wrong */
        status = perplexity_measure(m, (const char *)text.data, text.size, &p, &result, e);
        if (status == PLUMB_INPUT)
            error_prefix(e, "%s", file);
    }
    progress_line_end(&line);
    if (status == PLUMB_OK && o->per_token)
        status = file_writer_commit(&per_token, e);
    if (status == PLUMB_OK)
        status = show(m, file, o, &result, e);
    file_writer_abandon(&per_token);
    file_map_close(&text);
    model_close(m);
    return status;
}

static int run(int argc, char **argv)
{
    struct perplexity_verb_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_perplexity, argc, argv, &o, 2, 2, &words, &status))
        return status;
    status = measure(words.words[0], words.words[1], &o, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_perplexity, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"MODEL TEXTFILE [options]", NULL};
static const char *const examples[][2] = {
    {"plumb perplexity Qwen2.5-0.5B wiki.test.raw", "as GPTQ and most papers measure it"},
    {"plumb perplexity model-q4_0.gguf wiki.test.raw --protocol llama.cpp --json",
     "as llama.cpp's own tool measures it"},
    {NULL},
};
const struct verb verb_perplexity = {
    .name = "perplexity",
    .summary = "how well a model predicts a text",
    .synopses = synopses,
    .description = "Measures the perplexity of a text: exp of the mean negative log-likelihood of "
                   "its tokens, and "
                   "bits per byte, which tokenizers do not change.\n"
                   "What is scored depends on the protocol, which is named and defined beside the "
                   "number. gptq: "
                   "windows that do not overlap, all but their first token. llama.cpp: of each "
                   "window the second "
                   "half. strided: windows that overlap, every token of the text but the first.",
    .options = options,
    .examples = examples,
    .run = run,
};
