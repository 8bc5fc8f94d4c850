/*
 * import.c - `plumb import`: what another program recorded becomes a trace.
 */
#include "trace/import.h"

#include "cli/output.h"
#include "cli/result.h"
#include "cli/trace_summary.h"
#include "cli/verb.h"

struct import_verb_options {
    struct common_options common;
    const char *output, *name, *questions, *columns;
    bool json;
};

#define AT(field) offsetof(struct import_verb_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "TRACE", AT(output), "the trace"},
    {0, "name", OPTION_TEXT, "MODEL", AT(name),
     "the model's name, for people; else the file's, and unknown for sample logs, which do not "
     "hold it"},
    {0, "questions", OPTION_TEXT, "FILE", AT(questions),
     "the question set, in the order of the rows: then the trace can be paired with others over "
     "the same questions, and answers that the source lacks come from here"},
    {0, "columns", OPTION_TEXT, "NAME", AT(columns),
     "of a CSV with the option scores of several models: NAME_A, NAME_B, ..."},
    {0, "json", OPTION_FLAG, NULL, AT(json), "the summary as one JSON document"},
    {0},
};

static int show(const struct import_verb_options *o, struct plumb_error *e)
{
    enum { MOST_GROUPS = 60 };
    struct trace t;
    int status = trace_open(o->output, &t, e);
    if (status != PLUMB_OK)
        return status;
    if (o->json) {
        struct result r;
        result_start(&r);
        json_write_object(&r.json);
        result_text(&r, "trace", o->output);
        result_text(&r, "model", t.header.model);
        result_text(&r, "imported", t.header.imported);
        result_text(&r, "task", t.header.task);
        result_integer(&r, "items", (int64_t)t.header.n);
        trace_summary_json(&t, &r);
        json_write_end(&r.json, '}');
        status = result_print(&r);
    } else {
        status =
            trace_summary_print(&t, MOST_GROUPS, stdout) ? PLUMB_OK : error_memory(e, "the table");
    }
    trace_close(&t);
    return status;
}

static int run(int argc, char **argv)
{
    struct import_verb_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_import, argc, argv, &o, 1, 1 << 20, &words, &status))
        return status;
    const struct import_options how = {
        .model = o.name, .questions = o.questions, .columns = o.columns};
    if (!o.output)
        status = error_set(&e, PLUMB_INPUT, "no output file: add -o TRACE");
    else
        status =
            trace_import((const char *const *)words.words, (size_t)words.count, o.output, &how, &e);
    if (status == PLUMB_OK)
        status = show(&o, &e);
    return status == PLUMB_OK ? status : verb_fail(&verb_import, &e);
}

static const char *const synopses[] = {"FILE... -o TRACE [options]", NULL};
static const char *const examples[][2] = {
    {"plumb import samples_mmlu_*.jsonl -o llama-70b.safetensors --name Llama-3.1-70B",
     "all logs of a task that lm-evaluation-harness ran elsewhere, as one trace; a group each"},
    {"plumb import logits.csv -o post.safetensors --questions mmlu.jsonl",
     "logits of your own, tied to the questions, so that they pair with a trace of another model"},
    {NULL},
};
const struct verb verb_import = {
    .name = "import",
    .summary = "make a trace of what another program recorded",
    .synopses = synopses,
    .description =
        "Makes a trace of a CSV with z0,z1,...,label, of JSONL with logits or probs and gold, or "
        "of "
        "samples_*.jsonl that lm-evaluation-harness wrote with --log_samples, so that a model that "
        "ran elsewhere can be measured and calibrated like one that plumb ran.\n"
        "The trace says that it was imported and from what. It keeps the numbers as they stood, "
        "and "
        "has no layers. Files with a confidence only make no trace; 'plumb measure' takes them.",
    .options = options,
    .examples = examples,
    .run = run,
};
