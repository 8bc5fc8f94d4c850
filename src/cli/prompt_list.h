/*
 * prompt_list.h - prompts from the command line and from files.
 */
#ifndef CLI_PROMPT_LIST_H
#define CLI_PROMPT_LIST_H

#include <stddef.h>

#include "base/error.h"

struct prompt {
    char *text; /* [size], UTF-8 not yet checked; a NUL follows */
    size_t size;
    char *id; /* or null */
};

struct prompt_list {
    struct prompt *items;
    size_t count, capacity;
};

int prompt_list_add(struct prompt_list *l, const char *text, size_t n, const char *id /* or null */,
                    struct plumb_error *e);
/* A name that ends in .jsonl: an object a line, with "prompt" and perhaps "id"; blank lines are skipped. Any other
   file is one prompt; "-" is standard input, one prompt. A last line break of such a prompt is dropped. */
int prompt_list_read(struct prompt_list *l, const char *path, struct plumb_error *e);
void prompt_list_free(struct prompt_list *l);

#endif
