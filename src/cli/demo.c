/*
 * demo.c - `plumb demo`: traces the small model that is part of the program, and shows what a trace is for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/demo_files.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/trace_summary.h"
#include "cli/verb.h"
#include "trace/run.h"

struct demo_options {
    struct common_options common;
    const char *keep;
};

#define AT(field) offsetof(struct demo_options, field)
static const struct option_row options[] = {
    {0, "keep", OPTION_TEXT, "FOLDER", AT(keep),
     "put the model, the questions and the trace there, and leave them"},
    {0},
};

static int make_folder(const char *path, struct plumb_error *e)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && file_is_folder(path)))
        return PLUMB_OK;
    return error_system(e, errno, "make the folder", path);
}

static int unpack_one(const char *folder, const struct demo_file *f, struct plumb_error *e)
{
    struct file_writer w;
    char *path = file_join(folder, f->name);
    if (!path)
        return error_memory(e, "a file name");
    int status = file_writer_open(path, &w, e);
    if (status == PLUMB_OK) {
        fwrite(f->data, 1, (size_t)(f->end - f->data), w.stream); /* commit sees a failure */
        status = file_writer_commit(&w, e);
    }
    mem_free(path);
    return status;
}

static int unpack(const char *folder, struct plumb_error *e)
{
    char *base = file_join(folder, "base");
    int status = base ? make_folder(base, e) : error_memory(e, "a file name");
    mem_free(base);
    for (const struct demo_file *f = demo_files; status == PLUMB_OK && f->name; f++)
        status = unpack_one(folder, f, e);
    return status;
}

/* Removes what unpack and the run left; what is not there is no matter. */
static void remove_all(const char *folder)
{
    static const char *const others[] = {"base.safetensors", "base.safetensors.partial", "base",
                                         ""};
    for (const struct demo_file *f = demo_files; f->name; f++) {
        char *path = file_join(folder, f->name);
        if (path)
            unlink(path);
        mem_free(path);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char *path = *others[i] ? file_join(folder, others[i]) : mem_strdup(folder);
        if (path)
            (void)remove(path);
        mem_free(path);
    }
}

static int show(const char *path, struct plumb_error *e)
{
    struct trace t;
    int status = trace_open(path, &t, e);
    if (status != PLUMB_OK)
        return status;
    printf("%s, %zu questions with four options each:\n\n", t.header.architecture, t.header.n);
    bool good = trace_summary_print(&t, 40, stdout);
    printf("\nThe same model read at every layer (the lens):\n\n");
    good = trace_depth_print(&t, stdout) && good;
    trace_close(&t);
    return good ? PLUMB_OK : error_memory(e, "the table");
}

static int trace_folder(const char *folder, const char *out, const struct progress *progress,
                        struct plumb_error *e)
{
    struct model_options how = model_options_default();
    struct trace_run_options run = trace_run_options_default();
    struct trace_run_report report;
    struct question_set questions = {0};
    struct model *m = NULL;
    char *model = file_join(folder, "base"), *task = file_join(folder, "questions.jsonl");
    int status = model && task ? PLUMB_OK : error_memory(e, "a file name");
    run.progress = progress;
    if (status == PLUMB_OK)
        status = questions_read(task, 0, &questions, e);
    if (status == PLUMB_OK)
        status = model_open(model, &how, &m, e);
    if (status == PLUMB_OK)
        status = trace_run(m, &questions, out, &run, &report, e);
    model_close(m);
    questions_free(&questions);
    mem_free(model);
    mem_free(task);
    return status;
}

/* A new folder in TMPDIR, or /tmp. Null: e is filled. */
static char *scratch_folder(struct plumb_error *e)
{
    const char *parent = getenv("TMPDIR");
    char *path = file_join(parent && *parent ? parent : "/tmp", "plumb-demo-XXXXXX");
    if (!path)
        error_memory(e, "a file name");
    else if (!mkdtemp(path))
        error_system(e, errno, "make the folder", path);
    else
        return path;
    mem_free(path);
    return NULL;
}

static int run(int argc, char **argv)
{
    struct demo_options o = {0};
    struct operands words;
    struct plumb_error e = {0};
    struct progress_line line;
    int status;
    if (!verb_parse(&verb_demo, argc, argv, &o, 0, 0, &words, &status))
        return status;
    char *folder = o.keep ? mem_strdup(o.keep) : scratch_folder(&e);
    char *out = folder ? file_join(folder, "base.safetensors") : NULL;
    status = out ? PLUMB_OK : e.code ? e.code : error_memory(&e, "a file name");
    progress_line_start(&line, o.common.quiet);
    if (status == PLUMB_OK && o.keep)
        status = make_folder(folder, &e);
    if (status == PLUMB_OK)
        status = unpack(folder, &e);
    if (status == PLUMB_OK)
        status = trace_folder(folder, out, &line.progress, &e);
    progress_line_end(&line);
    if (status == PLUMB_OK)
        status = show(out, &e);
    if (status == PLUMB_OK && o.keep)
        printf("\nBy hand:\n  plumb trace %s/base %s/questions.jsonl -o %s\n  plumb inspect %s "
               "--layers\n",
               folder, folder, out, out);
    else if (status == PLUMB_OK)
        printf("\nNext: 'plumb demo --keep FOLDER' leaves the files; 'plumb help trace' traces "
               "your own model.\n");
    if (folder && !o.keep)
        remove_all(folder);
    mem_free(out);
    mem_free(folder);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_demo, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"[options]", NULL};
static const char *const examples[][2] = {
    {"plumb demo", "the two tables, in a few seconds"},
    {"plumb demo --keep plumb-demo",
     "also leaves the model, the questions and the trace in a folder"},
    {NULL},
};
const struct verb verb_demo = {
    .name = "demo",
    .summary = "trace the small model that comes with plumb",
    .synopses = synopses,
    .description = "Traces a small language model that is part of the program over a few hundred "
                   "questions, and prints how often it is "
                   "right and how sure it is, by group of questions and by layer. Needs no other "
                   "file and no network.",
    .options = options,
    .examples = examples,
    .run = run,
};
