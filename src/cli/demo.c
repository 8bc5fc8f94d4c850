/*
 * demo.c - `plumb demo`: the main job on the small models that come with plumb.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/calibrate.h"
#include "cli/progress_line.h"
#include "cli/verb.h"

struct demo_options {
    struct common_options common;
    const char *output;
    size_t limit;
    bool light, json;
};

#define AT(field) offsetof(struct demo_options, field)
static const struct option_row options[] = {
    {'o', "output", OPTION_TEXT, "FOLDER", AT(output),
     "where traces, calibration.json and report.html go; plumb-demo"},
    {0, "light", OPTION_FLAG, NULL, AT(light),
     "calibrate the lightly tuned model, where methods fail that trust agreement"},
    {0, "limit", OPTION_SIZE, "N", AT(limit),
     "only the first N questions of each file; 0, the default: all"},
    {0, "json", OPTION_FLAG, NULL, AT(json), "one JSON document"},
    {0},
};

/* FOLDER/MORE, when the demonstration's questions are there; null otherwise. */
static char *folder_with_questions(const char *folder, const char *more)
{
    char *path = file_join(folder, more), *inside = path ? file_join(path, "test.jsonl") : NULL;
    const bool there = inside && file_exists(inside);
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

static int calibrate(const char *demo, const struct demo_options *o, struct plumb_error *e)
{
    const char *post_name = o->light ? "post-light" : "post";
    char *base = file_join(demo, "base"), *post = file_join(demo, post_name),
         *task = file_join(demo, "calibration.jsonl"), *test = file_join(demo, "test.jsonl");
    struct calibrate_job job = {.base = base,
                                .post = post,
                                .task = task,
                                .test = test,
                                .folder = o->output,
                                .run = trace_run_options_default(),
                                .model = model_options_default(),
                                .limit = o->limit,
                                .fit = fit_options_default(),
                                .quiet = o->common.quiet,
                                .json = o->json};
    int status =
        base && post && task && test ? calibrate_run(&job, e) : error_memory(e, "a file name");
    if (status == PLUMB_OK && !o->json)
        printf("\nThe same by hand:\n  plumb calibrate --base %s/base --post %s/%s \\\n    --task "
               "%s/calibration.jsonl "
               "--test %s/test.jsonl -o %s\n",
               demo, demo, post_name, demo, demo, o->output);
    mem_free(base);
    mem_free(post);
    mem_free(task);
    mem_free(test);
    return status;
}

static int run(int argc, char **argv)
{
    struct demo_options o = {.output = "plumb-demo"};
    struct operands words;
    struct plumb_error e = {0};
    int status;
    if (!verb_parse(&verb_demo, argc, argv, &o, 0, 0, &words, &status))
        return status;
    char *demo = find_demo(&e);
    status = demo ? calibrate(demo, &o, &e) : e.code;
    mem_free(demo);
    if (status == PLUMB_OK)
        return status;
    status = verb_fail(&verb_demo, &e);
    return progress_interrupted() ? EXIT_INTERRUPTED : status;
}

static const char *const synopses[] = {"[options]", NULL};
static const char *const examples[][2] = {
    {"plumb demo", "the table, and a report in plumb-demo/report.html"},
    {"plumb demo --light -o light", "the lightly tuned model"},
    {NULL},
};
const struct verb verb_demo = {
    .name = "demo",
    .summary = "the main job on the small models that come with plumb",
    .synopses = synopses,
    .description =
        "Three small language models come with plumb: a base model that is calibrated, "
        "one post-trained from it that is "
        "overconfident, and a lightly tuned one. The demonstration asks the first two "
        "500 questions without answers, makes "
        "the second one's confidence true, and judges it on 1,500 other questions. "
        "Needs no other file and no network.\n"
        "The questions are about countries and their regions; the models have never been "
        "told their answers.",
    .options = options,
    .examples = examples,
    .run = run,
};
