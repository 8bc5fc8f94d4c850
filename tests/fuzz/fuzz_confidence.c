/*
 * fuzz_confidence.c - a confidence file: what is taken keeps the promises of confidence.h, and written and read again it is the same.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abstain/confidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
    if (!promise)
        abort();
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void check(const struct confidence_file *f)
{
    require(f->n >= 1 && f->n_sources >= 1 && f->n_sources <= CONFIDENCE_MOST_SOURCES);
    for (int s = 0; s < f->n_sources; s++) {
        require(confidence_find(f, f->sources[s].name) == s);
        for (size_t i = 0; i < f->n; i++) {
            const double v = f->value[s][i];
            require(isnan(v) || isfinite(v));
            require(isnan(v) || !f->sources[s].probability || (v >= 0 && v <= 1));
        }
    }
    for (size_t i = 0; i < f->n; i++)
        require(f->right[i] >= -1 && f->right[i] <= 1);
}

static void compare(const struct confidence_file *a, const struct confidence_file *b)
{
    require(a->n == b->n && a->n_sources == b->n_sources);
    require(same_text(a->model, b->model) && same_text(a->judged, b->judged));
    require(same_text(a->header_extra, b->header_extra));
    for (size_t i = 0; i < a->n; i++) {
        require(a->right[i] == b->right[i] && same_text(a->group[i], b->group[i]));
        require(a->item[i].low == b->item[i].low && a->item[i].high == b->item[i].high);
        require(same_text(a->extra[i], b->extra[i]));
    }
    for (int s = 0; s < a->n_sources; s++) {
        require(same_text(a->sources[s].details, b->sources[s].details));
        for (size_t i = 0; i < a->n; i++)
            require((isnan(a->value[s][i]) && isnan(b->value[s][i])) ||
                    a->value[s][i] == b->value[s][i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct confidence_file f, again;
    struct plumb_error e = {0};
    char path[64];
    if (confidence_parse((const char *)data, size, "fuzz", &f, &e) != PLUMB_OK) {
        require(*e.message && !f.arena);
        return 0;
    }
    check(&f);
    snprintf(path, sizeof path, "/dev/shm/plumb-fuzz-confidence-%ld", (long)getpid());
    require(confidence_write(&f, path, &e) == PLUMB_OK);
    require(confidence_is_file(path));
    require(confidence_read(path, &again, &e) == PLUMB_OK);
    compare(&f, &again);
    unlink(path);
    confidence_free(&again);
    confidence_free(&f);
    return 0;
}
