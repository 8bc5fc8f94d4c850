/*
 * answer_table.c - the summary of `plumb answer`: how many were right, what each confidence says of right and wrong answers, and
 * the model's rate of being right when it draws.
 */
#include <math.h>
#include <stdio.h>

#include "answer/capability.h"
#include "base/memory.h"
#include "base/sum.h"
#include "cli/answer.h"
#include "cli/output.h"
#include "cli/result.h"

/* One source over the questions. NAN: there is none to take the mean of. */
struct source_means {
    double all, right, wrong;
    size_t missing;
    struct capability_loss loss; /* of a probability; questions 0 otherwise */
};

static double mean_where(const struct confidence_file *f, int s, int right, size_t *missing)
{
    struct sum sum = {0};
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (right >= 0 && f->right[i] != right)
            continue;
        if (isnan(f->value[s][i])) {
            *missing += right < 0;
            continue;
        }
        sum_add(&sum, f->value[s][i]);
        n++;
    }
    return n ? sum_value(sum) / (double)n : NAN;
}

/* Rates of being right, only of questions all of whose samples were judged: count 0 otherwise. */
struct rates {
    size_t *right, *count; /* [n] */
    size_t n, questions;
    double expected; /* mean c */
};

static bool rates_create(const struct answers_report *r, struct rates *out)
{
    struct sum c = {0};
    *out = (struct rates){.right = mem_zalloc(r->questions, sizeof *out->right),
                          .count = mem_zalloc(r->questions, sizeof *out->count),
                          .n = r->questions};
    if (!out->right || !out->count)
        return false;
    for (size_t i = 0; i < r->questions; i++) {
        if (!r->known[i])
            continue;
        out->right[i] = r->sample_right[i];
        out->count[i] = r->sample_count[i];
        sum_add(&c, (double)out->right[i] / (double)out->count[i]);
        out->questions++;
    }
    out->expected = out->questions ? sum_value(c) / (double)out->questions : NAN;
    return true;
}

static void rates_free(struct rates *r)
{
    mem_free(r->right);
    mem_free(r->count);
}

/* Mean over the questions. */
static double mean_pass_at(const struct rates *r, size_t k)
{
    struct sum sum = {0};
    for (size_t i = 0; i < r->n; i++)
        if (r->count[i] > 0)
            sum_add(&sum, pass_at_k_unbiased(r->count[i], r->right[i], k));
    return r->questions ? sum_value(sum) / (double)r->questions : NAN;
}

static struct source_means means_of(const struct confidence_file *f, int s, const struct rates *c)
{
    struct source_means m = {0};
    size_t ignored = 0;
    m.all = mean_where(f, s, -1, &m.missing);
    m.right = mean_where(f, s, 1, &ignored);
    m.wrong = mean_where(f, s, 0, &ignored);
    if (f->sources[s].probability && c->questions > 0)
        m.loss = capability_loss(c->right, c->count, f->value[s], c->n);
    return m;
}

/* ---- for people -------------------------------------------------------------------------------- */

static void number_cell(struct table *t, double x)
{
    if (isnan(x))
        table_cell(t, "-");
    else
        table_cell(t, "%.3f", x);
}

static bool show_sources(const struct confidence_file *f, const struct rates *c)
{
    struct table *t = table_create("lrrrrrr");
    static const char *const heads[] = {"confidence", "mean",     "right", "wrong",
                                        "missing",    "(p - c)²", "passes"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_cell(t, "%s", heads[i]);
    for (int s = 0; s < f->n_sources; s++) {
        const struct source_means m = means_of(f, s, c);
        table_cell(t, "%s", f->sources[s].name);
        number_cell(t, m.all);
        number_cell(t, m.right);
        number_cell(t, m.wrong);
        table_cell(t, "%zu", m.missing);
        number_cell(t, m.loss.questions ? m.loss.capability : NAN);
        table_cell(t, "%.0f", f->sources[s].passes);
    }
    return table_print(t, stdout);
}

static void show_rates(const struct answers_report *r, const struct rates *c, int samples)
{
    if (r->samples == 0)
        return;
    printf("\n%zu samples: %.1f different answers a question, %.1f meanings; %zu could not be "
           "read\n",
           r->samples, r->distinct, r->clusters, r->invalid);
    if (c->questions == 0)
        return;
    printf("capability: a drawn answer is right with %.3f; one of ", c->expected);
    for (size_t k = 2; k <= (size_t)samples; k *= 2)
        printf("%s%zu: %.3f", k > 2 ? ", " : "", k, mean_pass_at(c, k));
    printf("\n(p - c)²: mean squared distance of a probability from c, the share of a question's "
           "samples\nthat are right\n");
}

int answer_show(const struct answer_options *o, const struct confidence_file *f,
                const struct answers_report *r)
{
    struct rates c;
    char time[32];
    bool good = rates_create(r, &c);
    if (good) {
        printf("%zu questions, asked %s; %zu answered", f->n,
               r->chat ? "through the chat template" : "in plain text", r->answered);
        if (r->judged > 0)
            printf(", %zu of %zu right (%.1f %%)\n", r->right, r->judged,
                   100 * (double)r->right / (double)r->judged);
        else
            printf("; right answers are not known\n");
        printf("right: %s\n\n", f->judged);
        good = show_sources(f, &c);
        show_rates(r, &c, o->samples);
        if (r->resumed)
            printf("\n%zu questions were done before\n", r->resumed);
        printf("\n%s, in %s\n", o->output, human_seconds(r->seconds, time));
        if (r->judged > 0)
            printf("Next: plumb abstain compare %s\n", o->output);
    }
    rates_free(&c);
    return good ? PLUMB_OK : PLUMB_MACHINE;
}

/* ---- for programs ------------------------------------------------------------------------------ */

static void write_source(const struct confidence_file *f, int s, const struct rates *c,
                         struct result *r)
{
    const struct source_means m = means_of(f, s, c);
    json_write_object(&r->json);
    result_text(r, "name", f->sources[s].name);
    result_bool(r, "probability", f->sources[s].probability);
    result_double(r, "mean", m.all);
    result_double(r, "mean_right", m.right);
    result_double(r, "mean_wrong", m.wrong);
    result_integer(r, "missing", (int64_t)m.missing);
    result_double(r, "passes", f->sources[s].passes);
    if (m.loss.questions) {
        result_double(r, "brier_of_draws", m.loss.response);
        result_double(r, "variance", m.loss.variance);
        result_double(r, "capability_loss", m.loss.capability);
        result_double(r, "capability_loss_unbiased", m.loss.capability_unbiased);
    }
    json_write_end(&r->json, '}');
}

static void write_rates(const struct rates *c, int samples, struct result *r)
{
    json_write_key(&r->json, "capability");
    json_write_object(&r->json);
    result_integer(r, "questions", (int64_t)c->questions);
    result_double(r, "expected_accuracy", c->expected);
    json_write_key(&r->json, "pass_at");
    json_write_array(&r->json);
    for (size_t k = 1; k <= (size_t)samples; k++)
        json_write_double(&r->json, mean_pass_at(c, k));
    json_write_end(&r->json, ']');
    json_write_end(&r->json, '}');
}

int answer_show_json(const struct answer_options *o, const struct confidence_file *f,
                     const struct answers_report *r)
{
    struct rates c;
    struct result result;
    if (!rates_create(r, &c)) {
        rates_free(&c);
        return PLUMB_MACHINE;
    }
    result_start(&result);
    json_write_object(&result.json);
    result_text(&result, "output", o->output);
    result_text(&result, "model", f->model_name);
    result_text(&result, "task", f->task_name);
    result_text(&result, "judged", f->judged);
    result_text(&result, "prompt", r->chat ? "chat" : "plain");
    result_integer(&result, "questions", (int64_t)f->n);
    result_integer(&result, "answered", (int64_t)r->answered);
    result_integer(&result, "judged_questions", (int64_t)r->judged);
    result_integer(&result, "right", (int64_t)r->right);
    result_integer(&result, "samples", (int64_t)r->samples);
    result_integer(&result, "invalid", (int64_t)r->invalid);
    result_double(&result, "distinct", r->distinct);
    result_double(&result, "clusters", r->clusters);
    json_write_key(&result.json, "sources");
    json_write_array(&result.json);
    for (int s = 0; s < f->n_sources; s++)
        write_source(f, s, &c, &result);
    json_write_end(&result.json, ']');
    write_rates(&c, o->samples, &result);
    result_integer(&result, "resumed", (int64_t)r->resumed);
    result_double(&result, "seconds", r->seconds);
    json_write_end(&result.json, '}');
    rates_free(&c);
    return result_print(&result);
}
