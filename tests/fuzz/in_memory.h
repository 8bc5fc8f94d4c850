/*
 * in_memory.h - the input of a fuzz target as a file that can be opened by name, for readers that take a path.
 */
#ifndef FUZZ_IN_MEMORY_H
#define FUZZ_IN_MEMORY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IN_MEMORY_PATH = 32 };

/* A descriptor, to be closed, of a file with these bytes; its name in `path`. */
static inline int in_memory_file(const uint8_t *data, size_t size, char path[IN_MEMORY_PATH])
{
    const int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0)
        abort();
    while (size) {
        const ssize_t n = write(fd, data, size);
        if (n <= 0)
            abort();
        data += n;
        size -= (size_t)n;
    }
    snprintf(path, IN_MEMORY_PATH, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
