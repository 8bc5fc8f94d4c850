/*
 * trace.c - a trace file on disk: laid out and sized before the run, filled in place, renamed when
 * complete.
 *
 * The life of a file: PATH.partial is reserved in full (a full disk shows at once), its padding is
 * prefilled, and only then the eight bytes of the header's length are written: a file without them
 * was never filled. Whoever fills it holds a lock. Items become done only after their numbers are
 * on the disk. The finished file is a function of header and numbers alone. Knows nothing of models
 * and questions.
 */
#include "trace/trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "trace/trace_layout.h"

struct trace_file {
    struct arena *arena; /* the header's strings */
    struct file_map map; /* a finished file; unused while filling */
    int fd;              /* of PATH.partial, locked; -1 for a finished file */
    uint8_t *base;       /* the shared mapping of PATH.partial, or null */
    struct trace_layout layout;
    char *path, *partial;
};

static struct trace_file *file_create(const char *path)
{
    struct trace_file *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->fd = -1;
    struct buffer partial = BUFFER_EMPTY;
    buffer_printf(&partial, "%s.partial", path);
    f->arena = arena_create();
    f->path = mem_strdup(path);
    f->partial = partial.failed ? NULL : mem_strdup(buffer_string(&partial));
    buffer_free(&partial);
    return f;
}

static bool file_is_whole(const struct trace_file *f)
{
    return f && f->arena && f->path && f->partial;
}

void trace_close(struct trace *t)
{
    struct trace_file *f = t ? t->file : NULL;
    if (f) {
        file_map_close(&f->map);
        if (f->base)
            munmap(f->base, f->layout.total);
        if (f->fd >= 0)
            close(f->fd);
        if (f->arena)
            arena_destroy(f->arena);
        mem_free(f->path);
        mem_free(f->partial);
        mem_free(f);
    }
    if (t)
        *t = (struct trace){0};
}

void trace_point(struct trace *t, uint8_t *base, const struct trace_layout *layout)
{
    void *at[TRACE_ARRAYS];
    for (int i = 0; i < TRACE_ARRAYS; i++)
        at[i] = layout->arrays[i].bytes ? base + layout->arrays[i].offset : NULL;
    t->item_hash = at[TRACE_ITEM_HASH];
    t->imported = at[TRACE_IMPORTED];
    t->logits = at[TRACE_LOGITS];
    t->lens = at[TRACE_LENS];
    t->entropy = at[TRACE_ENTROPY];
    t->option_mass = at[TRACE_OPTION_MASS];
    t->text_log_likelihood = at[TRACE_TEXT_LOG_LIKELIHOOD];
    t->text_bytes = at[TRACE_TEXT_BYTES];
    t->text_characters = at[TRACE_TEXT_CHARACTERS];
    t->text_tokens = at[TRACE_TEXT_TOKENS];
    t->label = at[TRACE_LABEL];
    t->options = at[TRACE_OPTIONS];
    t->group = at[TRACE_GROUP];
    t->hidden = at[TRACE_HIDDEN];
    t->done = at[TRACE_DONE];
}

/* ---- checking what a finished trace holds ---- */

/* One row of option logits: numbers or -inf for the options, -inf behind them. */
static bool row_is_sane(const float *row, int options, int k)
{
    for (int j = 0; j < k; j++)
        if (j < options ? isnan(row[j]) || row[j] == INFINITY : row[j] != -INFINITY)
            return false;
    return true;
}

/* The texts' own rows: sums as logits are, at least a token each, no negative size. */
static bool texts_are_sane(const struct trace *t, size_t i)
{
    const int k = t->header.n_options;
    const size_t row = i * (size_t)k;
    bool good = row_is_sane(t->text_log_likelihood + row, t->options[i], k);
    for (size_t j = row; good && j < row + (size_t)t->options[i]; j++)
        good = t->text_tokens[j] > 0 && t->text_bytes[j] >= 0 && t->text_characters[j] >= 0;
    return good;
}

/* The numbers of the source: as logits, or probabilities. */
static bool import_is_sane(const struct trace *t, size_t i)
{
    const double *row = t->imported + i * (size_t)t->header.n_options;
    bool good = true;
    for (int j = 0; good && j < t->options[i]; j++)
        good = t->header.imported_probabilities ? row[j] >= 0 && row[j] <= 1 : row[j] < INFINITY;
    return good;
}

static int check_item(const struct trace *t, size_t i, const char *what, struct plumb_error *e)
{
    const struct trace_header *h = &t->header;
    size_t k = (size_t)h->n_options;
    if (t->options[i] < 2 || t->options[i] > h->n_options)
        return error_set(e, PLUMB_INPUT, "%s: item %zu: found %d options, expected 2 to %d", what,
                         i, t->options[i], h->n_options);
    if (t->label[i] < -1 || t->label[i] >= t->options[i])
        return error_set(e, PLUMB_INPUT, "%s: item %zu: found label %d, expected -1 to %d", what, i,
                         t->label[i], t->options[i] - 1);
    if (t->group[i] < 0 || t->group[i] >= h->n_groups)
        return error_set(e, PLUMB_INPUT, "%s: item %zu: found group %d, expected 0 to %d", what, i,
                         t->group[i], h->n_groups - 1);
    if (!row_is_sane(t->logits + i * k, t->options[i], h->n_options))
        return error_set(e, PLUMB_INPUT,
                         "%s: item %zu: logits are not numbers, or the padding is not -inf", what,
                         i);
    if (t->imported && !import_is_sane(t, i))
        return error_set(e, PLUMB_INPUT, "%s: item %zu: the imported values are not %s", what, i,
                         t->header.imported_probabilities ? "probabilities" : "logits");
    if (t->text_log_likelihood && !texts_are_sane(t, i))
        return error_set(e, PLUMB_INPUT,
                         "%s: item %zu: the log-likelihoods of its texts are not numbers, their "
                         "padding is not -inf, or a text has no tokens",
                         what, i);
    for (size_t l = 0; t->lens && l < (size_t)h->n_layers; l++)
        if (!row_is_sane(t->lens + (i * (size_t)h->n_layers + l) * k, t->options[i], h->n_options))
            return error_set(e, PLUMB_INPUT,
                             "%s: item %zu, layer %zu: lens values are not numbers, or the padding "
                             "is not -inf",
                             what, i, l + 1);
    return PLUMB_OK;
}

static size_t count_done(const struct trace *t)
{
    size_t done = 0;
    for (size_t i = 0; i < t->header.n; i++)
        done += t->done[i] == 1;
    return done;
}

static int check_items(const struct trace *t, const char *what, struct plumb_error *e)
{
    size_t done = count_done(t);
    if (done < t->header.n)
        return error_set(e, PLUMB_INPUT,
                         "%s: only %zu of %zu items are done: run the same trace command again, it "
                         "goes on where it stopped",
                         what, done, t->header.n);
    for (size_t i = 0; i < t->header.n; i++) {
        int status = check_item(t, i, what, e);
        if (status)
            return status;
    }
    return PLUMB_OK;
}

int trace_view(const uint8_t *bytes, size_t n, const char *what, struct arena *arena,
               struct trace *out, struct plumb_error *e)
{
    struct trace_layout layout;
    *out = (struct trace){0};
    int status = trace_header_read(bytes, n, what, arena, &out->header, &layout, e);
    if (status)
        return status;
    trace_point(out, (uint8_t *)(uintptr_t)bytes, &layout);
    return check_items(out, what, e);
}

int trace_open(const char *path, struct trace *out, struct plumb_error *e)
{
    *out = (struct trace){0};
    struct trace_file *f = file_create(path);
    int status = file_is_whole(f) ? PLUMB_OK : error_memory(e, "a trace");
    if (!status)
        status = file_map_open(path, &f->map, e);
    if (!status)
        status = trace_view(f->map.data, f->map.size, path, f->arena, out, e);
    out->file = f;
    if (status)
        trace_close(out);
    return status;
}

/* ---- creating and resuming ---- */

static int sync_range(const struct trace_file *f, size_t from, size_t n, struct plumb_error *e)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t start = from / page * page;
    if (msync(f->base + start, from + n - start, MS_SYNC))
        return error_system(e, errno, "write", f->partial);
    return PLUMB_OK;
}

/* A rename or a new name is on the disk when its folder is. Some file systems cannot; nothing is
 * lost then. */
static void sync_folder(const char *path)
{
    const char *base = file_base_name(path);
    char *folder = base > path ? mem_strndup(path, (size_t)(base - path)) : mem_strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    mem_free(folder);
}

/* Opens and locks PATH.partial; it is created when it is not there. */
static int lock_partial(struct trace_file *f, struct stat *st, struct plumb_error *e)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        struct stat named;
        f->fd = open(f->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (f->fd < 0 || fstat(f->fd, st))
            return error_system(e, errno, "create", f->partial);
        if (!S_ISREG(st->st_mode))
            return error_set(e, PLUMB_INPUT, "%s is not a plain file: give another output name",
                             f->partial);
        if (flock(f->fd, LOCK_EX | LOCK_NB)) {
            if (errno != EWOULDBLOCK)
                return error_system(e, errno, "lock", f->partial);
            return error_set(e, PLUMB_INPUT,
                             "%s is being filled by another process: wait for it, or give another "
                             "output name",
                             f->partial);
        }
        /* The one who held the lock may have renamed or removed the file meanwhile: then try again.
         */
        if (!stat(f->partial, &named) && named.st_ino == st->st_ino && named.st_dev == st->st_dev)
            return fstat(f->fd, st) ? error_system(e, errno, "read", f->partial) : PLUMB_OK;
        close(f->fd);
        f->fd = -1;
    }
    return error_set(e, PLUMB_MACHINE, "%s keeps being replaced by other processes", f->partial);
}

/* Was the file laid out to the end? Until then it has no header's length, and is no larger than it
   is to become. Anything else is resumed or refused, never overwritten. */
static bool is_laid_out(const struct trace_file *f, const struct stat *st)
{
    static const char nothing[8];
    char first[8] = {0};
    ssize_t n = st->st_size ? pread(f->fd, first, sizeof first, 0) : 0;
    return n < 0 || memcmp(first, nothing, sizeof nothing) != 0 ||
           (size_t)st->st_size > f->layout.total;
}

static int map_partial(struct trace_file *f, struct plumb_error *e)
{
    void *base = mmap(NULL, f->layout.total, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
    if (base == MAP_FAILED)
        return error_system(e, errno, "map", f->partial);
    f->base = base;
    return PLUMB_OK;
}

static void fill_floats(uint8_t *base, const struct trace_place *p, float v)
{
    float *to = (float *)(void *)(base + p->offset);
    for (size_t i = 0; i < p->bytes / sizeof *to; i++)
        to[i] = v;
}

static int lay_out(struct trace_file *f, const struct buffer *header, struct plumb_error *e)
{
    size_t total = f->layout.total;
    int failed = ftruncate(f->fd, (off_t)total) ? errno : posix_fallocate(f->fd, 0, (off_t)total);
    int status;
    if (failed) {
        status = error_set(e, PLUMB_MACHINE,
                           "cannot reserve %zu bytes for %s: %s: free some space, or give another "
                           "output name",
                           total, f->partial, strerror(failed));
    } else if (!(status = map_partial(f, e))) {
        fill_floats(f->base, &f->layout.arrays[TRACE_LOGITS], -INFINITY);
        fill_floats(f->base, &f->layout.arrays[TRACE_LENS], -INFINITY);
        fill_floats(f->base, &f->layout.arrays[TRACE_TEXT_LOG_LIKELIHOOD], -INFINITY);
        memcpy(f->base + 8, header->data + 8, header->size - 8);
        if (!(status = sync_range(f, 0, total, e))) {
            memcpy(f->base, header->data, 8);
            status = sync_range(f, 0, 8, e);
        }
    }
    if (status)
        unlink(f->partial); /* holds nothing that anyone could want */
    else
        sync_folder(f->partial);
    return status;
}

/* Says in what the trace at `path` differs from what is wanted. */
static int refuse_other(const char *path, const struct trace_header *wanted, struct plumb_error *e)
{
    struct file_map map;
    struct trace_header found;
    struct trace_layout layout;
    char a[TRACE_VALUE_TEXT], b[TRACE_VALUE_TEXT];
    struct plumb_error ignored;
    const char *name = NULL;
    struct arena *arena = arena_create();
    if (!arena)
        return error_memory(e, "a trace's header");
    if (file_map_open(path, &map, &ignored)) {
        arena_destroy(arena);
        return error_set(e, ignored.code, "%s", ignored.message);
    }
    if (trace_header_read(map.data, map.size, path, arena, &found, &layout, &ignored))
        error_set(e, PLUMB_INPUT,
                  "%s exists and is not a trace that could be resumed (%s): remove it, or give "
                  "another output name",
                  path, ignored.message);
    else if ((name = trace_header_difference(&found, wanted, true, a, b)))
        error_set(e, PLUMB_INPUT,
                  "%s holds another trace (%s: found \"%s\", this run has \"%s\"): remove it, or "
                  "give another output name",
                  path, name, a, b);
    else
        error_set(e, PLUMB_INPUT,
                  "%s holds a trace that another program has rewritten: remove it, or give another "
                  "output name",
                  path);
    file_map_close(&map);
    arena_destroy(arena);
    return PLUMB_INPUT;
}

/* A .partial that is there: it must be this very run's. */
static int resume(struct trace_file *f, const struct buffer *header, const struct trace_header *h,
                  const struct stat *st, struct plumb_error *e)
{
    if ((size_t)st->st_size != f->layout.total)
        return refuse_other(f->partial, h, e);
    int status = map_partial(f, e);
    if (!status && memcmp(f->base, header->data, header->size) != 0)
        status = refuse_other(f->partial, h, e);
    if (status)
        return status;
    const uint8_t *done = f->base + f->layout.arrays[TRACE_DONE].offset;
    for (size_t i = 0; i < h->n; i++)
        if (done[i] > 1)
            return error_set(e, PLUMB_INPUT,
                             "%s: item %zu: the done flag is %d, expected 0 or 1: the file is "
                             "damaged, remove it",
                             f->partial, i, done[i]);
    return PLUMB_OK;
}

/* PATH is there: it must be this very trace, finished. */
static int open_finished(const char *path, const struct trace_header *h, struct trace *out,
                         struct plumb_error *e)
{
    char a[TRACE_VALUE_TEXT], b[TRACE_VALUE_TEXT];
    if (file_is_folder(path))
        return error_set(
            e, PLUMB_INPUT,
            "%s is a folder; the trace is one file: give its name, such as %s/my.trace", path,
            path);
    int status = trace_open(path, out, e);
    if (status)
        return error_prefix(e, "the output file exists already; remove it, or give another name");
    if (trace_header_difference(&out->header, h, true, a, b)) {
        trace_close(out);
        return refuse_other(path, h, e);
    }
    return PLUMB_OK;
}

static int open_partial(struct trace *t, const struct buffer *header, const struct trace_header *h,
                        struct plumb_error *e)
{
    struct trace_file *f = t->file;
    struct stat st = {0};
    int status = lock_partial(f, &st, e);
    if (status)
        return status;
    if (file_exists(f->path)) { /* another process has finished it between our look and our lock */
        if (!st.st_size)
            unlink(f->partial);
        return error_set(e, PLUMB_INPUT, "%s has appeared meanwhile: run the same command again",
                         f->path);
    }
    status = is_laid_out(f, &st) ? resume(f, header, h, &st, e) : lay_out(f, header, e);
    if (status)
        return status;
    /* Back from the mapping, so that the strings are the trace's own. */
    status = trace_header_read(f->base, f->layout.total, f->partial, f->arena, &t->header,
                               &f->layout, e);
    if (!status)
        trace_point(t, f->base, &f->layout);
    return status;
}

int trace_create(const char *path, const struct trace_header *h, struct trace *out, size_t *resumed,
                 struct plumb_error *e)
{
    struct buffer header = BUFFER_EMPTY;
    *out = (struct trace){0};
    *resumed = 0;
    if (file_exists(path)) {
        int found = open_finished(path, h, out, e);
        *resumed = found ? 0 : h->n;
        return found;
    }
    out->file = file_create(path);
    int status = file_is_whole(out->file) ? PLUMB_OK : error_memory(e, "a trace");
    if (!status)
        status = trace_header_write(h, path, &header, &out->file->layout, e);
    if (!status)
        status = open_partial(out, &header, h, e);
    buffer_free(&header);
    if (status)
        trace_close(out);
    else
        *resumed = count_done(out);
    return status;
}

/* ---- filling and finishing ---- */

int trace_flush(struct trace *t, struct plumb_error *e)
{
    return t->file->base ? sync_range(t->file, 0, t->file->layout.total, e) : PLUMB_OK;
}

int trace_commit(struct trace *t, const size_t *items, size_t n, struct plumb_error *e)
{
    const struct trace_place *done = &t->file->layout.arrays[TRACE_DONE];
    if (!t->file->base || !n)
        return PLUMB_OK;
    int status = trace_flush(t, e);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        size_t item = items ? items[i] : i;
        assert(item < t->header.n);
        t->done[item] = 1;
    }
    return sync_range(t->file, done->offset, done->bytes, e);
}

int trace_finish(struct trace *t, struct plumb_error *e)
{
    struct trace_file *f = t->file;
    if (f->base) {
        int status = check_items(t, f->partial, e);
        if (status || (status = trace_flush(t, e)))
            return status;
        if (fsync(f->fd))
            return error_system(e, errno, "write", f->partial);
        if (renameat2(AT_FDCWD, f->partial, AT_FDCWD, f->path, RENAME_NOREPLACE)) {
            /* Not every file system knows NOREPLACE; a look beforehand is nearly as good. */
            if (errno == EEXIST || file_exists(f->path))
                return error_set(e, PLUMB_INPUT,
                                 "%s has appeared meanwhile; the finished trace stays in %s",
                                 f->path, f->partial);
            if (errno != EINVAL || rename(f->partial, f->path))
                return error_system(e, errno, "rename", f->partial);
        }
        sync_folder(f->path);
    }
    trace_close(t);
    return PLUMB_OK;
}
