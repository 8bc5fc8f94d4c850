/*
 * level.c - CPUID, by way of the compiler's run-time library, which also asks the operating system
 * (XGETBV).
 */
#include "tensor/level.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[LEVEL_COUNT] = {"v2", "avx2", "avx512", "avx512bf16"};

enum level level_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return LEVEL_V2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return LEVEL_AVX2;
    return __builtin_cpu_supports("avx512bf16") ? LEVEL_AVX512BF16 : LEVEL_AVX512;
#else
    return LEVEL_V2;
#endif
}

const char *level_name(enum level l)
{
    return names[l];
}

int level_parse(const char *name, enum level *out, struct plumb_error *e)
{
    for (int l = 0; l < LEVEL_COUNT; l++) {
        if (strcmp(name, names[l]) != 0)
            continue;
        if (l > (int)level_best())
            return error_set(e, PLUMB_INPUT, "instruction level '%s': this machine has only %s",
                             name, names[level_best()]);
        *out = (enum level)l;
        return PLUMB_OK;
    }
    return error_set(e, PLUMB_INPUT,
                     "instruction level '%s' is unknown: expected v2, avx2, avx512 or avx512bf16",
                     name);
}

int level_current(enum level *out, struct plumb_error *e)
{
    const char *forced = getenv("PLUMB_LEVEL");
    if (!forced || !*forced) {
        *out = level_best();
        return PLUMB_OK;
    }
    int status = level_parse(forced, out, e);
    if (status != PLUMB_OK)
        error_prefix(e, "environment variable PLUMB_LEVEL");
    return status;
}
