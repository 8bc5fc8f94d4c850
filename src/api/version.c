/*
 * version.c - which plumb this is. Knows nothing of any room.
 */
#include "plumb.h"

const char *plumb_version(void)
{
    return PLUMB_VERSION;
}
