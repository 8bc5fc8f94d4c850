/*
 * scores_lm_eval.c - samples that lm-evaluation-harness (EleutherAI, version 0.4; loggers/evaluation_tracker.py) writes with
 * --log_samples: one JSON object a line.
 *
 *   doc_id, doc       place in the task, and the task's own document
 *   target            text of the right option's index, or of the right answer itself
 *   arguments         {"gen_args_0": {"arg_0": prompt, "arg_1": continuation}, ...}; before 0.4.3 [[prompt, continuation], ...]
 *   filtered_resps    [[log-likelihood, is greedy], ...] one a request, as texts ("-1.25", "False") or as values
 *   acc               1 or 0: what the harness says of the option with the largest sum
 *
 * Two kinds of task have scores. multiple_choice: a request an option, whose log-likelihood sums are read as logits, which is
 * how `acc` reads them (`acc_norm` divides them by the option's length, and is not what is read here). loglikelihood: one
 * request, the right answer; confidence = exp(log-likelihood), correct = the model would have written it greedily. What the
 * model thought of other answers is not in such a log.
 *
 * The index in `target` is checked against `acc`; where both contradict each other the log is refused, because a task with
 * rules of its own cannot be measured by guessing.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/number.h"
#include "trace/scores_build.h"

bool scores_is_lm_eval(struct json sample)
{
    return json_kind(json_get(sample, "doc_id")) != JSON_ABSENT &&
           (json_kind(json_get(sample, "filtered_resps")) != JSON_ABSENT ||
            json_kind(json_get(sample, "resps")) != JSON_ABSENT);
}

/* "samples_TASK_2026-11-22T10-57-18.444164.jsonl" */
struct span scores_lm_eval_task(const char *path)
{
    static const char begin[] = "samples_", shape[] = "_dddd-dd-ddTdd-dd-dd";
    const char *name = file_base_name(path);
    if (strncmp(name, begin, sizeof begin - 1) != 0)
        return (struct span){0};
    name += sizeof begin - 1;
    for (const char *at = strchr(name, '_'); at; at = strchr(at + 1, '_')) {
        size_t i = 0;
        while (shape[i] && (shape[i] == 'd' ? isdigit((unsigned char)at[i]) : at[i] == shape[i]))
            i++;
        if (!shape[i])
            return (struct span){name, (size_t)(at - name)};
    }
    return (struct span){0};
}

struct sample {
    struct json object;
    const char *what;
    size_t line;
    struct plumb_error *e;
};

/* ---- log-likelihoods ---- */

static bool read_number(struct json v, double *out)
{
    const char *s;
    size_t n;
    return json_number(v, out) || (json_string(v, &s, &n) && number_read(s, n, out));
}

static bool read_bool(struct json v, bool *out)
{
    if (json_is_string(v, "True") || json_is_string(v, "False")) {
        *out = json_is_string(v, "True");
        return true;
    }
    return json_bool(v, out);
}

/* [ll, greedy]; or in `resps`, where a request may be repeated, [[ll, greedy], ...], of which the first counts. */
static int read_response(const struct sample *s, struct json v, size_t option, double *ll,
                         bool *greedy)
{
    if (json_kind(json_at(v, 0)) == JSON_ARRAY)
        v = json_at(v, 0);
    if (json_kind(v) == JSON_ARRAY && json_size(v) == 2 && read_number(json_at(v, 0), ll) &&
        read_bool(json_at(v, 1), greedy))
        return PLUMB_OK;
    return error_set(
        s->e, PLUMB_INPUT,
        "%s:%zu: filtered_resps: element %zu is no pair of a log-likelihood and whether "
        "it is greedy: only multiple_choice and loglikelihood tasks have scores, tasks "
        "that generate text have none",
        s->what, s->line, option);
}

static int read_responses(const struct sample *s, double *values, int *n, bool *greedy)
{
    struct json list = json_get(s->object, "filtered_resps");
    if (json_kind(list) == JSON_ABSENT)
        list = json_get(s->object, "resps");
    if (json_kind(list) != JSON_ARRAY || json_size(list) < 1 ||
        json_size(list) > SCORES_MAX_OPTIONS)
        return error_set(
            s->e, PLUMB_INPUT,
            "%s:%zu: filtered_resps: found %s of %zu, expected the responses to 1 to %d "
            "requests",
            s->what, s->line, json_kind_name(json_kind(list)), json_size(list),
            (int)SCORES_MAX_OPTIONS);
    *n = 0;
    for (struct json_iterator i = json_each(list); json_next(&i);) {
        int status = read_response(s, i.value, i.index, &values[(*n)++], greedy);
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

/* ---- what was asked ---- */

/* Part `part` (0 prompt, 1 continuation) of a request; absent if the log has none. */
static struct span argument(const struct sample *s, int request, int part)
{
    struct json all = json_get(s->object, "arguments"), one;
    struct span text = {0};
    if (json_kind(all) == JSON_OBJECT) {
        char key[32], name[16];
        snprintf(key, sizeof key, "gen_args_%d", request);
        snprintf(name, sizeof name, "arg_%d", part);
        one = json_get(json_get(all, key), name);
    } else {
        one = json_at(json_at(all, (size_t)request), (size_t)part);
    }
    json_string(one, &text.s, &text.n);
    return text;
}

static struct span without_blanks(struct span t)
{
    while (t.n && isspace((unsigned char)t.s[0]))
        t.s++, t.n--;
    while (t.n && isspace((unsigned char)t.s[t.n - 1]))
        t.n--;
    return t;
}

static bool same_text(struct span a, struct span b)
{
    a = without_blanks(a);
    b = without_blanks(b);
    return a.n == b.n && a.n && memcmp(a.s, b.s, a.n) == 0;
}

/* acc_mutual_info asks for every option once more, behind nothing: these requests are no options. */
static int count_options(const struct sample *s, int requests)
{
    const int half = requests / 2;
    if (requests % 2 || half < 2)
        return requests;
    for (int i = 0; i < half; i++)
        if (argument(s, half + i, 0).n || !argument(s, i, 0).n ||
            !same_text(argument(s, i, 1), argument(s, half + i, 1)))
            return requests;
    return half;
}

/* ---- the right answer ---- */

static int index_of_largest(const double *v, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

/* Does the harness's own verdict allow this label? */
static bool allowed(double acc, int label, int prediction)
{
    return isnan(acc) || (acc == 1) == (label == prediction);
}

/* The index that `target` says, as number or as an option's own text; -1: neither, or against `acc`. */
static int label_of_target(const struct sample *s, int n, int prediction, double acc)
{
    struct span target = {0};
    double number = -1;
    const struct json v = json_get(s->object, "target");
    json_string(v, &target.s, &target.n);
    if (read_number(v, &number) && number >= 0 && number < n && number == (double)(int)number &&
        allowed(acc, (int)number, prediction))
        return (int)number;
    int found = -1;
    for (int i = 0; i < n; i++)
        if (same_text(argument(s, i, 1), target)) {
            if (found >= 0)
                return -1; /* all options continue alike (Winogrande): the text tells nothing */
            found = i;
        }
    return found >= 0 && allowed(acc, found, prediction) ? found : -1;
}

static int read_label(const struct sample *s, const double *values, int n, int *out)
{
    const int prediction = index_of_largest(values, n);
    double acc = (double)NAN;
    if (!read_number(json_get(s->object, "acc"), &acc))
        acc = (double)NAN;
    if (!isnan(acc) && acc != 0 && acc != 1)
        return error_set(s->e, PLUMB_INPUT,
                         "%s:%zu: acc: found %.6g, expected 1 or 0: a task with several right "
                         "answers a question cannot be measured",
                         s->what, s->line, acc);
    *out = label_of_target(s, n, prediction, acc);
    if (*out < 0 && acc == 1)
        *out = prediction;
    else if (*out < 0 && acc == 0 && n == 2)
        *out = 1 - prediction;
    if (*out >= 0)
        return PLUMB_OK;
    return error_set(s->e, PLUMB_INPUT,
                     "%s:%zu: target is not one of the %d options (an index from 0, or an option's "
                     "text)%s: this task's right answer cannot be told from the log",
                     s->what, s->line, n, isnan(acc) ? "" : " that agrees with acc");
}

/* ---- a row ---- */

static void hash_sample(const struct sample *s, struct scores_row *row, bool *of_texts)
{
    const struct json doc = json_get(s->object, "doc"), id = json_get(s->object, "doc_id");
    struct span text = {0};
    int64_t number = 0;
    *of_texts = true;
    if (scores_question_hash(doc, &row->hash))
        return;
    if (json_string(json_get(s->object, "doc_hash"), &text.s, &text.n) && text.n) {
        row->hash = scores_hash_id((struct span){"doc_hash", 8}, text);
        return;
    }
    *of_texts = false;
    json_integer(id, &number);
    row->hash = scores_hash_place((size_t)number);
}

int scores_lm_eval_row(struct json object, const char *what, size_t line, double *values,
                       enum scores_kind *kind, struct scores_row *row, bool *of_texts,
                       struct plumb_error *e)
{
    const struct sample s = {.object = object, .what = what, .line = line, .e = e};
    bool greedy = false;
    int n = 0;
    *of_texts = false;
    if (!scores_is_lm_eval(object))
        return error_set(e, PLUMB_INPUT,
                         "%s:%zu: found no doc_id and filtered_resps, expected a sample of "
                         "lm-evaluation-harness as in the lines before",
                         what, line);
    int status = read_responses(&s, values, &n, &greedy);
    if (status != PLUMB_OK)
        return status;
    hash_sample(&s, row, of_texts);
    row->values = values;
    if (n == 1) {
        if (values[0] > 0)
            return error_set(e, PLUMB_INPUT,
                             "%s:%zu: filtered_resps: found a log-likelihood of %.6g, expected at "
                             "most 0",
                             what, line, values[0]);
        *kind = SCORES_CONFIDENCE;
        values[0] = exp(values[0]);
        row->n_values = 1;
        row->label = greedy;
        return PLUMB_OK;
    }
    *kind = SCORES_LOGITS;
    row->n_values = count_options(&s, n);
    return read_label(&s, values, row->n_values, &row->label);
}
