/*
 * steer_show.c - `plumb steer show`: what a direction does, how it was found and whose it is.
 */
#include <stdio.h>

#include "base/hash.h"
#include "cli/description.h"
#include "cli/output.h"
#include "cli/result.h"
#include "cli/steer.h"

static void tell(struct description *d, const struct steering *s, const char *hash)
{
    char text[96];
    description_text(d, "model", "model", s->model);
    description_text(d, "fingerprint", "model_fingerprint", s->fingerprint);
    description_text(d, "architecture", "architecture", s->architecture);
    snprintf(text, sizeof text, "%d layers, %d wide", s->n_layers, s->hidden);
    description_text(d, "of", "shape", text);
    if (d->json) /* of the lines it would be cut */
        description_text(d, "found", "how", s->how);
    description_text(d, "tokens", "tokens",
                     s->all_tokens ? "all" : "the last of the prompt, and every new one");
    for (int i = 0; i < s->n_parts; i++) {
        char name[32], key[32];
        const struct steering_part *p = &s->parts[i];
        snprintf(name, sizeof name, "layer %d", p->layer);
        snprintf(key, sizeof key, "layer_%d", p->layer);
        snprintf(text, sizeof text, "%+g x %.4g (the mean length of a state)", s->alpha, p->scale);
        description_text(d, name, key, text);
    }
    if (s->n_parts > 0)
        description_number(d, "alpha", "alpha", s->alpha, NULL);
    if (s->clips)
        description_number(d, "clip", "clip", (double)s->clip, NULL);
    description_text(d, "hash", "hash", hash);
    description_text(d, "program", "program", s->program);
}

int steer_show(const struct steer_options *o, const char *direction, struct plumb_error *e)
{
    struct steering s;
    struct hash128 hash;
    struct result json;
    char hex[33];
    int status = steering_read(direction, &s, e);
    if (status != PLUMB_OK)
        return status;
    status = steering_hash(&s, &hash, e);
    if (status == PLUMB_OK) {
        hash_hex(hash, hex);
        if (o->json)
            result_start(&json);
        struct description d = description_start(o->json ? &json : NULL, "direction");
        tell(&d, &s, hex);
        const bool good = description_section(&d, false);
        if (!o->json) {
            printf("Found: ");
            options_wrap(s.how, 7, 7, stdout);
        }
        status = description_finish(&d, good);
    }
    steering_free(&s);
    return status;
}
