/*
 * folder_writer.c - folders that appear whole or not at all.
 *
 * The files are flat: no folder within the folder.
 */
#include "base/folder_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

/* Removes the folder and the files in it. */
static void remove_folder(const char *path)
{
    struct file_list names;
    if (file_list_folder(path, &names, NULL) == PLUMB_OK) {
        for (size_t i = 0; i < names.count; i++) {
            char *place = file_join(path, names.names[i]);
            if (place)
                unlink(place);
            mem_free(place);
        }
        file_list_free(&names);
    }
    rmdir(path);
}

/* Is there nothing at `path` that would be lost? */
static int check_free(const char *path, struct plumb_error *e)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? PLUMB_OK : error_system(e, errno, "write", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(e, PLUMB_INPUT,
                         "%s is there already and is no folder; choose another name", path);
    struct file_list names;
    const int status = file_list_folder(path, &names, e);
    if (status != PLUMB_OK)
        return status;
    const size_t count = names.count;
    file_list_free(&names);
    return count == 0 ? PLUMB_OK
                      : error_set(e, PLUMB_INPUT,
                                  "the folder %s is there already and is not empty; remove it or "
                                  "choose another name",
                                  path);
}

int folder_writer_open(const char *path, struct folder_writer *out, struct plumb_error *e)
{
    *out = (struct folder_writer){0};
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    struct folder_writer w = {.path = mem_strndup(path, n)};
    struct buffer name = BUFFER_EMPTY;
    buffer_printf(&name, "%.*s.tmp-%ld", (int)n, path, (long)getpid());
    w.temporary = name.failed ? NULL : mem_strdup(buffer_string(&name));
    buffer_free(&name);
    int status = w.path && w.temporary ? check_free(w.path, e)
                                       : error_memory(e, "the name of an output folder");
    if (status == PLUMB_OK) {
        remove_folder(w.temporary); /* of a killed run that had the same number */
        if (mkdir(w.temporary, 0777) != 0)
            status = error_system(e, errno, "make the folder", w.path);
    }
    if (status != PLUMB_OK) {
        mem_free(w.path);
        mem_free(w.temporary);
        return status;
    }
    *out = w;
    return PLUMB_OK;
}

char *folder_writer_place(const struct folder_writer *w, const char *name)
{
    return file_join(w->temporary, name);
}

int folder_writer_put(const struct folder_writer *w, const char *name, const void *bytes, size_t n,
                      struct plumb_error *e)
{
    char *place = folder_writer_place(w, name);
    if (!place)
        return error_memory(e, "the name of an output file");
    struct file_writer file;
    int status = file_writer_open(place, &file, e);
    if (status == PLUMB_OK) {
        fwrite(bytes, 1, n, file.stream);
        status = file_writer_commit(&file, e);
    }
    mem_free(place);
    return status;
}

int folder_writer_copy(const struct folder_writer *w, const char *name, const char *from,
                       struct plumb_error *e)
{
    struct file_map map;
    int status = file_map_open(from, &map, e);
    if (status != PLUMB_OK)
        return status;
    status = folder_writer_put(w, name, map.data, map.size, e);
    file_map_close(&map);
    return status;
}

static void let_go(struct folder_writer *w)
{
    mem_free(w->path);
    mem_free(w->temporary);
    *w = (struct folder_writer){0};
}

int folder_writer_commit(struct folder_writer *w, struct plumb_error *e)
{
    int status = PLUMB_OK;
    const int fd = open(w->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        if (fsync(fd) != 0 && errno == EIO)
            status = error_system(e, errno, "write", w->path);
        close(fd);
    }
    /* rename(2) puts a folder in the place of an empty one. */
    if (status == PLUMB_OK && rename(w->temporary, w->path) != 0)
        status = error_system(e, errno, "write", w->path);
    if (status != PLUMB_OK)
        remove_folder(w->temporary);
    let_go(w);
    return status;
}

void folder_writer_abandon(struct folder_writer *w)
{
    if (w->temporary)
        remove_folder(w->temporary);
    let_go(w);
}
