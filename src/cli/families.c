/*
 * families.c - `plumb inspect --families`: the table of architectures in words. The README's list is made from it
 * (tools/readme-families).
 */
#include <stdio.h>

#include "base/buffer.h"
#include "cli/inspect.h"
#include "model/config.h"

static void add(struct buffer *b, const char *words)
{
    buffer_printf(b, "%s%s", b->size ? ", " : "", words);
}

static void add_attention(struct buffer *b, const struct architecture *a)
{
    static const char *const qk_norms[] = {
        [QK_NORM_HEAD] = "query-key norm for each head",
        [QK_NORM_HEADS] = "query-key norm with weights for each head",
        [QK_NORM_FULL] = "query-key norm over all heads",
    };
    if (a->qk_norm_optional)
        add(b, "query-key norm where the model has it");
    else if (a->qk_norm != QK_NORM_NONE)
        add(b, qk_norms[a->qk_norm]);
    if (a->rope == ROPE_NONE)
        add(b, "learned positions");
    else if (a->rope == ROPE_INTERLEAVED)
        add(b, "rotary positions, interleaved");
    else
        add(b, a->rotary_fraction > 0 ? "rotary positions on part of a head" : "rotary positions");
    if (a->rope_theta_local > 0)
        add(b, "another rotary base under a window");
    if (a->default_window > 0)
        add(b, "sliding window");
    if (a->window_pattern > 0)
        buffer_printf(b, " on all but every %d%s layer", a->window_pattern,
                      a->window_pattern == 2 ? "nd" : "th");
}

/* What tells a family from others, from its row alone. */
static void add_features(struct buffer *b, const struct architecture *a)
{
    static const char *const places[] = {
        [NORM_PRE] = "", [NORM_POST] = " behind each branch", [NORM_BOTH] = " before and behind"};
    static const char *const blocks[] = {[BLOCK_SEQUENTIAL] = NULL,
                                         [BLOCK_PARALLEL] = "parallel residual",
                                         [BLOCK_PARALLEL_SHARED] =
                                             "parallel residual behind one norm"};
    static const char *const mlps[] = {[MLP_GATED] = "gated MLP",
                                       [MLP_GATED_FUSED] = "gated MLP",
                                       [MLP_PLAIN] = "plain MLP",
                                       [MLP_EXPERTS] = "mixture of experts"};
    buffer_printf(b, "%s%s", a->norm == NORM_RMS ? "RMS norm" : "layer norm",
                  places[a->norm_place]);
    if (blocks[a->block])
        add(b, blocks[a->block]);
    add_attention(b, a);
    add(b, mlps[a->mlp]);
    if (a->qkv != QKV_SEPARATE)
        add(b, a->mlp == MLP_GATED_FUSED ? "fused weights" : "fused query, key and value");
    if (a->scale_embedding)
        add(b, "scaled embedding");
    if (a->tied_by_default)
        add(b, "tied unembedding");
}

static void write_family(struct result *r, const struct architecture *a, const char *features)
{
    json_write_object(&r->json);
    result_text(r, "name", a->name);
    json_write_key(&r->json, "config_json");
    json_write_array(&r->json);
    for (int i = 0; i < 3 && a->hf[i]; i++)
        json_write_string(&r->json, a->hf[i]);
    json_write_end(&r->json, ']');
    result_text(r, "gguf", a->gguf);
    result_text(r, "features", features);
    json_write_end(&r->json, '}');
}

static void print_family(const struct architecture *a, const char *features)
{
    printf("%s%s%s\n    config.json: ", style_on(stdout, STYLE_BOLD), a->name, style_off(stdout));
    for (int i = 0; i < 3 && a->hf[i]; i++)
        printf("%s%s", i ? ", " : "", a->hf[i]);
    if (a->gguf)
        printf("    GGUF: %s", a->gguf);
    fputs("\n    ", stdout);
    options_wrap(features, 4, 4, stdout);
}

int inspect_families(struct result *json)
{
    struct buffer features = BUFFER_EMPTY;
    const struct architecture *a;
    bool failed = false;
    if (json) {
        json_write_object(&json->json);
        json_write_key(&json->json, "families");
        json_write_array(&json->json);
    }
    for (int i = 0; (a = architecture_at(i)); i++) {
        buffer_clear(&features);
        add_features(&features, a);
        failed |= features.failed;
        if (json)
            write_family(json, a, buffer_string(&features));
        else
            print_family(a, buffer_string(&features));
    }
    buffer_free(&features);
    if (!json)
        return failed ? PLUMB_MACHINE : PLUMB_OK;
    json_write_end(&json->json, ']');
    json_write_end(&json->json, '}');
    return failed ? PLUMB_MACHINE : result_print(json);
}
