/*
 * temporary_folder.c - a folder of a test's own, and files in it.
 */
#include "temporary_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[256];

int temporary_folder_create(void **state)
{
    (void)state;
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/plumb-test-XXXXXX", root && *root ? root : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

int temporary_folder_remove(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    if (!d)
        return -1;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(temporary_path(entry->d_name));
    closedir(d);
    return rmdir(folder);
}

const char *temporary_folder(void)
{
    return folder;
}

const char *temporary_path(const char *name)
{
    static char paths[4][640];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *temporary_file(const char *name, const void *bytes, size_t n)
{
    const char *path = temporary_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(n ? fwrite(bytes, 1, n, f) : 0, n);
    assert_int_equal(fclose(f), 0);
    return path;
}
