/*
 * abstain_rights.c - see abstain_rights.h.
 */
#include "cli/abstain_rights.h"

#include <string.h>

#include "abstain/confidence.h"
#include "base/memory.h"

/* By hash; a question that stands twice in the target counts as it stands first. */
static int look_up(const char *path, const struct hash128 *item, const int8_t *of, size_t n,
                   const struct abstain_input *in, int8_t *right, struct plumb_error *e)
{
    struct hash_table *t = hash_table_create(n);
    size_t found = 0;
    if (!t)
        return error_memory(e, "the right answers");
    for (size_t i = n; i-- > 0;)
        if (hash_table_put(t, (const char *)&item[i], sizeof item[i], (int32_t)i) < 0) {
            hash_table_destroy(t);
            return error_memory(e, "the right answers");
        }
    for (size_t i = 0; i < in->scores.n; i++) {
        const struct hash128 *key = &in->scores.item_hash[i];
        const int32_t at = hash_table_get(t, (const char *)key, sizeof *key, -1);
        right[i] = (int8_t)(at < 0 ? -1 : of[at]);
        found += at >= 0;
    }
    hash_table_destroy(t);
    if (found)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT,
                     "%s holds none of the %zu questions of %s (questions are known by their text "
                     "and options)",
                     path, in->scores.n, in->path);
}

int rights_read(const char *target, const struct abstain_input *in, int8_t **right,
                struct plumb_error *e)
{
    const size_t n = in->scores.n;
    int8_t *r = *right = mem_array(n, sizeof *r);
    if (!r)
        return error_memory(e, "the right answers");
    if (!target) {
        memcpy(r, in->signals.right, n);
        return PLUMB_OK;
    }
    if (confidence_is_file(target)) {
        struct confidence_file f;
        int status = confidence_read(target, &f, e);
        if (status == PLUMB_OK)
            status = look_up(target, f.item, f.right, f.n, in, r, e);
        confidence_free(&f);
        return status;
    }
    struct abstain_input other = {0};
    const struct abstain_options none = {0};
    int status = abstain_open(target, NULL, &none, &other, e);
    if (status == PLUMB_OK)
        status =
            look_up(target, other.scores.item_hash, other.signals.right, other.scores.n, in, r, e);
    abstain_close(&other);
    return status;
}
