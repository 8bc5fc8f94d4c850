/*
 * file.c - whole files read by mapping; files written beside their final name and renamed, so that
 * a reader sees the old file or the new one and never half of one.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/size.h"

/* ---- reading ---- */

int file_map_open(const char *path, struct file_map *out, struct plumb_error *e)
{
    *out = (struct file_map){.data = (const uint8_t *)"", .size = 0};
    int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not blocking: a pipe must not hang us */
    if (fd < 0)
        return error_system(e, errno, "open", path);
    struct stat st;
    int status = PLUMB_OK;
    if (fstat(fd, &st) != 0) {
        status = error_system(e, errno, "open", path);
    } else if (S_ISDIR(st.st_mode)) {
        status = error_system(e, EISDIR, "open", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = error_set(
            e, PLUMB_INPUT,
            "cannot open %s: a pipe or device, expected a regular file; save it to a file first",
            path);
    } else if ((uintmax_t)st.st_size > SIZE_MAX / 2) {
        status = error_system(e, EFBIG, "map", path);
    } else if (st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = error_system(e, errno, "map", path);
        else
            *out = (struct file_map){.data = data, .size = (size_t)st.st_size};
    }
    close(fd);
    return status;
}

void file_map_close(struct file_map *m)
{
    if (m->size)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (struct file_map){.data = (const uint8_t *)"", .size = 0};
}

void file_map_forget(const struct file_map *m, const void *from, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (size_t)((uintptr_t)from - (uintptr_t)m->data), end;
    if (m->size == 0 || !size_within(begin, n, m->size) || !size_align(begin, page, &begin))
        return;
    end = ((size_t)((uintptr_t)from - (uintptr_t)m->data) + n) / page * page;
    if (end > begin)
        madvise((void *)(uintptr_t)(m->data + begin), end - begin, MADV_DONTNEED);
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- names ---- */

int file_make_folder(const char *path, struct plumb_error *e)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && file_is_folder(path)))
        return PLUMB_OK;
    return error_system(e, errno, "make the folder", path);
}

char *file_join(const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name), size;
    bool slash = a > 0 && folder[a - 1] != '/';
    if (!size_add(a, b, &size) || !size_add(size, 2, &size))
        return NULL;
    char *path = mem_alloc(size);
    if (!path)
        return NULL;
    memcpy(path, folder, a);
    if (slash)
        path[a++] = '/';
    memcpy(path + a, name, b + 1);
    return path;
}

const char *file_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_add(struct file_list *l, size_t *capacity, const char *name)
{
    if (l->count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 16;
        char **names = mem_resize(l->names, larger, sizeof *names);
        if (!names)
            return -1;
        l->names = names;
        *capacity = larger;
    }
    char *copy = mem_strdup(name);
    if (!copy)
        return -1;
    l->names[l->count++] = copy;
    return 0;
}

int file_list_folder(const char *folder, struct file_list *out, struct plumb_error *e)
{
    *out = (struct file_list){0};
    DIR *d = opendir(folder);
    if (!d)
        return error_system(e, errno, "list", folder);
    int status = PLUMB_OK;
    size_t capacity = 0;
    while (status == PLUMB_OK) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry) {
            if (errno)
                status = error_system(e, errno, "list", folder);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (list_add(out, &capacity, entry->d_name) != 0)
            status = error_memory(e, "the names in a folder");
    }
    closedir(d);
    if (status != PLUMB_OK)
        file_list_free(out);
    else if (out->count)
        qsort(out->names, out->count, sizeof *out->names, compare_names);
    return status;
}

void file_list_free(struct file_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        mem_free(l->names[i]);
    mem_free(l->names);
    *l = (struct file_list){0};
}

/* ---- writing ---- */

/* The name that is really replaced: behind symbolic links, so that a link goes on being one. Null
 * without memory. */
static char *real_name(const char *path)
{
    char resolved[PATH_MAX];
    return mem_strdup(realpath(path, resolved) ? resolved : path);
}

static char *temporary_name(const char *path)
{
    char ending[32];
    int n = snprintf(ending, sizeof ending, ".tmp-%ld", (long)getpid());
    size_t length = strlen(path);
    char *name = mem_alloc(length + (size_t)n + 1);
    if (!name)
        return NULL;
    memcpy(name, path, length);
    memcpy(name + length, ending, (size_t)n + 1);
    return name;
}

/* Opens w->temporary; a left-over of the same name, from a killed run, gives way. Sets errno on -1.
 */
static int temporary_open(const char *name, const struct stat *replaced)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = open(name, flags, 0666);
    if (fd < 0 && errno == EEXIST && unlink(name) == 0)
        fd = open(name, flags, 0666);
    if (fd >= 0 && replaced && fchmod(fd, replaced->st_mode & 0777) != 0)
        errno = 0; /* the new file then has the usual rights: no reason to fail */
    return fd;
}

/* Opens w's temporary file, or without one the place itself, as a stream. */
static int writer_open_stream(struct file_writer *w, const struct stat *replaced,
                              struct plumb_error *e)
{
    int fd =
        w->temporary ? temporary_open(w->temporary, replaced) : open(w->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(e, errno, "write", w->path);
    w->stream = fdopen(fd, "wb");
    if (w->stream)
        return PLUMB_OK;
    int status = error_system(e, errno, "write", w->path);
    close(fd);
    if (w->temporary)
        unlink(w->temporary);
    return status;
}

int file_writer_open(const char *path, struct file_writer *out, struct plumb_error *e)
{
    struct file_writer w = {0};
    struct stat st;
    *out = w;
    const bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return error_system(e, EISDIR, "write", path);
    w.path = real_name(path);
    if (!w.path)
        return error_memory(e, "the name of an output file");
    /* A device or a pipe (/dev/stdout) cannot be replaced by renaming: it is written as it is. */
    if (!exists || S_ISREG(st.st_mode)) {
        w.temporary = temporary_name(w.path);
        if (!w.temporary) {
            mem_free(w.path);
            return error_memory(e, "the name of an output file");
        }
    }
    int status = writer_open_stream(&w, exists ? &st : NULL, e);
    if (status != PLUMB_OK) {
        mem_free(w.path);
        mem_free(w.temporary);
        return status;
    }
    *out = w;
    return PLUMB_OK;
}

/* Makes the rename itself durable. A folder that cannot be opened or synced (no right to read it, a
   file system that knows no such thing) is no reason to call the write failed. */
static int folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    if (!folder)
        return 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(folder);
    if (fd < 0)
        return 0;
    int failed = fsync(fd) != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT) ? errno : 0;
    close(fd);
    return failed;
}

/* A stream remembers that an earlier write failed, but not why. Writing one byte more to the
   temporary file, which is thrown away, asks the system again. */
static int stream_errno(const struct file_writer *w)
{
    errno = 0;
    if (w->temporary && write(fileno(w->stream), "", 1) < 0)
        return errno;
    return EIO;
}

int file_writer_commit(struct file_writer *w, struct plumb_error *e)
{
    int failed = 0; /* the first errno */
    if (!w->stream)
        return error_set(e, PLUMB_MACHINE, "the output file is not open");
    if (fflush(w->stream) != 0)
        failed = errno;
    else if (ferror(w->stream))
        failed = stream_errno(w);
    if (!failed && w->temporary && fsync(fileno(w->stream)) != 0)
        failed = errno;
    if (fclose(w->stream) != 0 && !failed)
        failed = errno;
    w->stream = NULL;
    if (!failed && w->temporary) {
        if (rename(w->temporary, w->path) != 0)
            failed = errno;
        else
            failed = folder_sync(w->path);
    }
    int status = failed ? error_system(e, failed, "write", w->path) : PLUMB_OK;
    file_writer_abandon(w);
    return status;
}

void file_writer_abandon(struct file_writer *w)
{
    if (w->stream)
        fclose(w->stream);
    if (w->temporary)
        unlink(w->temporary); /* after a commit there is nothing left by that name */
    mem_free(w->path);
    mem_free(w->temporary);
    *w = (struct file_writer){0};
}

int file_check_output(const char *path, struct plumb_error *e)
{
    struct stat st;
    struct file_writer w;
    /* Opening a device or a pipe could be seen at its other end. */
    if (!path || (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return PLUMB_OK;
    const int status = file_writer_open(path, &w, e);
    if (status == PLUMB_OK)
        file_writer_abandon(&w);
    return status;
}
