/*
 * demo.c - `plumb demo`: traces the small model that comes with plumb, and shows what a trace is for.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "cli/progress_line.h"
#include "cli/trace_summary.h"
#include "cli/verb.h"
#include "trace/run.h"

struct demo_options {
    struct common_options common;
    const char *output;
};

#define AT(field) offsetof(struct demo_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FILE", AT(output), "keep the trace"},
    {0},
};

/* FOLDER/MORE, when a file of questions is there; null otherwise. */
static char *folder_with_questions(const char *folder, const char *more)
{
    char *path = file_join(folder, more),
         *inside = path ? file_join(path, "questions.jsonl") : NULL;
    bool there = inside && file_exists(inside);
    mem_free(inside);
    if (there)
        return path;
    mem_free(path);
    return NULL;
}

/* Where demo/ is: named by PLUMB_DEMO; installed beside the program (PREFIX/bin, PREFIX/share/plumb); in the source tree,
   whose build/ holds the program; where it was to be installed. */
static char *find_demo(struct plumb_error *e)
{
    char program[PATH_MAX];
    const char *named = getenv("PLUMB_DEMO");
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    char *found = named ? folder_with_questions(named, ".") : NULL;
    program[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = '\0';
    if (!found && slash)
        found = folder_with_questions(program, "../share/plumb/demo");
    if (!found && slash)
        found = folder_with_questions(program, "../demo");
    if (!found)
        found = folder_with_questions(PLUMB_DATADIR, "plumb/demo");
    if (found) {
        char *plain = realpath(found, NULL); /* without "..", for the lines that people paste */
        mem_free(found);
        found = plain ? mem_strdup(plain) : NULL;
        free(plain);
        if (!found)
            error_memory(e, "a file name");
        return found;
    }
    error_set(e, PLUMB_INPUT,
              "the demonstration's files were not found, expected them in %s/plumb/demo; name "
              "their folder in PLUMB_DEMO",
              PLUMB_DATADIR);
    return NULL;
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

/* The name of a new, empty folder in TMPDIR, or /tmp. Null: e is filled. */
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

/* Removes the scratch folder and the trace in it, finished or not. */
static void scratch_remove(const char *folder)
{
    static const char *const names[] = {"base.safetensors", "base.safetensors.partial"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = file_join(folder, names[i]);
        if (path)
            unlink(path);
        mem_free(path);
    }
    rmdir(folder);
}

static int demonstrate(const char *output, const struct progress *progress, struct plumb_error *e)
{
    char *demo = find_demo(e), *scratch = NULL, *out = NULL;
    if (!demo)
        return e->code;
    if (output)
        out = mem_strdup(output);
    else if ((scratch = scratch_folder(e)))
        out = file_join(scratch, "base.safetensors");
    int status = out ? PLUMB_OK : e->code ? e->code : error_memory(e, "a file name");
    if (status == PLUMB_OK)
        status = trace_folder(demo, out, progress, e);
    if (status == PLUMB_OK)
        status = show(out, e);
    if (status == PLUMB_OK)
        printf("\nBy hand:\n  plumb trace %s/base %s/questions.jsonl -o base.safetensors\n"
               "  plumb inspect base.safetensors --layers\n",
               demo, demo);
    if (scratch)
        scratch_remove(scratch);
    mem_free(out);
    mem_free(scratch);
    mem_free(demo);
    return status;
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
    progress_line_start(&line, o.common.quiet);
    status = demonstrate(o.output, &line.progress, &e);
    progress_line_end(&line);
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
    .description = "Traces the small language model that comes with plumb over a few hundred "
                   "questions, and prints how often it is "
                   "right and how sure it is, by group of questions and by layer. Needs no other "
                   "file and no network.",
    .options = options,
    .examples = examples,
    .run = run,
};
