/*
 * fuzz_config.c - any bytes as config.json (a text that begins with '{') or as the keys of a GGUF file. What is taken must be safe
 * to compute with: sizes in range, lists as long as they are said to be, finite angles.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/config.h"
#include "model/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int truth)
{
    if (!truth)
        abort();
}

static void use(struct config *c)
{
    struct plumb_error e;
    struct rotary r = {0};
    check(c->architecture && c->n_layers > 0 && c->hidden > 0 && c->n_heads > 0 &&
          c->n_kv_heads > 0);
    check(c->n_heads % c->n_kv_heads == 0 && c->rotary_dim <= c->head_dim &&
          c->rotary_dim % 2 == 0);
    check(isfinite(c->attention_scale) && c->attention_scale > 0 && c->context > 0 &&
          c->intermediate > 0);
    for (int l = 0; l < c->n_layers; l++)
        check(config_layer_windowed(c, l) + config_layer_dense(c, l) <= 2);
    bool factors = c->scaling != SCALING_LONGROPE || (c->scaling_long && c->scaling_short);
    if (factors && rotary_create(c, c->rope_theta, ROTARY_SCALED, &r, &e) == PLUMB_OK)
        for (int i = 0; i < r.dim / 2; i++)
            check(!isnan(r.inverse_frequency[i]));
    mem_free(r.inverse_frequency);
    config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plumb_error e;
    struct config c;
    if (size > 0 && data[0] == '{') {
        struct json_document *d;
        if (json_parse((const char *)data, size, "config.json", &d, &e) != PLUMB_OK)
            return 0;
        if (config_from_json(json_root(d), "config.json", &c, &e) == PLUMB_OK)
            use(&c);
        json_close(d);
        return 0;
    }
    struct gguf *g;
    if (gguf_read(data, size, "fuzz.gguf", &g, &e) != PLUMB_OK)
        return 0;
    if (config_from_gguf(g, &c, &e) == PLUMB_OK)
        use(&c);
    gguf_close(g);
    return 0;
}
