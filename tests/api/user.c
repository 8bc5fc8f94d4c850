/*
 * user.c - a program of somebody who uses the library, compiled as C and as C++: includes the header alone and calls into it.
 * It has functions of its own with names that the library uses inside: they must not meet.
 */
#include "plumb.h"

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int error_set(void);
int json_parse(void);
void *mem_alloc(void);
#ifdef __cplusplus
}
#endif

int error_set(void)
{
    return 41;
}

int json_parse(void)
{
    return 42;
}

void *mem_alloc(void)
{
    return NULL; /* were it called by the library, everything below would fail with PLUMB_MACHINE */
}

int main(void)
{
    struct plumb_error error;
    plumb_trace *trace;
    if (strcmp(plumb_version(), EXPECTED_VERSION) != 0)
        return 1;
    if (plumb_trace_open("/nowhere/at/all", &trace, &error) != PLUMB_INPUT || trace != NULL)
        return 2;
    if (error.code != PLUMB_INPUT || strstr(error.message, "/nowhere/at/all") == NULL)
        return 3;
    plumb_trace_close(NULL);
    return error_set() == 41 && json_parse() == 42 ? 0 : 4;
}
