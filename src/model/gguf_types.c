/*
 * gguf_types.c - the types of values and of tensors in GGUF files, and numbers out of their bytes.
 *
 * Source: ggml docs/gguf.md and ggml.h (the type numbers); facts only.
 */
#include "model/gguf_file.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t bytes;
} value_types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},     [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},     [GGUF_BOOL] = {"bool", 1}, [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

size_t gguf_type_bytes(enum gguf_type type)
{
    return value_types[type].bytes;
}

const char *gguf_type_name(enum gguf_type type)
{
    return value_types[type].name;
}

/* ggml's tensor types by number; those that plumb does not read are named for the message. */
static const struct {
    const char *name;
    bool supported;
    enum dtype type;
} tensor_types[] = {
    [0] = {"F32", true, DTYPE_F32},
    [1] = {"F16", true, DTYPE_F16},
    [2] = {"Q4_0", true, DTYPE_Q4_0},
    [3] = {"Q4_1", true, DTYPE_Q4_1},
    [4] = {.name = "Q4_2, removed from ggml"},
    [5] = {.name = "Q4_3, removed from ggml"},
    [6] = {"Q5_0", true, DTYPE_Q5_0},
    [7] = {"Q5_1", true, DTYPE_Q5_1},
    [8] = {"Q8_0", true, DTYPE_Q8_0},
    [9] = {.name = "Q8_1"},
    [10] = {"Q2_K", true, DTYPE_Q2_K},
    [11] = {"Q3_K", true, DTYPE_Q3_K},
    [12] = {"Q4_K", true, DTYPE_Q4_K},
    [13] = {"Q5_K", true, DTYPE_Q5_K},
    [14] = {"Q6_K", true, DTYPE_Q6_K},
    [15] = {.name = "Q8_K"},
    [16] = {.name = "IQ2_XXS"},
    [17] = {.name = "IQ2_XS"},
    [18] = {.name = "IQ3_XXS"},
    [19] = {.name = "IQ1_S"},
    [20] = {.name = "IQ4_NL"},
    [21] = {.name = "IQ3_S"},
    [22] = {.name = "IQ2_S"},
    [23] = {.name = "IQ4_XS"},
    [24] = {"I8", true, DTYPE_I8},
    [25] = {"I16", true, DTYPE_I16},
    [26] = {"I32", true, DTYPE_I32},
    [27] = {"I64", true, DTYPE_I64},
    [28] = {"F64", true, DTYPE_F64},
    [29] = {.name = "IQ1_M"},
    [30] = {"BF16", true, DTYPE_BF16},
    [31] = {.name = "Q4_0_4_4, removed from ggml"},
    [32] = {.name = "Q4_0_4_8, removed from ggml"},
    [33] = {.name = "Q4_0_8_8, removed from ggml"},
    [34] = {.name = "TQ1_0"},
    [35] = {.name = "TQ2_0"},
    [36] = {.name = "IQ4_NL_4_4, removed from ggml"},
    [37] = {.name = "IQ4_NL_4_8, removed from ggml"},
    [38] = {.name = "IQ4_NL_8_8, removed from ggml"},
    [39] = {.name = "MXFP4"},
    [40] = {.name = "NVFP4"},
    [41] = {.name = "Q1_0"},
    [42] = {.name = "Q2_0"},
};

const char *gguf_tensor_type(uint32_t number, enum dtype *type, bool *supported)
{
    if (number >= sizeof tensor_types / sizeof *tensor_types)
        return NULL;
    *supported = tensor_types[number].supported;
    *type = tensor_types[number].type;
    return tensor_types[number].name;
}

bool gguf_tensor_type_number(enum dtype type, uint32_t *number)
{
    for (uint32_t i = 0; i < sizeof tensor_types / sizeof *tensor_types; i++)
        if (tensor_types[i].supported && tensor_types[i].type == type) {
            *number = i;
            return true;
        }
    return false;
}

uint64_t gguf_unsigned_at(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

bool gguf_integer_at(enum gguf_type type, const uint8_t *p, int64_t *out)
{
    const size_t bytes = gguf_type_bytes(type);
    const uint64_t v = gguf_unsigned_at(p, bytes);
    switch (type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64:
        if (v > INT64_MAX)
            return false;
        *out = (int64_t)v;
        return true;
    case GGUF_I8: /* flipping the sign bit and taking it off again extends it */
        *out = (int64_t)(v ^ 0x80) - 0x80;
        return true;
    case GGUF_I16:
        *out = (int64_t)(v ^ 0x8000) - 0x8000;
        return true;
    case GGUF_I32:
        *out = (int64_t)(v ^ 0x80000000) - 0x80000000;
        return true;
    case GGUF_I64:
        *out = (int64_t)v;
        return true;
    default:
        return false;
    }
}

bool gguf_number_at(enum gguf_type type, const uint8_t *p, double *out)
{
    if (type == GGUF_F32) {
        float f;
        memcpy(&f, p, sizeof f);
        *out = (double)f;
        return true;
    }
    if (type == GGUF_F64) {
        memcpy(out, p, sizeof *out);
        return true;
    }
    if (type == GGUF_U64) {
        *out = (double)gguf_unsigned_at(p, 8);
        return true;
    }
    int64_t v;
    if (!gguf_integer_at(type, p, &v))
        return false;
    *out = (double)v;
    return true;
}
