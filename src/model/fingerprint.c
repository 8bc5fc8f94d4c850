/*
 * fingerprint.c - which model is this, to the bit: a hash of the configuration and of every tensor.
 *
 * Reading all bytes of a large model takes a while, so the result is kept in the user's cache
 * folder
 * ($XDG_CACHE_HOME/plumb, else ~/.cache/plumb), under a key made of the files' paths, sizes and
 * times of change. A cache that cannot be read or written is done without.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "model/weights.h"

static int compare_names(const void *a, const void *b)
{
    const struct tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Configuration keys only: what the tokenizer does is hashed by the tokenizer. */
static void add_configuration(struct hash_state *s, const struct model *m)
{
    if (m->config_text) {
        hash_add(s, m->config_text, strlen(m->config_text));
        return;
    }
    struct buffer value = BUFFER_EMPTY;
    for (size_t i = 0; i < gguf_key_count(m->gguf); i++) {
        size_t n;
        const char *key = gguf_key_name(m->gguf, i, &n);
        if (n >= 10 && memcmp(key, "tokenizer.", 10) == 0)
            continue;
        buffer_clear(&value);
        gguf_value_text(m->gguf, i, &value);
        hash_add(s, key, n);
        hash_add(s, value.data, value.size);
    }
    buffer_free(&value);
}

static int compute(const struct model *m, struct hash128 *out, struct plumb_error *e)
{
    const size_t n = m->tensors->count;
    const struct tensor **sorted = mem_array(n, sizeof *sorted);
    struct hash128 *hashes = mem_array(n, sizeof *hashes);
    struct hash_state *s = hash_create();
    if (!sorted || !hashes || !s) {
        mem_free(sorted);
        mem_free(hashes);
        if (s)
            hash_finish(s);
        return error_memory(e, "the fingerprint");
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = &m->tensors->items[i];
    qsort(sorted, n, sizeof *sorted, compare_names);
#pragma omp parallel for schedule(dynamic) num_threads(m->threads)
    for (size_t i = 0; i < n; i++) {
        hashes[i] = hash_bytes(sorted[i]->data, sorted[i]->bytes);
        file_map_forget(&m->tensors->files[sorted[i]->file], sorted[i]->data, sorted[i]->bytes);
    }
    add_configuration(s, m);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *x = sorted[i];
        hash_add(s, x->name, strlen(x->name) + 1);
        hash_add(s, dtype_name(x->type), strlen(dtype_name(x->type)) + 1);
        for (int d = 0; d < x->rank; d++) {
            uint64_t size = x->shape[d];
            hash_add(s, &size, sizeof size);
        }
        hash_add(s, &hashes[i], sizeof hashes[i]);
    }
    *out = hash_finish(s);
    mem_free(sorted);
    mem_free(hashes);
    return PLUMB_OK;
}

/* The cache entry's path, or false where there is no place for one. */
static bool cache_path(const struct model *m, char out[PATH_MAX])
{
    char folder[PATH_MAX], full[PATH_MAX], hex[33];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int written = cache && *cache ? snprintf(folder, sizeof folder, "%s/plumb", cache)
                  : home && *home ? snprintf(folder, sizeof folder, "%s/.cache/plumb", home)
                                  : -1;
    struct hash_state *s = written > 0 && written < PATH_MAX - 64 ? hash_create() : NULL;
    if (!s)
        return false;
    bool usable = true;
    const char *version = "fingerprint 1";
    hash_add(s, version, strlen(version));
    if (m->config_text)
        hash_add(s, m->config_text, strlen(m->config_text));
    for (int i = 0; i < m->tensors->n_files; i++) {
        struct stat st;
        if (stat(m->tensors->paths[i], &st) != 0 || !realpath(m->tensors->paths[i], full)) {
            usable = false;
            break;
        }
        int64_t facts[] = {(int64_t)st.st_size, (int64_t)st.st_mtim.tv_sec,
                           (int64_t)st.st_mtim.tv_nsec, (int64_t)st.st_ino};
        hash_add(s, full, strlen(full));
        hash_add(s, facts, sizeof facts);
    }
    hash_hex(hash_finish(s), hex);
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    mkdir(folder,
          0777); /* fails where it is there already, or cannot be made: then opening fails */
    *slash = '/';
    mkdir(folder, 0777);
    return usable && snprintf(out, PATH_MAX, "%s/%s", folder, hex) < PATH_MAX;
}

static bool cache_read(const char *path, struct hash128 *out)
{
    FILE *f = fopen(path, "r");
    unsigned long long high, low;
    /* 16 digits always fit. NOLINTNEXTLINE(cert-err34-c) */
    bool read = f && fscanf(f, "%16llx%16llx", &high, &low) == 2;
    if (f)
        fclose(f);
    if (read)
        *out = (struct hash128){.low = low, .high = high};
    return read;
}

int model_fingerprint(const struct model *m, struct hash128 *out, struct plumb_error *e)
{
    char path[PATH_MAX];
    if (m->source) {
        *out = m->source->fingerprint;
        return PLUMB_OK;
    }
    bool cached = cache_path(m, path);
    if (cached && cache_read(path, out))
        return PLUMB_OK;
    int status = compute(m, out, e);
    struct file_writer w;
    struct plumb_error ignored;
    if (status != PLUMB_OK || !cached || file_writer_open(path, &w, &ignored) != PLUMB_OK)
        return status;
    fprintf(w.stream, "%016llx%016llx\n", (unsigned long long)out->high,
            (unsigned long long)out->low);
    file_writer_commit(&w, &ignored);
    return status;
}
