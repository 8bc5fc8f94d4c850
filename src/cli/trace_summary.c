/*
 * trace_summary.c - accuracy, mean confidence and option mass of a trace, by group. The metrics proper are elsewhere; this is
 * what a person wants to see when a run ends.
 */
#include "cli/trace_summary.h"

#include <math.h>
#include <string.h>

#include "cli/output.h"

/* As lm-evaluation-harness names them; it has none by tokens. */
static const char *const measures[TRACE_MEASURES] = {"acc", "acc_norm", "acc_bytes", "acc_tokens"};

/* The index of the largest of n logits, the first of equals. */
static int answer_of(const float *z, int n)
{
    int best = 0;
    for (int j = 1; j < n; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

/* The option with the largest log-likelihood by each of the measures; an empty text has none. */
static void tally_texts(const struct trace *t, size_t item, struct trace_tally *sum)
{
    const size_t row = item * (size_t)t->header.n_options;
    const int32_t *const sizes[TRACE_MEASURES] = {NULL, t->text_characters, t->text_bytes,
                                                  t->text_tokens};
    for (int m = 0; m < TRACE_MEASURES; m++) {
        int best = 0;
        double most = -INFINITY;
        for (int j = 0; j < t->options[item]; j++) {
            const double size = sizes[m] ? (double)sizes[m][row + (size_t)j] : 1;
            const double z = (double)t->text_log_likelihood[row + (size_t)j] / size;
            if (z > most) {
                most = z;
                best = j;
            }
        }
        sum->right_by[m] += t->label[item] == best;
    }
}

struct trace_tally trace_tally(const struct trace *t, int group, int layer)
{
    struct trace_tally sum = {0};
    const size_t k = (size_t)t->header.n_options, layers = (size_t)t->header.n_layers;
    for (size_t i = 0; i < t->header.n; i++) {
        if (!t->done[i] || (group >= 0 && t->group[i] != group))
            continue;
        const float *final = t->logits + i * k;
        const float *z = layer ? t->lens + (i * layers + (size_t)layer - 1) * k : final;
        const int n = t->options[i], best = answer_of(z, n);
        double total = 0;
        for (int j = 0; j < n; j++)
            total += exp((double)z[j] - (double)z[best]);
        sum.done++;
        sum.confidence += 1 / total;
        sum.option_mass += t->option_mass ? (double)t->option_mass[i] : (double)NAN;
        sum.labelled += t->label[i] >= 0;
        sum.right += t->label[i] == best;
        sum.same += best == answer_of(final, n);
        if (t->text_log_likelihood)
            tally_texts(t, i, &sum);
    }
    return sum;
}

static void add_share(struct table *table, size_t right, size_t labelled)
{
    if (labelled)
        table_cell(table, "%.3f", (double)right / (double)labelled);
    else
        table_cell(table, "-");
}

static void add_row(struct table *table, const char *name, const struct trace_tally *s, bool texts)
{
    char count[32];
    struct buffer shown = BUFFER_EMPTY;
    output_visible(&shown, name, strlen(name));
    table_cell(table, "%s", buffer_string(&shown));
    buffer_free(&shown);
    table_cell(table, "%s", human_grouped(s->done, count));
    add_share(table, s->right, s->labelled);
    for (int m = 0; texts && m < TRACE_MEASURES; m++)
        add_share(table, s->right_by[m], s->labelled);
    table_cell(table, s->done ? "%.3f" : "-", s->confidence / (double)s->done);
    if (isnan(s->option_mass)) /* an imported trace has none */
        table_cell(table, "-");
    else
        table_cell(table, s->done ? "%.3f" : "-", s->option_mass / (double)s->done);
}

bool trace_summary_print(const struct trace *t, int most, FILE *to)
{
    const bool texts = t->text_log_likelihood != NULL;
    struct table *table = table_create(texts ? "lrrrrrrrr" : "lrrrr");
    const struct trace_tally all = trace_tally(t, -1, 0);
    const int n = t->header.n_groups;
    static const char *const heads[] = {"group", "questions", "accuracy"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_cell(table, "%s", heads[i]);
    for (int m = 0; texts && m < TRACE_MEASURES; m++)
        table_cell(table, "%s", measures[m]);
    table_cell(table, "confidence");
    table_cell(table, "option mass");
    for (int g = 0; n > 1 && n <= most && g < n; g++) {
        const struct trace_tally s = trace_tally(t, g, 0);
        add_row(table, t->header.groups[g], &s, texts);
    }
    add_row(table, "all", &all, texts);
    return table_print(table, to);
}

bool trace_depth_print(const struct trace *t, FILE *to)
{
    if (!t->lens)
        return true;
    struct table *table = table_create("rrrr");
    static const char *const heads[] = {"layer", "accuracy", "as the final answer", "confidence"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_cell(table, "%s", heads[i]);
    for (int layer = 1; layer <= t->header.n_layers; layer++) {
        const struct trace_tally s = trace_tally(t, -1, layer);
        const double n = s.done ? (double)s.done : NAN;
        table_cell(table, "%d", layer);
        if (s.labelled)
            table_cell(table, "%.3f", (double)s.right / (double)s.labelled);
        else
            table_cell(table, "-");
        table_cell(table, "%.3f", (double)s.same / n);
        table_cell(table, "%.3f", s.confidence / n);
    }
    return table_print(table, to);
}

static void write_tally(struct result *r, const struct trace_tally *s, bool texts)
{
    const double n = s->done ? (double)s->done : NAN; /* NaN is written as null */
    json_write_object(&r->json);
    result_integer(r, "done", (int64_t)s->done);
    result_integer(r, "labelled", (int64_t)s->labelled);
    result_double(r, "accuracy", s->labelled ? (double)s->right / (double)s->labelled : NAN);
    for (int m = 0; texts && m < TRACE_MEASURES; m++)
        result_double(r, measures[m],
                      s->labelled ? (double)s->right_by[m] / (double)s->labelled : NAN);
    result_double(r, "mean_confidence", s->confidence / n);
    result_double(r, "mean_option_mass", s->option_mass / n);
    json_write_end(&r->json, '}');
}

void trace_summary_json(const struct trace *t, struct result *r)
{
    const struct trace_tally all = trace_tally(t, -1, 0);
    json_write_key(&r->json, "all");
    const bool texts = t->text_log_likelihood != NULL;
    write_tally(r, &all, texts);
    json_write_key(&r->json, "groups");
    json_write_object(&r->json);
    for (int g = 0; g < t->header.n_groups; g++) {
        const struct trace_tally s = trace_tally(t, g, 0);
        json_write_key(&r->json, t->header.groups[g]);
        write_tally(r, &s, texts);
    }
    json_write_end(&r->json, '}');
}
