/*
 * steer.c - `plumb steer`: the verb, its options, and the export of a direction.
 */
#include "cli/steer.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/verb.h"

enum { FROM_PHASE = -1 };

#define AT(field) offsetof(struct steer_options, field)
static const struct option_row options[] = {
    {0, "model", OPTION_TEXT, "MODEL", AT(model), "fit: the model that the traces are of"},
    {0, "task", OPTION_TEXT, "QUESTIONS", AT(task),
     "fit: questions with answers; a part chooses, the others judge"},
    {0, "test", OPTION_TEXT, "QUESTIONS", AT(test),
     "fit: judge on these instead; then all of --task choose"},
    {0, "split", OPTION_NUMBER, "SHARE", AT(split),
     "fit: the share of the questions that choose: 0.5"},
    {0, "by-group", OPTION_FLAG, NULL, AT(by_group),
     "fit: whole groups (subjects) choose or judge"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "fit: of split, random directions and resamples: 0"},
    {0, "limit", OPTION_SIZE, "N", AT(limit),
     "fit: only the first N questions of each file; 0, the default: all"},
    {'o', "output", OPTION_TEXT, "FILE", AT(output),
     "fit: the direction, safetensors; export: the control vector, GGUF"},
    {0, "pick", OPTION_TEXT, "NAME", AT(pick),
     "fit: which row to write: best (of D1 to D4; the default), update, contrast, component, "
     "null-space, random, clip or clip-nll"},
    {0, "layers", OPTION_TEXT, "LAYERS", AT(layers),
     "fit: where to steer, 5,7 or 4-8, last, all; the default: up to five of those that the trace "
     "keeps from the peak of miscalibration on"},
    {0, "from", OPTION_INT, "LAYER", AT(from),
     "fit: the layer from which D1 and D3 take updates; the default is the peak of "
     "miscalibration, or the start of the plateau where the last layer is the peak"},
    {0, "tokens", OPTION_CHOICE, "last|all", AT(tokens),
     "fit: steer the last token of a prompt (and every new one), or all; all runs every prompt "
     "for every setting"},
    {0, "components", OPTION_INT, "N", AT(components), "fit: singular vectors of D3 tried: 4"},
    {0, "random", OPTION_INT, "N", AT(randoms), "fit: random directions tried: 4"},
    {0, "confident", OPTION_NUMBER, "P", AT(threshold),
     "fit: D2 contrasts answers with a confidence above this; the default is the median"},
    {0, "bootstrap", OPTION_INT, "N", AT(bootstrap),
     "fit: resamples of the judgement: 1000; 0 for no intervals"},
    {0, "preset", OPTION_CHOICE, "clean|daca|chat", AT(preset), "fit: of the prompts, as traced"},
    {0, "system", OPTION_TEXT, "TEXT", AT(system), "fit: with --preset chat, as traced"},
    {0, "instruction", OPTION_TEXT, "TEXT", AT(instruction), "fit: as traced"},
    {0, "shots", OPTION_INT, "N", AT(shots), "fit: as traced"},
    {0, "shots-from", OPTION_TEXT, "FILE", AT(shots_from), "fit: as traced"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "fit: of weights and matrix products"},
    {0, "format", OPTION_CHOICE, "llama.cpp", AT(format), "export: the only one"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "fit, show: one JSON document"},
    {0},
};

int steer_export(const struct steer_options *o, const char *direction, struct plumb_error *e)
{
    struct steering s;
    if (!o->output)
        return error_set(e, PLUMB_INPUT, "no output file: add -o FILE.gguf");
    int status = steering_read(direction, &s, e);
    if (status != PLUMB_OK)
        return status;
    status = steering_export(&s, o->output, e);
    if (status != PLUMB_OK)
        error_prefix(e, "%s", direction);
    if (status == PLUMB_OK && !s.all_tokens && !o->common.quiet)
        options_wrap("plumb steer: llama.cpp adds a control vector at every token; this direction "
                     "was fitted for the last token of a prompt and the new ones",
                     0, 0, stderr);
    steering_free(&s);
    return status;
}

static int act(const struct steer_options *o, const struct operands *w, struct plumb_error *e)
{
    const char *word = w->words[0];
    if (strcmp(word, "fit") == 0 && w->count >= 2)
        return steer_fit(o, w->words + 1, w->count - 1, e);
    if (strcmp(word, "show") == 0 && w->count == 2)
        return steer_show(o, w->words[1], e);
    if (strcmp(word, "export") == 0 && w->count == 2)
        return steer_export(o, w->words[1], e);
    return error_set(
        e, PLUMB_INPUT,
        "'%.40s' with %d files; expected fit TRACE..., show DIRECTION or export DIRECTION", word,
        w->count - 1);
}

static int run(int argc, char **argv)
{
    const struct steer_search_options how = steer_search_options_default();
    struct steer_options o = {.split = 0.5,
                              .threshold = how.threshold,
                              .from = FROM_PHASE,
                              .components = how.components,
                              .randoms = how.randoms,
                              .bootstrap = how.draws};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_steer, argc, argv, &o, 1, 1 << 20, &words, &status))
        return status;
    status = act(&o, &words, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_steer, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {
    "fit TRACE... --model MODEL --task QUESTIONS [options] [-o DIRECTION]",
    "show DIRECTION [--json]", "export DIRECTION -o FILE.gguf", NULL};
static const char *const examples[][2] = {
    {"plumb trace demo/post demo/test.jsonl --hidden all -o post.trace", "first: hidden states"},
    {"plumb steer fit post.trace --model demo/post --task demo/test.jsonl --split 0.33 -o "
     "direction.safetensors",
     "a third of the questions chooses a direction, the others judge it beside its controls"},
    {"plumb trace demo/post demo/test.jsonl --steer direction.safetensors:0.05 -o steered.trace",
     "apply it, here with another strength"},
    {"plumb steer export direction.safetensors --format llama.cpp -o cv.gguf",
     "a control vector for llama-cli --control-vector"},
    {NULL},
};
const struct verb verb_steer = {
    .name = "steer",
    .summary = "correct confidence inside: directions in the hidden states, beside their controls",
    .synopses = synopses,
    .description =
        "fit takes candidate directions from the hidden states of traces, searches direction, "
        "layer and strength on one part of the questions for the lowest calibration error at no "
        "more than 0.2 points of accuracy, and judges on the others. Random directions, feature "
        "clipping and temperature alone go through the same search and stand in the same table; a "
        "sentence says whether the best direction beats temperature alone.\n"
        "plumb trace --steer and plumb generate --steer apply what was written; show says what a "
        "direction does and whose it is; export writes a "
        "control vector for llama.cpp.\n"
        "Exit status 1: nothing to write, for no setting lowered the error on the part that "
        "chose.",
    .options = options,
    .examples = examples,
    .run = run,
};
