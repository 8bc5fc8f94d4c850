/*
 * progress_line.c - draws struct progress on a terminal, and turns Ctrl-C into "please stop". Knows
 * no job.
 */
#include "cli/progress_line.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

/* Not before two seconds (short jobs stay silent), and not more often than a person reads. */
static const double QUIET_SECONDS = 2, REDRAW_SECONDS = 0.2;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

bool progress_interrupted(void)
{
    return interrupted != 0;
}

void progress_line_text(char *out, size_t size, size_t done, size_t total, size_t first,
                        double seconds, const char *unit, const char *note)
{
    char a[32], b[32], left[32] = "";
    double rate = seconds > 0 && done > first ? (double)(done - first) / seconds : 0;
    int n = snprintf(out, size, "%s/%s %s", human_grouped(done, a), human_grouped(total, b), unit);
    if (rate > 0 && n > 0 && (size_t)n < size) {
        if (done < total)
            human_seconds((double)(total - done) / rate, left);
        n += snprintf(out + n, size - (size_t)n, rate < 100 ? "   %.1f/s" : "   %.0f/s", rate);
    }
    if (*left && n > 0 && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, "   %s left", left);
    if (note && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, "   %s", note);
}

static bool report(void *user, size_t done, size_t total, const char *unit, const char *note)
{
    struct progress_line *line = user;
    double now = clock_seconds();
    if (line->start <= 0 || unit != line->unit) { /* a new stage counts from its own start */
        line->start = now;
        line->first = done;
        line->unit = unit;
    }
    bool due = now - line->start >= QUIET_SECONDS && now - line->drawn_at >= REDRAW_SECONDS;
    if (line->to && (due || (line->drawn_at > 0 && done == total))) {
        char text[OUTPUT_COLUMNS + 1];
        progress_line_text(text, sizeof text, done, total, line->first, now - line->start, unit,
                           note);
        fprintf(line->to, "\r%s\033[K", text);
        fflush(line->to);
        line->drawn_at = now;
    }
    return !interrupted;
}

void progress_line_start(struct progress_line *line, bool quiet)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *line = (struct progress_line){.to = !quiet && isatty(STDERR_FILENO) ? stderr : NULL};
    line->progress = (struct progress){report, line};
}

void progress_line_end(struct progress_line *line)
{
    if (line->to && line->drawn_at > 0) {
        fputs("\r\033[K", line->to);
        fflush(line->to);
    }
}
