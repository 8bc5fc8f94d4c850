/*
 * layers.c - `plumb layers`: calibration through depth, from the lens of a trace, and beside its base.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "cli/layers.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/reliability.h"
#include "cli/result.h"
#include "cli/verb.h"
#include "report/layers.h"

#define AT(field) offsetof(struct layers_verb_options, field)
static const struct option_row options[] = {
    {0, "against", OPTION_TEXT, "BASE.trace", AT(against),
     "the base model's trace of the same questions: both curves, and where the models part"},
    {0, "other-lens", OPTION_TEXT, "OTHER.trace", AT(other_lens),
     "the same model's trace of the same questions by another lens (plumb trace --lens-file): both "
     "readings beside each other"},
    {0, "bins", OPTION_INT, "N", AT(bins), "of ECE and MCE; the peak is told by this ECE: 10"},
    {0, "bootstrap", OPTION_INT, "N", AT(bootstrap),
     "resamples for the intervals, the same for all layers: 1000; 0 for none"},
    {0, "seed", OPTION_SIZE, "N", AT(seed), "of the resamples, and of drawn neurons: 0"},
    {0, "neurons", OPTION_FLAG, NULL, AT(neurons),
     "of a MODEL instead of a trace: neurons that write where the head does not look"},
    {0, "text", OPTION_TEXT, "FILE", AT(text),
     "--neurons: a plain text, on which taking them out is measured"},
    {0, "blocks", OPTION_INT, "N", AT(blocks), "--neurons: of the last N blocks; 1"},
    {0, "null", OPTION_SIZE, "K", AT(null),
     "--neurons: directions of the null space; 0: a hundredth of the hidden size"},
    {0, "top", OPTION_SIZE, "N", AT(top), "--neurons: so many are listed; 10"},
    {0, "controls", OPTION_SIZE, "N", AT(controls),
     "--neurons: and so many drawn from the others; 10"},
    {0, "tokens", OPTION_SIZE, "N", AT(tokens), "--neurons: at most so many of the text; 2048"},
    {0, "precision", OPTION_CHOICE, "auto|f32|bf16", AT(precision),
     "--neurons: of the model's weights and matrix products"},
    {0, "threads", OPTION_INT, "N", AT(threads),
     "0, the default: as many as there are; the result does not depend on it"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {'o', "output", OPTION_TEXT, "FILE.html", AT(output), "writes the curves as a page as well"},
    {0},
};

static int check_options(const struct layers_verb_options *o, struct plumb_error *e)
{
    if (o->bins < 1 || o->bins > 100)
        return error_set(e, PLUMB_INPUT, "--bins %d: expected 1 to 100", o->bins);
    if (o->bootstrap > 100000)
        return error_set(e, PLUMB_INPUT, "--bootstrap %d: expected at most 100000", o->bootstrap);
    return PLUMB_OK;
}

/* ---- The work --------------------------------------------------------------------------------- */

/* One model's side. */
struct side {
    const char *path;
    struct trace trace;
    struct reading reading;
    struct profile profile;
    struct phase phase;
};

struct work {
    struct side post, base;
    struct side other; /* post by another lens */
    struct pair pair;
    struct parting parting;
    struct lens_difference difference;
    bool against;
};

static void work_free(struct work *w)
{
    parting_free(&w->parting);
    profile_free(&w->post.profile);
    profile_free(&w->base.profile);
    profile_free(&w->other.profile);
    if (w->pair.arena)
        pair_free(&w->pair);
    trace_close(&w->other.trace);
    trace_close(&w->base.trace);
    trace_close(&w->post.trace);
}

static int profile_side(struct side *s, const struct profile_options *o, struct plumb_error *e)
{
    const int status = profile_create(&s->reading, o, &s->profile, e);
    return status == PLUMB_OK ? phase_detect(&s->profile, &s->phase, e) : status;
}

/* Both models' questions in the order of the post-trained one; a right answer that only one of them knows holds for both. */
static int open_pair(struct work *w, struct plumb_error *e)
{
    int status = trace_open(w->base.path, &w->base.trace, e);
    if (status == PLUMB_OK)
        status = reading_check_pair(&w->base.trace, w->base.path, &w->post.trace, w->post.path, e);
    if (status == PLUMB_OK)
        status = pair_read_traces(w->base.path, w->post.path, &w->pair, e);
    if (status != PLUMB_OK)
        return status;
    w->post.reading.label = w->pair.label;
    w->base.reading = (struct reading){.name = w->base.path,
                                       .n = w->pair.n,
                                       .layers = w->pair.layers,
                                       .k = w->pair.k,
                                       .lens = w->pair.base_lens,
                                       .options = w->pair.options,
                                       .label = w->pair.label};
    return PLUMB_OK;
}

/* The other reading of the post-trained model, with what is known of the right answers here. */
static int open_other(struct work *w, struct plumb_error *e)
{
    struct side *s = &w->other;
    int status = trace_open(s->path, &s->trace, e);
    if (status == PLUMB_OK)
        status = lens_difference_check(&w->post.trace, w->post.path, &s->trace, s->path, e);
    if (status == PLUMB_OK)
        status = reading_of_trace(&s->trace, s->path, &s->reading, e);
    s->reading.label = w->post.reading.label;
    return status;
}

static int work_fill(struct work *w, const struct profile_options *o, struct plumb_error *e)
{
    int status = trace_open(w->post.path, &w->post.trace, e);
    if (status == PLUMB_OK)
        status = reading_of_trace(&w->post.trace, w->post.path, &w->post.reading, e);
    if (status == PLUMB_OK && w->against)
        status = open_pair(w, e);
    if (status == PLUMB_OK && w->other.path)
        status = open_other(w, e);
    if (status == PLUMB_OK)
        status = profile_side(&w->post, o, e);
    if (status == PLUMB_OK && w->other.path)
        status = profile_side(&w->other, o, e);
    if (status == PLUMB_OK && w->other.path)
        lens_difference_find(&w->post.profile, &w->post.phase, &w->other.profile, &w->other.phase,
                             &w->difference);
    if (status == PLUMB_OK && w->against)
        status = profile_side(&w->base, o, e);
    if (status == PLUMB_OK && w->against)
        status = parting_create(&w->pair, o, &w->parting, e);
    return status;
}

/* ---- The tables ------------------------------------------------------------------------------- */

/* A bar of `width` characters at most for v of `most`. */
static const char *bar(double v, double most, int width, bool unicode, char out[64])
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const double length = most > 0 && v > 0 ? v / most * width : 0;
    int whole = (int)(unicode ? length : length + 0.5), at = 0;
    if (whole > width)
        whole = width;
    for (int i = 0; i < whole; i++)
        at += snprintf(out + at, 64 - (size_t)at, "%s", unicode ? "█" : "#");
    const int part = unicode && whole < width ? (int)((length - whole) * 8) : 0;
    snprintf(out + at, 64 - (size_t)at, "%s", eighths[part]);
    return out;
}

static void cell(struct table *t, double v)
{
    if (isnan(v))
        table_cell(t, "-");
    else
        table_cell(t, "%.3f", v);
}

static void interval_cell(struct table *t, const struct profiled *v)
{
    if (isnan(v->low) || isnan(v->high))
        table_cell(t, "%s", "");
    else
        table_cell(t, "%.3f-%.3f", v->low, v->high);
}

static void heads(struct table *t, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_cell(t, "%s", names[i]);
}

static double largest(const struct profile *p, enum profile_value v)
{
    double most = 0;
    for (int l = 1; l <= p->layers; l++)
        most = fmax(most, profile_at(p, l, v)->value);
    return most;
}

static bool print_profile(const struct profile *p, FILE *to)
{
    static const char *const names[] = {"layer", "acc.", "conf.", "gap",   "ECE",     "95 %", "",
                                        "MCE",   "rows", "NLL",   "Brier", "entropy", "agree"};
    const bool unicode = reliability_unicode();
    const double most = largest(p, PROFILE_ECE);
    char drawn[64];
    struct table *t = table_create("rrrrrrlrrrrrr");
    heads(t, names, sizeof names / sizeof *names);
    for (int l = 1; l <= p->layers; l++) {
        table_cell(t, "%d", l);
        cell(t, profile_at(p, l, PROFILE_ACCURACY)->value);
        cell(t, profile_at(p, l, PROFILE_CONFIDENCE)->value);
        table_cell(t, "%+.3f", profile_at(p, l, PROFILE_GAP)->value);
        cell(t, profile_at(p, l, PROFILE_ECE)->value);
        interval_cell(t, profile_at(p, l, PROFILE_ECE));
        table_cell(t, "%s", bar(profile_at(p, l, PROFILE_ECE)->value, most, 8, unicode, drawn));
        cell(t, profile_at(p, l, PROFILE_MCE)->value);
        table_cell(t, "%zu", p->mce_rows[l - 1]);
        cell(t, profile_at(p, l, PROFILE_NLL)->value);
        cell(t, profile_at(p, l, PROFILE_BRIER)->value);
        cell(t, profile_at(p, l, PROFILE_ENTROPY)->value);
        cell(t, profile_at(p, l, PROFILE_AGREEMENT)->value);
    }
    return table_print(t, to);
}

static bool print_parting(const struct work *w, FILE *to)
{
    static const char *const names[] = {"layer", "JSD",      "95 %", "",
                                        "agree", "disagree", "part", "ECE - base"};
    const struct parting *p = &w->parting;
    const bool unicode = reliability_unicode();
    double most = 0;
    char drawn[64];
    struct table *t = table_create("rrrlrrrr");
    for (int l = 1; l <= p->layers; l++)
        most = fmax(most, parting_at(p, l, PARTING_ALL)->value);
    heads(t, names, sizeof names / sizeof *names);
    for (int l = 1; l <= p->layers; l++) {
        const struct profiled d =
            profile_difference(&w->post.profile, &w->base.profile, l, PROFILE_ECE);
        table_cell(t, "%d", l);
        cell(t, parting_at(p, l, PARTING_ALL)->value);
        interval_cell(t, parting_at(p, l, PARTING_ALL));
        table_cell(t, "%s", bar(parting_at(p, l, PARTING_ALL)->value, most, 10, unicode, drawn));
        cell(t, parting_at(p, l, PARTING_AGREE)->value);
        cell(t, parting_at(p, l, PARTING_DISAGREE)->value);
        table_cell(t, "%zu", p->divergence.peak_count[l - 1]);
        if (isnan(d.low))
            table_cell(t, "%+.3f", d.value);
        else
            table_cell(t, "%+.3f [%+.3f, %+.3f]", d.value, d.low, d.high);
    }
    return table_print(t, to);
}

static bool print_phase(const struct phase *p, FILE *to)
{
    struct buffer words = BUFFER_EMPTY;
    phase_words(p, &words);
    const bool good = !words.failed;
    fputc('\n', to);
    options_wrap(good ? buffer_string(&words) : "", 0, 0, to);
    buffer_free(&words);
    return good;
}

static bool print_title(const struct side *s, FILE *to)
{
    struct buffer name = BUFFER_EMPTY;
    char n[32];
    const char *model = s->trace.header.model;
    output_visible(&name, model, strlen(model));
    fprintf(to, "%s%s%s: %s questions, %d layers, read by the %s lens\n", style_on(to, STYLE_BOLD),
            buffer_string(&name), style_off(to), human_grouped(s->profile.n, n), s->profile.layers,
            lens_kind(&s->trace.header));
    const bool good = !name.failed;
    buffer_free(&name);
    return good;
}

static void print_notes(const struct work *w, FILE *to)
{
    const struct profile *p = &w->post.profile;
    char line[512], n[32];
    snprintf(line, sizeof line,
             "ECE and MCE: %d bins, (lo, hi]; MCE counts bins with %d rows or more, \"rows\" are "
             "that bin's. %d resamples, seed %llu, the same for every layer.",
             p->options.bins, p->options.least_bin, p->options.draws,
             (unsigned long long)p->options.seed);
    fputc('\n', to);
    options_wrap(line, 0, 0, to);
    if (p->unlabelled)
        fprintf(to, "%s questions without a known answer are left out of the curves.\n",
                human_grouped(p->unlabelled, n));
    if (!w->post.trace.header.tuned_lens || w->other.path)
        options_wrap(layers_trap, 0, 0, to);
    if (w->post.trace.header.tuned_lens || w->other.path)
        options_wrap(layers_trap_tuned, 0, 0, to);
}

static bool print_lenses(const struct work *w, FILE *to)
{
    const char *one = lens_kind(&w->post.trace.header), *other = lens_kind(&w->other.trace.header);
    fprintf(to, "\nThe same by the %s lens\n", other);
    return layers_print_lenses(&w->post.profile, one, &w->other.profile, other, to) &&
           print_phase(&w->other.phase, to) &&
           layers_print_difference(&w->difference, one, other, to);
}

static void print_grouping(const struct profile *p, FILE *to)
{
    struct buffer line = BUFFER_EMPTY;
    for (int l = 1; l <= p->layers; l++)
        if (!isnan(p->grouping_loss[l - 1]))
            buffer_printf(&line, "%s %.4f at layer %d",
                          line.size ? "," : "Grouping loss, lower bound, debiased:",
                          p->grouping_loss[l - 1], l);
    if (line.size && !line.failed) {
        fputc('\n', to);
        options_wrap(buffer_string(&line), 0, 0, to);
    }
    buffer_free(&line);
}

static int show_tables(const struct work *w, struct plumb_error *e)
{
    FILE *to = stdout;
    char same[32], all[32];
    bool good = print_title(&w->post, to) && print_profile(&w->post.profile, to) &&
                print_phase(&w->post.phase, to);
    if (good)
        print_grouping(&w->post.profile, to);
    if (good && w->other.path)
        good = print_lenses(w, to);
    if (good && w->against) {
        fputs("\nAgainst ", to);
        good = print_title(&w->base, to) && print_profile(&w->base.profile, to) &&
               print_phase(&w->base.phase, to);
        fputs("\nWhere the two models part (JSD in nats, 0.693 at most)\n", to);
        good = good && print_parting(w, to);
        if (parting_never(&w->parting))
            fputs("\nThe two models say the same at every layer.\n", to);
        else
            fprintf(to,
                    "\nThe same answer to %s of %s questions. Most questions part at layer %d; "
                    "the median is layer %d.\n",
                    human_grouped(w->parting.agreeing, same), human_grouped(w->parting.n, all),
                    parting_mode(&w->parting), parting_median(&w->parting));
    }
    if (good)
        print_notes(w, to);
    return good ? PLUMB_OK : error_memory(e, "the table");
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void write_interval(struct result *r, const char *key, const struct profiled *v)
{
    json_write_key(&r->json, key);
    json_write_array(&r->json);
    json_write_double(&r->json, v->low);
    json_write_double(&r->json, v->high);
    json_write_end(&r->json, ']');
}

static void write_layer(const struct profile *p, int l, struct result *r)
{
    json_write_object(&r->json);
    result_integer(r, "layer", l);
    for (int v = 0; v < PROFILE_VALUES; v++)
        result_double(r, profile_key((enum profile_value)v),
                      profile_at(p, l, (enum profile_value)v)->value);
    if (p->mce_bin[l - 1] >= 0)
        result_integer(r, "mce_bin", p->mce_bin[l - 1]);
    result_integer(r, "mce_rows", (int64_t)p->mce_rows[l - 1]);
    if (!isnan(p->grouping_loss[l - 1]))
        result_double(r, "grouping_loss", p->grouping_loss[l - 1]);
    json_write_key(&r->json, "ci");
    json_write_object(&r->json);
    for (int v = 0; v < PROFILE_VALUES; v++)
        write_interval(r, profile_key((enum profile_value)v),
                       profile_at(p, l, (enum profile_value)v));
    json_write_end(&r->json, '}');
    json_write_end(&r->json, '}');
}

static void write_phase(const struct phase *p, struct result *r)
{
    struct buffer words = BUFFER_EMPTY;
    json_write_key(&r->json, "phase");
    json_write_object(&r->json);
    result_text(r, "verdict", phase_verdict_key(p->verdict));
    result_integer(r, "plateau", p->plateau);
    result_integer(r, "peak", p->peak);
    result_double(r, "plateau_share", p->plateau_share);
    result_double(r, "peak_share", p->peak_share);
    result_double(r, "drop", p->drop.value);
    write_interval(r, "drop_ci", &p->drop);
    result_double(r, "margin", p->margin);
    result_double(r, "accuracy_change", p->accuracy_change.value);
    write_interval(r, "accuracy_change_ci", &p->accuracy_change);
    result_double(r, "chance", p->chance);
    phase_words(p, &words);
    result_text(r, "words", words.failed ? NULL : buffer_string(&words));
    json_write_end(&r->json, '}');
    buffer_free(&words);
}

static void write_side(const struct side *s, struct result *r)
{
    result_text(r, "file", s->path);
    result_text(r, "model", s->trace.header.model);
    result_integer(r, "n", (int64_t)s->profile.n);
    result_integer(r, "unlabelled", (int64_t)s->profile.unlabelled);
    result_integer(r, "n_layers", s->profile.layers);
    json_write_key(&r->json, "layers");
    json_write_array(&r->json);
    for (int l = 1; l <= s->profile.layers; l++)
        write_layer(&s->profile, l, r);
    json_write_end(&r->json, ']');
    write_phase(&s->phase, r);
}

static void write_parting(const struct work *w, struct result *r)
{
    static const char *const parts[PARTING_PARTS] = {"all", "agreement", "disagreement"};
    json_write_key(&r->json, "divergence");
    json_write_object(&r->json);
    result_integer(r, "n", (int64_t)w->parting.n);
    result_integer(r, "agreeing", (int64_t)w->parting.agreeing);
    result_integer(r, "peak_mode", parting_mode(&w->parting));
    result_integer(r, "peak_median", parting_median(&w->parting));
    json_write_key(&r->json, "layers");
    json_write_array(&r->json);
    for (int l = 1; l <= w->parting.layers; l++) {
        const struct profiled d =
            profile_difference(&w->post.profile, &w->base.profile, l, PROFILE_ECE);
        json_write_object(&r->json);
        result_integer(r, "layer", l);
        for (int p = 0; p < PARTING_PARTS; p++) {
            char key[32];
            const struct profiled *v = parting_at(&w->parting, l, (enum parting_part)p);
            result_double(r, parts[p], v->value);
            snprintf(key, sizeof key, "%s_ci", parts[p]);
            write_interval(r, key, v);
        }
        result_integer(r, "peaks", (int64_t)w->parting.divergence.peak_count[l - 1]);
        result_double(r, "ece_difference", d.value);
        write_interval(r, "ece_difference_ci", &d);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, ']');
    json_write_end(&r->json, '}');
}

static int show_json(const struct work *w)
{
    const struct profile_options *o = &w->post.profile.options;
    struct result r;
    result_start(&r);
    json_write_object(&r.json);
    const struct trace_header *h = &w->post.trace.header;
    result_text(&r, "lens", lens_kind(h));
    if (h->tuned_lens)
        result_text(&r, "tuned_lens", h->tuned_lens);
    result_text(&r, "caution", h->tuned_lens ? layers_trap_tuned : layers_trap);
    result_integer(&r, "bins", o->bins);
    result_integer(&r, "mce_least_rows", o->least_bin);
    result_integer(&r, "draws", o->draws);
    result_integer(&r, "seed", (int64_t)o->seed);
    result_double(&r, "confidence", o->confidence);
    write_side(&w->post, &r);
    if (w->other.path) {
        json_write_key(&r.json, "other");
        json_write_object(&r.json);
        write_side(&w->other, &r);
        json_write_end(&r.json, '}');
        layers_write_lenses(&w->post.profile, lens_kind(h), &w->other.profile,
                            lens_kind(&w->other.trace.header), &w->difference, &r);
    }
    if (w->against) {
        json_write_key(&r.json, "base");
        json_write_object(&r.json);
        write_side(&w->base, &r);
        json_write_end(&r.json, '}');
        write_parting(w, &r);
    }
    json_write_end(&r.json, '}');
    return result_print(&r);
}

/* ---- The verb --------------------------------------------------------------------------------- */

/* The command that makes the page again; what does not change it is left out. */
static bool command_of(const struct work *w, const struct layers_verb_options *o,
                       struct buffer *out)
{
    buffer_printf(out, "plumb layers %s", file_base_name(w->post.path));
    if (w->against)
        buffer_printf(out, " --against %s", file_base_name(w->base.path));
    if (w->other.path)
        buffer_printf(out, " --other-lens %s", file_base_name(w->other.path));
    buffer_printf(out, " --bins %d --bootstrap %d --seed %zu -o FILE.html", o->bins, o->bootstrap,
                  o->seed);
    return !out->failed;
}

static struct layers_model model_of(const struct side *s)
{
    const struct trace_header *h = &s->trace.header;
    return (struct layers_model){.name = h->model,
                                 .fingerprint = h->model_fingerprint,
                                 .lens = lens_kind(h),
                                 .lens_hash = h->tuned_lens,
                                 .profile = &s->profile,
                                 .phase = &s->phase};
}

static int write_page(const struct work *w, const struct layers_verb_options *o,
                      struct plumb_error *e)
{
    const struct trace_header *h = &w->post.trace.header;
    const struct layers_model base = model_of(&w->base), other = model_of(&w->other);
    struct buffer command = BUFFER_EMPTY;
    const bool spelled = command_of(w, o, &command);
    const struct layers_report page = {.model = model_of(&w->post),
                                       .base = w->against ? &base : NULL,
                                       .parting = w->against ? &w->parting : NULL,
                                       .other = w->other.path ? &other : NULL,
                                       .difference = w->other.path ? &w->difference : NULL,
                                       .task = h->task,
                                       .preset = h->preset,
                                       .command = buffer_string(&command)};
    const int status =
        spelled ? layers_report_write(&page, o->output, e) : error_memory(e, "the report");
    buffer_free(&command);
    if (status == PLUMB_OK && !o->common.quiet)
        fprintf(stderr, "plumb layers: wrote %s\n", o->output);
    return status;
}

static int layers(const char *path, const struct layers_verb_options *o, struct plumb_error *e)
{
    struct work w = {.post.path = path,
                     .base.path = o->against,
                     .other.path = o->other_lens,
                     .against = o->against != NULL};
    struct profile_options how = profile_options_default();
    struct progress_line line;
    int status = check_options(o, e);
    if (status != PLUMB_OK)
        return status;
    how.bins = o->bins;
    how.draws = o->bootstrap;
    how.seed = o->seed;
    how.threads = o->threads;
    progress_line_start(&line, o->common.quiet);
    how.progress = &line.progress;
    status = work_fill(&w, &how, e);
    progress_line_end(&line);
    if (status == PLUMB_OK && o->output)
        status = write_page(&w, o, e);
    if (status == PLUMB_OK)
        status = o->json ? show_json(&w) : show_tables(&w, e);
    work_free(&w);
    return status;
}

static int run(int argc, char **argv)
{
    const struct profile_options how = profile_options_default();
    struct layers_verb_options o = {.bins = how.bins,
                                    .bootstrap = how.draws,
                                    .blocks = 1,
                                    .top = 10,
                                    .controls = 10,
                                    .tokens = 2048};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_layers, argc, argv, &o, 1, 1, &words, &status))
        return status;
    if (o.neurons && (o.against || o.output || o.other_lens))
        status = error_set(&e, PLUMB_INPUT,
                           "--neurons is of one model, and makes no page: leave "
                           "out --against, --other-lens and -o");
    else if (o.text && !o.neurons)
        status = error_set(&e, PLUMB_INPUT, "--text needs --neurons");
    else
        status =
            o.neurons ? layers_neurons(words.words[0], &o, &e) : layers(words.words[0], &o, &e);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_layers, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"TRACE [--against BASE.trace] [options]",
                                       "--neurons MODEL [--text FILE] [options]", NULL};
static const char *const examples[][2] = {
    {"plumb layers post.safetensors", "a line for each layer, and the phases in words"},
    {"plumb layers post.safetensors --against base.safetensors -o depth.html",
     "both models' curves, where they part, and a page with figures"},
    {"plumb layers tuned.safetensors --other-lens logit.safetensors",
     "how far the picture depends on the lens (plumb trace --lens-file)"},
    {"plumb layers post.safetensors --bins 15 --bootstrap 0 --json",
     "only the values, for another program"},
    {"plumb layers --neurons demo/base --text demo/README.md",
     "the last block's neurons that move confidence through the final norm"},
    {NULL},
};
const struct verb verb_layers = {
    .name = "layers",
    .summary = "calibration through depth: every layer's accuracy, confidence and error",
    .synopses = synopses,
    .description =
        "Measures the answer that the model would give if it ended after each of its layers, from "
        "the lens of a trace: accuracy, confidence, calibration errors, proper scores, entropy, "
        "agreement with the final answer, each with a bootstrap interval.\n"
        "Says where accuracy is settled (plateau), where from there on the calibration error is "
        "largest (peak), and whether the layers behind it lower the error by more than a margin "
        "while accuracy stays (correction phase). With --against, where two models part.\n"
        "Middle layers are read through the final norm and head: their calibration error depends "
        "on this lens as well as on the model.",
    .options = options,
    .examples = examples,
    .run = run,
};
