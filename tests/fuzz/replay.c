/*
 * replay.c - a main() for a fuzz target in a build without libFuzzer: feeds it every file of a
 * folder of seeds, and each of these again cut short and with single bytes changed, so that each
 * parser's own edges are walked in every test run. Deterministic: the changes follow from the bytes
 * alone.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 64, CHANGES = 64 };

/* Every run gets its own exact-size block, so that a sanitizer sees a read past the end. */
static void run_copy(const uint8_t *data, size_t n, size_t change_at, uint8_t change)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        exit(3);
    if (n)
        memcpy(copy, data, n);
    if (change_at < n)
        copy[change_at] ^= change;
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void replay(const uint8_t *data, size_t n)
{
    run_copy(data, n, n, 0);
    size_t cut_step = n / CUTS + 1, change_step = n / CHANGES + 1;
    for (size_t i = 0; i < n; i += cut_step)
        run_copy(data, i, i, 0);
    for (size_t i = 0; i < n; i += change_step)
        run_copy(data, n, i, (uint8_t)(1u << (i % 8)));
}

int main(int argc, char **argv)
{
    struct plumb_error error = {0};
    struct file_list seeds;
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER-OF-SEEDS\n", argv[0]);
        return 2;
    }
    if (file_list_folder(argv[1], &seeds, &error) != PLUMB_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 2;
    }
    for (size_t i = 0; i < seeds.count; i++) {
        struct file_map map;
        char *path = file_join(argv[1], seeds.names[i]);
        if (!path || file_map_open(path, &map, &error) != PLUMB_OK) {
            fprintf(stderr, "%s\n", path ? error.message : "no memory");
            return 2;
        }
        fprintf(stderr, "%s\n", path); /* the last line names the seed of a crash */
        replay(map.data, map.size);
        file_map_close(&map);
        free(path);
    }
    size_t count = seeds.count;
    file_list_free(&seeds);
    printf("%zu seeds\n", count);
    return count ? 0 : 1; /* a target without seeds tests nothing */
}
