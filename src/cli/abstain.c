/*
 * abstain.c - `plumb abstain`: the verb, its options, and what its words share.
 */
#include <stdio.h>
#include <string.h>

#include "abstain/risk_control.h"
#include "cli/abstain.h"
#include "cli/verb.h"

#define AT(field) offsetof(struct abstain_options, field)
static const struct option_row options[] = {
    {0, "calibration", OPTION_TEXT, "FILE", AT(calibration),
     "fit, compare: apply this calibration.json to the confidences first"},
    {0, "target-error", OPTION_NUMBER, "RATE", AT(target_error),
     "fit: at most this share of the answers may be wrong; 0.05"},
    {0, "delta", OPTION_NUMBER, "P", AT(delta),
     "fit: the guarantee may fail with this probability; 0.05"},
    {0, "method", OPTION_CHOICE, "ltt|ltt-bonferroni|crc|sgr|plain", AT(method),
     "fit: Learn then Test in a fixed sequence or with Bonferroni's correction, conformal risk "
     "control of the joint rate, selection with guaranteed risk, or nothing guaranteed"},
    {0, "caveat-error", OPTION_NUMBER, "RATE", AT(caveat_error),
     "fit: a second, lower threshold at this rate; between the two answers carry a caveat"},
    {0, "split-grid", OPTION_NUMBER, "SHARE", AT(split_grid),
     "fit: take the thresholds to try from this share of the questions, and test on the others; "
     "0: 0.00, 0.01, ..., 0.99, tested on all"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the split, and of the folds: 0"},
    {0, "sets", OPTION_TEXT, "lac|aps|raps", AT(sets),
     "fit: also sets of options that hold the right one; needs all option probabilities"},
    {0, "by-class", OPTION_FLAG, NULL, AT(by_class), "with --sets: a quantile for each option"},
    {0, "alpha", OPTION_NUMBER, "RATE", AT(alpha),
     "with --sets: how often a set may miss the right option; 0.1"},
    {0, "words", OPTION_CHOICE, "icd203|ipcc|kent", AT(words),
     "fit: the table of words for confidence"},
    {0, "layers", OPTION_TEXT, "LIST", AT(layers),
     "probe: the layers to try, of those recorded: 4-12,20; none: the model's own numbers alone"},
    {0, "kind", OPTION_CHOICE, "logistic|mlp|both", AT(kind),
     "probe: logistic regression, a network with one hidden layer, or both"},
    {0, "folds", OPTION_INT, "N", AT(folds), "probe: of the cross-validation; 5"},
    {0, "split", OPTION_CHOICE, "auto|group|question", AT(split),
     "probe: what stays in one fold: the questions of a group, or each question alone; auto: the "
     "groups where there are as many as folds"},
    {0, "target", OPTION_TEXT, "FILE", AT(target),
     "probe: learn whether the answers in this trace or confidence file are right, by question"},
    {0, "question-alone", OPTION_FLAG, NULL, AT(question_alone),
     "probe: P(IK), from the hidden states alone, without the numbers of the answer"},
    {0, "common", OPTION_FLAG, NULL, AT(common_questions),
     "compare: measure every source on the questions that all of them have"},
    {0, "slice", OPTION_TEXT, "FILE", AT(slice),
     "slice: the questions to recalibrate; their answers are not needed"},
    {0, "apply", OPTION_TEXT, "PROBE", AT(apply), "probe: let a stored probe judge the trace"},
    {0, "confidence", OPTION_TEXT, "FILE", AT(confidence),
     "probe: write the confidence of every question; fit, apply: take the confidence from this "
     "file "
     "of plumb abstain probe, check or combine, or of plumb answer"},
    {0, "source", OPTION_TEXT, "NAME", AT(source),
     "fit, apply: the source in a confidence file, where it holds several"},
    {'t', "threads", OPTION_INT, "N", AT(threads), "probe: default: all; changes no result"},
    {0, "guess", OPTION_FLAG, NULL, AT(guess),
     "apply: a declined question gets the best guess with its number"},
    {'o', "output", OPTION_TEXT, "FILE", AT(output),
     "fit: calibration.json with the threshold; apply: a line of JSON for each question; probe, "
     "combine: what is made"},
    {0, "report", OPTION_TEXT, "FILE", AT(report),
     "fit, compare: one HTML page with the risk-coverage curves; probe: with the curve over "
     "layers"},
    {0, "force", OPTION_FLAG, NULL, AT(force),
     "apply a calibration to another model, preset or precision than it was fitted for"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

static int check_options(const struct abstain_options *o, struct plumb_error *e)
{
    if (!(o->split_grid >= 0 && o->split_grid < 1))
        return error_set(e, PLUMB_INPUT, "--split-grid %g: expected a share from 0 to below 1",
                         o->split_grid);
    if (o->caveat_error != 0 && !(o->caveat_error > o->target_error && o->caveat_error < 1))
        return error_set(e, PLUMB_INPUT,
                         "--caveat-error %g: expected more than the target error %g and less than "
                         "1",
                         o->caveat_error, o->target_error);
    if (o->calibration && o->confidence)
        return error_set(e, PLUMB_INPUT,
                         "--confidence takes the place of what --calibration would give: leave out "
                         "one of them");
    if (o->by_class && !o->sets)
        return error_set(e, PLUMB_INPUT, "--by-class needs --sets");
    return PLUMB_OK;
}

/* A word that there is not, or with files that it does not take. */
static int refuse_words(const char *word, int files, struct plumb_error *e)
{
    static const char *const uses[][2] = {{"fit", "TRACE"},
                                          {"apply", "CALIBRATION TRACE"},
                                          {"probe", "TRACE, or --apply PROBE TRACE"},
                                          {"combine", "FILE..."},
                                          {"compare", "FILE..."},
                                          {"slice", "FILE --slice FILE"}};
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
        if (strcmp(word, uses[i][0]) == 0)
            return error_set(e, PLUMB_INPUT, "'%s' with %d files; expected %s %s", word, files,
                             word, uses[i][1]);
    return error_set(e, PLUMB_INPUT,
                     "no '%.40s'; expected fit, apply, probe, check, combine, compare or slice",
                     word);
}

static int act(const struct abstain_options *o, const struct operands *w, struct plumb_error *e)
{
    const char *word = w->words[0];
    int status = check_options(o, e);
    if (status != PLUMB_OK)
        return status;
    if (strcmp(word, "fit") == 0 && w->count == 2)
        return abstain_fit(o, w->words[1], e);
    if (strcmp(word, "apply") == 0 && w->count == 3)
        return abstain_apply(o, w->words[1], w->words[2], e);
    if (strcmp(word, "probe") == 0 && w->count == 2)
        return abstain_probe(o, w->words[1], e);
    if (strcmp(word, "slice") == 0 && w->count == 2)
        return abstain_slice(o, w->words[1], e);
    if (strcmp(word, "combine") == 0 && w->count >= 2)
        return abstain_combine(o, w->words + 1, w->count - 1, e);
    if (strcmp(word, "compare") == 0 && w->count >= 2)
        return abstain_compare(o, w->words + 1, w->count - 1, e);
    return refuse_words(word, w->count - 1, e);
}

static int run(int argc, char **argv)
{
    const struct risk_options risk = risk_options_default();
    struct abstain_options o = {
        .target_error = risk.target_error, .delta = risk.delta, .alpha = 0.1, .folds = 5};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_abstain, argc, argv, &o, 1, 1 << 20, &words, &status))
        return status;
    status = act(&o, &words, &e);
    if (status == PLUMB_OK || (status == PLUMB_NO && !*e.message))
        return status;
    return verb_fail(&verb_abstain, &e);
}

static const char *const synopses[] = {
    "fit TRACE [--calibration FILE] [--target-error RATE] [options] -o FILE",
    "apply CALIBRATION TRACE [options]",
    "probe TRACE [--layers LIST] [options] -o PROBE [--confidence FILE]",
    "probe --apply PROBE TRACE --confidence FILE",
    "check MODEL QUESTIONS --trace TRACE -o FILE (plumb help abstain check)",
    "compare FILE... [options]",
    "combine FILE... -o FILE",
    "slice LABELLED --slice UNLABELLED [options]",
    NULL};
static const char *const examples[][2] = {
    {"plumb abstain fit post.trace --calibration calibration.json --target-error 0.2 -o "
     "abstain.json",
     "the lowest confidence at which at most 20 % of the answers are wrong, with 95 % probability"},
    {"plumb abstain apply abstain.json new.trace -o answers.jsonl",
     "answer, answer with a caveat, or decline each question"},
    {"plumb abstain probe post.trace -o probe.safetensors --confidence probe.jsonl",
     "train a probe on every layer of plumb trace --hidden all, keep the best, write its "
     "confidences"},
    {"plumb abstain combine post.trace probe.jsonl -o combined.jsonl",
     "one confidence out of the trace's own and the probe's"},
    {"plumb abstain compare post.trace --calibration calibration.json",
     "which source of confidence tells right from wrong best"},
    {NULL},
};
const struct verb verb_abstain = {
    .name = "abstain",
    .summary = "know when the model is guessing: thresholds with a guaranteed error rate",
    .synopses = synopses,
    .description =
        "fit chooses, on labelled questions, the confidence from which a model may answer so that "
        "its error rate is bounded, and says what is guaranteed, for what, and when it stops being "
        "true. The questions must not be those that the calibration was fitted on with labels.\n"
        "apply decides for every question of a trace: an answer, an answer with a caveat, or none. "
        "It always counts answered, wrong and declined together.\n"
        "probe trains a small model that reads from hidden states (plumb trace --hidden) whether "
        "the "
        "answer is right. Its layer is chosen by cross-validation, and its figures are of "
        "questions "
        "that neither its training nor that choice saw.\n"
        "compare measures sources of confidence side by side: those that one pass gives (option "
        "probability, margin, entropy, option mass) and those of confidence files.\n"
        "combine makes one confidence of several by cross-validated logistic regression.\n"
        "slice recalibrates questions of a new kind without a label of them, from labelled "
        "questions "
        "of many groups, and says whether that is better than one map for all.\n"
        "Exit status 1: no threshold meets the target, so that everything is declined; or a slice "
        "is "
        "not better recalibrated than by one map for all.",
    .options = options,
    .examples = examples,
    .run = run,
};
