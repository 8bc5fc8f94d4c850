/*
 * plumb.h - the public C interface of plumb: measure how far a language model's confidence is from
 * its real rate of being right, at every layer.
 *
 *     #include <plumb.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         struct plumb_error error;
 *         plumb_trace *trace;
 *         if (plumb_trace_open("post.safetensors", &trace, &error) != PLUMB_OK) {
 *             fprintf(stderr, "%s\n", error.message);
 *             return error.code;
 *         }
 *         const float *logits = plumb_trace_logits(trace); // [items, options]
 *         printf("%zu questions, first logit %g\n", plumb_trace_items(trace), logits[0]);
 *         plumb_trace_close(trace);
 *         return 0;
 *     }
 *
 *     cc example.c $(pkg-config --cflags --libs plumb)
 *
 * The functions are graded from simple to advanced: reading traces, models and tokenizers,
 * making traces, generating text, raw logits.
 *
 * Rules that hold for every function here
 *   - A function that can fail returns an enum plumb_status, fills *error where it is not null, and
 *     leaves *out null.
 *   - Nothing prints, exits, aborts on bad input, or changes the process's signal handlers, locale
 *     or current folder.
 *   - An opaque object may be read by many threads at once. A function that takes it without
 *     `const` needs it for itself.
 *   - Strings are UTF-8 and end with NUL. A returned pointer belongs to the object that it was
 *     asked from and lives as long as that, unless its function says otherwise.
 *   - Sizes are in elements, arrays are row-major, logarithms are natural.
 *   - Until version 1.0 a new minor version may change this interface; the library's soname then
 *     changes with it.
 */
#ifndef PLUMB_H
#define PLUMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PLUMB_API __attribute__((visibility("default")))
#else
#define PLUMB_API
#endif

/* ---- Errors ---------------------------------------------------------------------------------- */

/* What every function that can fail returns; the same numbers are the program's exit statuses. */
enum plumb_status {
    PLUMB_OK = 0,      /* done */
    PLUMB_NO = 1,      /* done, but the answer is no: a check failed, nothing could be guaranteed */
    PLUMB_INPUT = 2,   /* what the user gave is wrong: a file, an option, a question */
    PLUMB_MACHINE = 3, /* the machine failed: disk, memory, network */
};

/* Filled by a function that returns anything but PLUMB_OK. One line: what, where, expected, what
   to do. */
struct plumb_error {
    int code; /* enum plumb_status */
    char message[1024];
};

/* "0.1.0". Never null, lives for ever. */
PLUMB_API const char *plumb_version(void);

/* ---- Reading a trace ------------------------------------------------------------------------- */

/* What a model said about every question of a task, at every layer: one safetensors file,
   mapped. */
typedef struct plumb_trace plumb_trace;

/* Opens a finished trace and checks all of it. PLUMB_INPUT: no such file, no trace, damaged or
   unfinished. */
PLUMB_API int plumb_trace_open(const char *path, plumb_trace **out, struct plumb_error *error);
PLUMB_API void plumb_trace_close(plumb_trace *trace); /* null is fine */

/* N items; K, the largest number of options of any item; L, the layers of the lens (0 = recorded
   without); S, the layers whose hidden states are kept, and D, their size; G, the groups. */
PLUMB_API size_t plumb_trace_items(const plumb_trace *trace);
PLUMB_API int plumb_trace_options(const plumb_trace *trace);
PLUMB_API int plumb_trace_layers(const plumb_trace *trace);
PLUMB_API int plumb_trace_hidden_layers(const plumb_trace *trace);
PLUMB_API int plumb_trace_hidden_size(const plumb_trace *trace);
PLUMB_API int plumb_trace_groups(const plumb_trace *trace);

/* By how much the prompts shifted the order of the options; 0 = their own order. */
PLUMB_API int plumb_trace_permutation(const plumb_trace *trace);

/* The arrays; views into the file, null where the trace was recorded without. */

/* [N, K] final option logits, or the scores of option texts; -inf behind an item's last option. */
PLUMB_API const float *plumb_trace_logits(const plumb_trace *trace);
/* [N, L, K] option logits after every block. */
PLUMB_API const float *plumb_trace_lens(const plumb_trace *trace);
/* [N, L] entropy over the full vocabulary after every block, in nats. */
PLUMB_API const float *plumb_trace_entropy(const plumb_trace *trace);
/* [N, K] log-likelihood of each option's text, nats; null where letters were scored. */
PLUMB_API const float *plumb_trace_text_log_likelihood(const plumb_trace *trace);
/* [N] probability of the option tokens together under the full softmax; null where imported. */
PLUMB_API const float *plumb_trace_option_mass(const plumb_trace *trace);
/* [N, S, D] hidden states, IEEE half precision. */
PLUMB_API const uint16_t *plumb_trace_hidden(const plumb_trace *trace);
/* [N] index of the right option, -1 = unknown. */
PLUMB_API const int32_t *plumb_trace_labels(const plumb_trace *trace);
/* [N] number of options, 2..K. */
PLUMB_API const int32_t *plumb_trace_option_counts(const plumb_trace *trace);
/* [N] group, 0..G-1. */
PLUMB_API const int32_t *plumb_trace_group_indices(const plumb_trace *trace);

/* The name of group i, 0 <= i < G; null outside. */
PLUMB_API const char *plumb_trace_group_name(const plumb_trace *trace, int i);
/* Provenance by name: "model", "model_fingerprint", "architecture", "tokenizer_hash", "precision",
   "lens", "score", "preset", "preset_hash", "task", "task_hash", "program"; "chat_hash" where the
   preset is chat, "steering" and "tuned_lens" where the run had one; null for any other name. */
PLUMB_API const char *plumb_trace_text(const plumb_trace *trace, const char *name);

/* Joins the shards of one task and one model, given in any order, into one trace: byte for byte the
   file that one run over all questions writes. PLUMB_INPUT: shards of different runs, gaps,
   overlaps. */
PLUMB_API int plumb_trace_join(const char *const *paths, size_t n, const char *out_path,
                               struct plumb_error *error);

/* ---- Models ---------------------------------------------------------------------------------- */

enum plumb_precision {
    PLUMB_PRECISION_AUTO, /* bf16 where the file's weights are BF16, f32 otherwise */
    PLUMB_PRECISION_F32,  /* the reference */
    PLUMB_PRECISION_BF16, /* weights and products in bf16; residuals, norms, softmax, lens in f32 */
};

/* Called now and then by long jobs: `done` of `total` units ("questions"); `note` is a short remark
   or null. Return false to stop the job. May be null in every options struct. */
typedef bool (*plumb_progress)(void *user, size_t done, size_t total, const char *unit,
                               const char *note);

struct plumb_model_options {
    enum plumb_precision precision;
    int threads;             /* 0 = as many as the process may use; results do not depend on it */
    bool load_weights;       /* false: configuration and tokenizer only, in milliseconds */
    plumb_progress progress; /* while weights are loaded */
    void *progress_user;
};
PLUMB_API struct plumb_model_options plumb_model_options_default(void); /* auto, 0, true, null */

typedef struct plumb_model plumb_model;

/* `path`: a folder in Hugging Face layout, or a .gguf file. `options` may be null. PLUMB_INPUT: not
   a model, damaged, or of an architecture that plumb does not know; unknown things are refused by
   name, never approximated. */
PLUMB_API int plumb_model_open(const char *path, const struct plumb_model_options *options,
                               plumb_model **out, struct plumb_error *error);
PLUMB_API void plumb_model_close(plumb_model *model); /* null is fine */

PLUMB_API const char *plumb_model_name(const plumb_model *model); /* the folder's or file's name */
PLUMB_API const char *plumb_model_architecture(const plumb_model *model); /* "Llama 1, 2, 3" */
PLUMB_API int plumb_model_layers(const plumb_model *model);
PLUMB_API int plumb_model_hidden_size(const plumb_model *model);
PLUMB_API int plumb_model_vocabulary(const plumb_model *model); /* rows of the unembedding */
PLUMB_API int plumb_model_context(const plumb_model *model);    /* tokens it was made for */
PLUMB_API size_t plumb_model_parameters(const plumb_model *model);
PLUMB_API enum plumb_precision plumb_model_precision(const plumb_model *model); /* never AUTO */
/* 32 hexadecimal digits over configuration and weights: the same for the same model wherever it
   lies. Reads all weights once and remembers the result in the user's cache folder. */
PLUMB_API int plumb_model_fingerprint(plumb_model *model, char out[33], struct plumb_error *error);

/* ---- Tokenizers ------------------------------------------------------------------------------ */

typedef struct plumb_tokenizer plumb_tokenizer;

/* `path`: a tokenizer.json, a folder with one, or a .gguf file. Close it when done. */
PLUMB_API int plumb_tokenizer_open(const char *path, plumb_tokenizer **out,
                                   struct plumb_error *error);
PLUMB_API void plumb_tokenizer_close(plumb_tokenizer *tokenizer); /* null is fine */
/* The model's own; null where it has none. Belongs to the model: do not close it. */
PLUMB_API const plumb_tokenizer *plumb_model_tokenizer(const plumb_model *model);

enum plumb_encode_flags {
    PLUMB_ENCODE_PLAIN = 0,
    /* <s> in front where the model wants it, and so on. */
    PLUMB_ENCODE_ADD_SPECIAL = 1,
    /* "<|im_end|>" in the text is that token; without, it is text like any other. */
    PLUMB_ENCODE_PARSE_SPECIAL = 2,
};

/* The ids of n bytes of text. Writes at most `capacity` of them to `ids` and their full number to
   *count: where that is more than `capacity`, call again with room for it (ids may be null with
   capacity 0). PLUMB_INPUT: invalid UTF-8. */
PLUMB_API int plumb_tokenizer_encode(const plumb_tokenizer *tokenizer, const char *text, size_t n,
                                     int flags, int32_t *ids, size_t capacity, size_t *count,
                                     struct plumb_error *error);
/* The text of n ids, special ones included or left out. Writes at most `capacity` bytes, no NUL,
   and the full length to *length, in the same way. PLUMB_INPUT: an id outside the vocabulary. */
PLUMB_API int plumb_tokenizer_decode(const plumb_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                     bool skip_special, char *text, size_t capacity, size_t *length,
                                     struct plumb_error *error);
/* One more than the largest id. */
PLUMB_API int32_t plumb_tokenizer_size(const plumb_tokenizer *tokenizer);
/* The id of a token in its raw form ("\xc4\xa0the"); -1 if there is none. */
PLUMB_API int32_t plumb_tokenizer_find(const plumb_tokenizer *tokenizer, const char *token);

/* ---- Making a trace -------------------------------------------------------------------------- */

enum plumb_preset {
    PLUMB_PRESET_CLEAN, /* ends in "Answer:", scores " A", " B", ... */
    PLUMB_PRESET_DACA,  /* the official DACA prompt: ends in "Answer: ", scores "A", "B", ... */
    PLUMB_PRESET_CHAT,  /* the model's own chat template; the answer begins with "Answer:" */
};

enum plumb_lens {
    PLUMB_LENS_LETTERS, /* option logits after every block */
    PLUMB_LENS_VOCAB,   /* and the full vocabulary's entropy after every block */
    PLUMB_LENS_NONE,    /* final option logits only */
};

/* What an option's logit is; docs/scoring.md has the definitions. */
enum plumb_score {
    PLUMB_SCORE_LETTERS,        /* the logit of its letter */
    PLUMB_SCORE_TEXT,           /* the sum of its text's log-likelihoods; no lens then */
    PLUMB_SCORE_TEXT_PER_BYTE,  /* that sum / bytes */
    PLUMB_SCORE_TEXT_PER_TOKEN, /* that sum / tokens */
};

struct plumb_trace_options {
    enum plumb_preset preset;
    const char *instruction; /* null = the preset's own first line */
    int shots;               /* examples in front of each question ... */
    const char *shots_from;  /* ... from this file or folder; null where shots is 0 */
    enum plumb_lens lens;
    const int *hidden_layers; /* [n_hidden] ascending, 0 (embeddings) to L: hidden states to keep */
    int n_hidden;
    size_t limit;            /* only the first questions; 0 = all */
    size_t shard, shards;    /* only part `shard` of 0..shards-1; shards 0 or 1 = everything */
    plumb_progress progress; /* questions done */
    void *progress_user;
    enum plumb_score score;
    const char *system; /* PLUMB_PRESET_CHAT: the system's message; null = none */
    int permutation; /* r: place j of the prompt's list shows option (j + r) mod k; what is recorded
                        stands at the options' own places. Letters only; 0 = their own order */
};
PLUMB_API struct plumb_trace_options plumb_trace_options_default(void); /* all zero */

struct plumb_trace_report {
    size_t items, resumed;          /* in the file; of these done by earlier runs */
    size_t tokens, tokens_computed; /* of the prompts run now; computed, shared beginnings once */
    double seconds;                 /* of running, without loading */
    double peak_share; /* linear layers' rate over this machine's peak; 0 without progress */
};

/* Runs the model over the questions at `questions` (JSONL, CSV in MMLU's layout, or a folder of
   these) and records the trace at `out_path`. What an earlier, stopped call left in
   `out_path`.partial is gone on with; a finished trace of the same run is left as it is; a file of
   another run is never overwritten (PLUMB_INPUT). `options` and `report` may be null.
   PLUMB_NO: progress asked to stop; the same call goes on from there. */
PLUMB_API int plumb_trace_run(plumb_model *model, const char *questions, const char *out_path,
                              const struct plumb_trace_options *options,
                              struct plumb_trace_report *report, struct plumb_error *error);

/* ---- Generating text ------------------------------------------------------------------------- */

struct plumb_generate_options {
    int max_tokens; /* at most so many new tokens a prompt; 256 */
    /* How a token is chosen; docs/generate.md defines the steps. */
    double temperature; /* 0: the most likely one, and the next three say nothing */
    int top_k;          /* draw from the k most likely; 0 = all */
    double top_p;       /* from the fewest that together reach it; 1 = all */
    double min_p;       /* from those at least this times as likely as the most likely; 0 = all */
    double repeat_penalty;    /* on tokens that the text has already; 1 = none */
    uint64_t seed;            /* the draws depend on it, the prompt's number and the place alone */
    const char *const *stops; /* [n_stops] a text ends before the first of these to come up */
    int n_stops;
    int logprobs; /* keep so many most likely tokens at each place; 0 to 100 */
    int batch;    /* prompts in hand at a time, each with its keys and values; 8 */
    /* Streaming: a piece of prompt i's text, whole characters, n bytes with no NUL behind, as soon as no
       stop text can begin in it. Return false to stop everything. May be null. */
    bool (*piece)(void *user, size_t i, const char *text, size_t n);
    void *user;
};
PLUMB_API struct plumb_generate_options plumb_generate_options_default(void); /* as named above */

struct plumb_prompt {
    const int32_t *ids; /* [n] from plumb_tokenizer_encode or plumb_model_encode_chat */
    size_t n;           /* 1 to the model's context - 1 */
};

/* Texts that were made; immutable. */
typedef struct plumb_generation plumb_generation;

/* Lets the model go on from n prompts. What follows one does not depend on the prompts beside it,
   the batch or the threads. `options` may be null. PLUMB_INPUT: an option or an id outside its
   range, a prompt that leaves no room in the context, a model without tokenizer. PLUMB_NO: `piece`
   asked to stop; nothing is kept. */
PLUMB_API int plumb_generate(plumb_model *model, const struct plumb_prompt *prompts, size_t n,
                             const struct plumb_generate_options *options, plumb_generation **out,
                             struct plumb_error *error);
PLUMB_API void plumb_generation_close(plumb_generation *generation); /* null is fine */

enum plumb_reason {
    PLUMB_REASON_END,     /* the model ended its text */
    PLUMB_REASON_STOP,    /* a stop text came up */
    PLUMB_REASON_LENGTH,  /* max_tokens */
    PLUMB_REASON_CONTEXT, /* the model's context is full */
};

struct plumb_token_logprob {
    int32_t id;    /* -1: the vocabulary holds no more */
    float logprob; /* nats, of the model's own softmax: no temperature, penalty or cut */
};

struct plumb_text {
    const char *text; /* [size] and a NUL; without special tokens and the stop text */
    size_t size;
    const int32_t *tokens; /* [n] new ones: those of a stop text are among them, the one with which
                              the model ended its text is not */
    const float *logprobs; /* [n] of these, as in plumb_token_logprob */
    const struct plumb_token_logprob *top; /* [n, logprobs] the most likely, the first first */
    size_t n;
    enum plumb_reason reason;
    int stop; /* which stop text; -1 = none */
};

/* What followed prompt i; null from n on. Lives as long as the generation. */
PLUMB_API const struct plumb_text *plumb_generation_text(const plumb_generation *generation,
                                                         size_t i);

struct plumb_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* never becomes a special token, however it is spelled */
};

/* The ids of n messages in the model's own chat template, up to where the assistant's answer
   begins; lengths as plumb_tokenizer_encode tells them. PLUMB_INPUT: the model has no template, or
   its template refuses the messages. */
PLUMB_API int plumb_model_encode_chat(const plumb_model *model,
                                      const struct plumb_message *messages, size_t n, int32_t *ids,
                                      size_t capacity, size_t *count, struct plumb_error *error);

/* ---- Raw logits ------------------------------------------------------------------------------ */

/* The next-token logits [vocabulary] after n >= 1 tokens, in f32. Computes the whole sequence; for
   many questions, make a trace. PLUMB_INPUT: an id outside the vocabulary, or more tokens than the
   model's context. */
PLUMB_API int plumb_model_next_logits(plumb_model *model, const int32_t *ids, size_t n,
                                      float *logits, struct plumb_error *error);

/* ---- Metrics --------------------------------------------------------------------------------- */

struct plumb_measure_options {
    int bins;      /* of the value "ece"; 15. Other binned values have their number in the key */
    int draws;     /* bootstrap resamples for the intervals; 2000; 0 = none */
    bool by_group; /* resample whole groups (subjects), not rows */
    uint64_t seed; /* 0 */
    double confidence;  /* of the intervals; 0.95 */
    double temperature; /* logits are divided by it; 1 */
    int threads;        /* 0 = as many as the process may use; results do not depend on it */
};
PLUMB_API struct plumb_measure_options plumb_measure_options_default(void);

/* One number, with all that a reader must know of it. The texts live as long as the library. */
struct plumb_measured {
    const char *key;        /* "ece_15", "auroc", "corp/mcb": docs/metrics.md lists them */
    const char *definition; /* rule, bins, ties, in one line */
    double value;           /* NaN: undefined */
    const char *reason;     /* why it is undefined; null where it is defined */
    double low, high;       /* the interval; NaN where there is none */
};

typedef struct plumb_measurement plumb_measurement;

/* Every metric of a file: a trace, a CSV, JSONL, or the sample logs of lm-evaluation-harness. Close
   the measurement when done. `options` may be null. PLUMB_INPUT: not such a file, no row with a known
   answer, a value that is NaN, infinite or out of range (by its row), wrong options. */
PLUMB_API int plumb_measure_file(const char *path, const struct plumb_measure_options *options,
                                 plumb_measurement **out, struct plumb_error *error);
/* The same of n rows: a confidence in [0, 1], and whether the answer was right (not 0) or wrong (0). */
PLUMB_API int plumb_measure_rows(const double *confidence, const uint8_t *correct, size_t n,
                                 const struct plumb_measure_options *options,
                                 plumb_measurement **out, struct plumb_error *error);
PLUMB_API void plumb_measurement_close(plumb_measurement *measurement); /* null is fine */

PLUMB_API size_t plumb_measurement_size(const plumb_measurement *measurement);
/* Value i, in the order of the report, or the value of a key. False: there is none. */
PLUMB_API bool plumb_measurement_get(const plumb_measurement *measurement, size_t i,
                                     struct plumb_measured *out);
PLUMB_API bool plumb_measurement_find(const plumb_measurement *measurement, const char *key,
                                      struct plumb_measured *out);

/* ---- Calibrating: the main job --------------------------------------------------------------- */

/* A post-trained model against its own base: which temperature makes its confidence true?
   docs/calibrators.md has the methods.

     plumb_fit *fit;
     struct plumb_method best;
     if (plumb_fit_traces("base.trace", "post.trace", NULL, &fit, &error) == PLUMB_OK) {
         if (plumb_fit_recommended(fit, &best))
             printf("divide the logits by %g: %s\n", best.temperature, plumb_fit_reason(fit));
         plumb_fit_write(fit, NULL, "calibration.json", &error);
         plumb_fit_close(fit);
     }
*/
struct plumb_fit_options {
    bool labels;   /* also the methods that need right answers; then all are fitted on one part of
                      the questions and judged on the other */
    double split;  /* with labels: the share to fit on; 0.3 */
    uint64_t seed; /* of split and resamples; 0 */
    bool by_group; /* a temperature for each group, where the method fits one temperature */
    int draws;     /* resamples for the intervals; 1000; 0 = none */
    int threads;   /* 0 = as many as the process may use; results do not depend on it */
    /* [n_permuted] traces of the post-trained model with other values of `permutation`: adds the
       method "cape". plumb_fit_traces only. */
    const char *const *permuted;
    size_t n_permuted;
};
PLUMB_API struct plumb_fit_options plumb_fit_options_default(void);

/* One method, fitted and, where right answers are known, judged. The texts live as long as the fit. */
struct plumb_method {
    const char *name;   /* "overlap": as plumb_fit_find and plumb_fit_write take it */
    const char *words;  /* "overlap matching": for people */
    const char *reason; /* why it could not be fitted; null where it was, and only then: */
    bool labels_used;
    double temperature; /* the logits are divided by it; NaN: the method fits something else */
    bool at_limit;      /* the temperature ran to the end of 0.05 to 20: do not trust it */
    size_t n_fit;       /* questions that it was fitted on; 0 where nothing is fitted */
    size_t n_judged;    /* with a known answer; 0: all that follow are NaN */
    double accuracy, ece_10, ece_15, aece_15, smece, brier;
    double nll;               /* NaN for a method that gives the answer's probability alone */
    double ece_low, ece_high; /* 95 % interval of ece_10 */
};

typedef struct plumb_fit plumb_fit;

/* Fits every method that applies to two finished traces of the same questions, whatever their order.
   `options` may be null. PLUMB_INPUT: no trace, different questions, presets, scores or orders of
   the options; labels asked for where none are; fewer than two questions; equal logits everywhere.
   Close the fit when done. */
PLUMB_API int plumb_fit_traces(const char *base, const char *post,
                               const struct plumb_fit_options *options, plumb_fit **out,
                               struct plumb_error *error);
/* The same from a table of recorded logits, a CSV: subject,index,gold,base_A,...,post_A,... */
PLUMB_API int plumb_fit_table(const char *path, const struct plumb_fit_options *options,
                              plumb_fit **out, struct plumb_error *error);
PLUMB_API void plumb_fit_close(plumb_fit *fit); /* null is fine */

PLUMB_API size_t plumb_fit_size(const plumb_fit *fit);
/* Method i, in the order of the table, or the method of a name. False: there is none. */
PLUMB_API bool plumb_fit_get(const plumb_fit *fit, size_t i, struct plumb_method *out);
PLUMB_API bool plumb_fit_find(const plumb_fit *fit, const char *name, struct plumb_method *out);
/* The method to use; without `labels` no right answer has a say in it. False: none can be
   recommended, and the reason says why. */
PLUMB_API bool plumb_fit_recommended(const plumb_fit *fit, struct plumb_method *out);
/* Why, with the check of what the method assumes. Never null. */
PLUMB_API const char *plumb_fit_reason(const plumb_fit *fit);
/* The check failed: judge the method on labelled questions before you rely on it. */
PLUMB_API bool plumb_fit_check_failed(const plumb_fit *fit);
/* Share of the questions to which both models give the same answer. */
PLUMB_API double plumb_fit_agreement(const plumb_fit *fit);
/* What to beware of, a sentence each; null from the last on. */
PLUMB_API const char *plumb_fit_warning(const plumb_fit *fit, size_t i);

/* Writes calibration.json with the method of a name; null = the recommended one. PLUMB_INPUT: no such
   method, one that was not fitted or is no calibrator. PLUMB_NO: none is recommended. */
PLUMB_API int plumb_fit_write(const plumb_fit *fit, const char *method, const char *path,
                              struct plumb_error *error);

#ifdef __cplusplus
}
#endif
#endif
