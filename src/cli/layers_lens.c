/*
 * layers_lens.c - the part of `plumb layers --other-lens` that shows two readings of one model beside each other.
 */
#include <math.h>
#include <stdio.h>

#include "cli/layers.h"
#include "cli/output.h"

static const enum profile_value shown[] = {PROFILE_ACCURACY, PROFILE_ECE, PROFILE_NLL};
enum { SHOWN = sizeof shown / sizeof *shown };

bool layers_print_lenses(const struct profile *one, const char *one_name,
                         const struct profile *other, const char *other_name, FILE *to)
{
    struct table *t = table_create("rrrrrrrr");
    static const char *const names[SHOWN] = {"acc.", "ECE", "NLL"};
    table_cell(t, "layer");
    for (int v = 0; v < SHOWN; v++) {
        table_cell(t, "%s, %s", names[v], one_name);
        table_cell(t, "%s", other_name);
    }
    table_cell(t, "difference of ECE");
    for (int l = 1; l <= one->layers; l++) {
        const struct profiled d = profile_difference(one, other, l, PROFILE_ECE);
        table_cell(t, "%d", l);
        for (int v = 0; v < SHOWN; v++) {
            table_cell(t, "%.3f", profile_at(one, l, shown[v])->value);
            table_cell(t, "%.3f", profile_at(other, l, shown[v])->value);
        }
        if (isnan(d.low))
            table_cell(t, "%+.3f", d.value);
        else
            table_cell(t, "%+.3f [%+.3f, %+.3f]", d.value, d.low, d.high);
    }
    return table_print(t, to);
}

bool layers_print_difference(const struct lens_difference *d, const char *one, const char *other,
                             FILE *to)
{
    struct buffer words = BUFFER_EMPTY;
    lens_difference_words(d, one, other, &words);
    const bool good = !words.failed;
    fputc('\n', to);
    options_wrap(good ? buffer_string(&words) : "", 0, 0, to);
    buffer_free(&words);
    return good;
}

void layers_write_lenses(const struct profile *one, const char *one_name,
                         const struct profile *other, const char *other_name,
                         const struct lens_difference *d, struct result *r)
{
    struct buffer words = BUFFER_EMPTY;
    lens_difference_words(d, one_name, other_name, &words);
    json_write_key(&r->json, "lenses");
    json_write_object(&r->json);
    result_text(r, "lens", one_name);
    result_text(r, "other_lens", other_name);
    result_integer(r, "largest_layer", d->largest);
    result_double(r, "largest_difference", d->ece.value);
    result_integer(r, "layers_apart", d->apart);
    result_bool(r, "same_verdict", d->same_verdict);
    result_bool(r, "same_peak", d->same_peak);
    result_bool(r, "same_plateau", d->same_plateau);
    result_text(r, "words", words.failed ? NULL : buffer_string(&words));
    json_write_key(&r->json, "ece_difference");
    json_write_array(&r->json);
    for (int l = 1; l <= one->layers; l++) {
        const struct profiled v = profile_difference(one, other, l, PROFILE_ECE);
        json_write_object(&r->json);
        result_integer(r, "layer", l);
        result_double(r, "value", v.value);
        result_double(r, "low", v.low);
        result_double(r, "high", v.high);
        json_write_end(&r->json, '}');
    }
    json_write_end(&r->json, ']');
    json_write_end(&r->json, '}');
    buffer_free(&words);
}
