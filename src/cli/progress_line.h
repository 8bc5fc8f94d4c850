/*
 * progress_line.h - one line on a terminal: done, per second, time left, share of the machine's
 * peak. Also Ctrl-C: the line's callback is where a long job learns that it should stop.
 */
#ifndef CLI_PROGRESS_LINE_H
#define CLI_PROGRESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/progress.h"

/* What the program ends with after Ctrl-C: 128 + SIGINT, as shells expect. */
enum { EXIT_INTERRUPTED = 130 };

struct progress_line {
    FILE *to;        /* null: draws nothing, only listens for Ctrl-C */
    double start;    /* clock_seconds of the first report */
    double drawn_at; /* of the last drawing; 0 = never */
    size_t first;    /* done at the first report: what an earlier run had finished */
    const char *unit;
    struct progress progress;
};

/* Draws on stderr when it is a terminal and not `quiet`, from two seconds after the first report
   on. From here on the first SIGINT or SIGTERM asks the job to stop, and a second one ends the
   program. Give &line->progress to the library. */
void progress_line_start(struct progress_line *line, bool quiet);
/* Wipes the line. */
void progress_line_end(struct progress_line *line);
/* Was the job asked to stop? */
bool progress_interrupted(void);

/* The text of the line, without the escapes: "1,234/14,042 questions   56.3/s   3:47 left   61 % of
   peak". `done` of `total`, `first` of them before the clock started, after `seconds`. */
void progress_line_text(char *out, size_t size, size_t done, size_t total, size_t first,
                        double seconds, const char *unit, const char *note);

#endif
