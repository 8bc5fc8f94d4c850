/*
 * waiting.c - GNU OpenMP's threads spin for milliseconds while they wait, which is fine on an idle machine and ruinous on a shared
 * one: where another program holds a core, a spinning thread takes the time that the late one needs. Measured with five
 * other busy processes on two cores: 20 questions of SmolLM2-135M in 44 s spinning, in 8.5 s sleeping; docs/speed.md.
 *
 * The library reads the policy once, before main, so the program sets it and starts itself again. A user who has set
 * OMP_WAIT_POLICY or GOMP_SPINCOUNT knows better, and nothing happens.
 */
#include "cli/waiting.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

void waiting_passive(char **argv)
{
    char program[PATH_MAX];
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0 || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    program[n] = '\0';
    execv(program,
          argv); /* returns only where it failed: then threads spin, and all else is the same */
}
