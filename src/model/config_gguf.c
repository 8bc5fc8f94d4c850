/*
 * config_gguf.c - a GGUF file's keys ("ARCH.block_count" and so on; ggml docs/gguf.md) to struct
 * config.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/config_private.h"

struct reader {
    const struct gguf *g;
    const char *path;
    char architecture[64];
    int status;
    struct plumb_error *e;
};

static const char *full_key(const struct reader *r, const char *key, char out[128])
{
    snprintf(out, 128, "%s.%s", r->architecture, key);
    return out;
}

/* missing < low: the key is required. */
static int whole(struct reader *r, const char *key, int64_t missing, int64_t low, int64_t high)
{
    char name[128];
    int64_t x = missing;
    if (r->status != PLUMB_OK)
        return (int)low;
    full_key(r, key, name);
    bool found = gguf_get_integer(r->g, name, &x);
    if (!found && gguf_has(r->g, name)) {
        struct gguf_array
            list; /* per-layer lists (feed_forward_length and such): all alike, or refused */
        if (gguf_get_array(r->g, name, &list) && list.count > 0 &&
            gguf_array_integer(&list, 0, &x)) {
            found = true;
            for (size_t i = 1; i < list.count; i++) {
                int64_t y = 0;
                if (!gguf_array_integer(&list, i, &y) || y != x)
                    r->status =
                        error_set(r->e, PLUMB_INPUT,
                                  "%s: '%s' differs between layers, which plumb does not compute",
                                  r->path, name);
            }
        }
    }
    if (r->status == PLUMB_OK && !found && (missing < low || gguf_has(r->g, name)))
        r->status = error_set(r->e, PLUMB_INPUT, "%s: key '%s' is missing or not a whole number",
                              r->path, name);
    else if (r->status == PLUMB_OK && found && (x < low || x > high))
        r->status = error_set(r->e, PLUMB_INPUT, "%s: key '%s' is %lld; expected %lld to %lld",
                              r->path, name, (long long)x, (long long)low, (long long)high);
    return r->status == PLUMB_OK ? (int)x : (int)low;
}

static double number(struct reader *r, const char *key, double missing, double low, double high)
{
    char name[128];
    double x = missing;
    if (r->status != PLUMB_OK || !gguf_has(r->g, full_key(r, key, name)))
        return missing;
    if (!gguf_get_number(r->g, name, &x) || !(x >= low && x <= high)) {
        r->status =
            error_set(r->e, PLUMB_INPUT, "%s: key '%s' must be a number from %g to %g (found %g)",
                      r->path, name, low, high, x);
        return missing;
    }
    return x;
}

static bool is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

static void read_scaling(struct reader *r, struct config *c)
{
    char name[128];
    const char *s;
    size_t n;
    double factor =
        number(r, "rope.scaling.factor", number(r, "rope.scale_linear", 0, 0, 1e6), 0, 1e6);
    c->scaling_original =
        whole(r, "rope.scaling.original_context_length", c->context, 1, INT32_MAX);
    c->scaling_attention = number(r, "rope.scaling.attn_factor", 0, 0, 1e6);
    if (r->status != PLUMB_OK ||
        !gguf_get_string(r->g, full_key(r, "rope.scaling.type", name), &s, &n)) {
        if (factor > 1)
            c->scaling = SCALING_LINEAR;
        c->scaling_factor = factor;
        return;
    }
    c->scaling_factor = factor > 0 ? factor : 1;
    if (is(s, n, "linear"))
        c->scaling = SCALING_LINEAR;
    else if (is(s, n, "yarn")) {
        c->scaling = SCALING_YARN;
        c->scaling_beta_fast = number(r, "rope.scaling.yarn_beta_fast", 32, 1e-6, 1e6);
        c->scaling_beta_slow = number(r, "rope.scaling.yarn_beta_slow", 1, 1e-6, 1e6);
    } else if (is(s, n, "longrope"))
        c->scaling = SCALING_LONGROPE; /* factors are tensors; read with the weights */
    else if (!is(s, n, "none"))
        r->status =
            error_set(r->e, PLUMB_INPUT,
                      "%s: key '%s' = '%.*s' is unknown; plumb has none, linear, yarn and longrope",
                      r->path, name, (int)(n > 40 ? 40 : n), s);
}

static void read_windows(struct reader *r, struct config *c)
{
    char name[128];
    struct gguf_array list;
    c->window = whole(r, "attention.sliding_window", 0, 0, INT32_MAX);
    if (r->status != PLUMB_OK || c->window == 0)
        return;
    c->windowed = mem_alloc((size_t)c->n_layers);
    if (!c->windowed) {
        r->status = error_memory(r->e, "the layers' windows");
        return;
    }
    int pattern = c->architecture->window_pattern;
    bool listed =
        gguf_get_array(r->g, full_key(r, "attention.sliding_window_pattern", name), &list);
    if (listed && list.count != (size_t)c->n_layers) {
        r->status = error_set(r->e, PLUMB_INPUT, "%s: key '%s' lists %zu layers of %d", r->path,
                              name, list.count, c->n_layers);
        return;
    }
    for (int l = 0; l < c->n_layers; l++)
        c->windowed[l] = listed ? list.data[l] != 0 : pattern < 2 || (l + 1) % pattern != 0;
}

int config_from_gguf(const struct gguf *g, struct config *c, struct plumb_error *e)
{
    struct reader reader = {.g = g, .path = gguf_path(g), .e = e}, *r = &reader;
    char key[128];
    const char *s;
    size_t n;
    bool parallel;
    config_defaults(c);
    c->gguf_or_hf = "GGUF";
    if (!gguf_get_string(g, "general.architecture", &s, &n) || n == 0 ||
        n >= sizeof r->architecture)
        return error_set(e, PLUMB_INPUT,
                         "%s: key 'general.architecture' is missing or not a short string",
                         r->path);
    c->architecture = architecture_by_gguf(s, n);
    if (!c->architecture)
        return error_set(
            e, PLUMB_INPUT,
            "%s: architecture '%.*s' is not among plumb's families; see plumb inspect --families",
            r->path, (int)n, s);
    memcpy(r->architecture, s, n);
    config_from_row(c);
    c->n_layers = whole(r, "block_count", 0, 1, 4096);
    c->hidden = whole(r, "embedding_length", 0, 1, 1 << 20);
    c->n_heads = whole(r, "attention.head_count", 0, 1, 1 << 16);
    c->n_kv_heads = whole(r, "attention.head_count_kv", c->n_heads, 1, 1 << 16);
    c->context = whole(r, "context_length", 2048, 1, INT32_MAX);
    c->intermediate =
        whole(r, "feed_forward_length", c->architecture->mlp == MLP_EXPERTS ? 1 : 0, 1, 1 << 24);
    if (r->status == PLUMB_OK)
        c->head_dim = whole(r, "attention.key_length", c->hidden / c->n_heads, 1, 1 << 16);
    if (r->status == PLUMB_OK &&
        whole(r, "attention.value_length", c->head_dim, 1, 1 << 16) != c->head_dim)
        r->status =
            error_set(e, PLUMB_INPUT,
                      "%s: heads whose keys and values differ in length are not computed", r->path);
    c->norm_eps =
        (float)number(r, "attention.layer_norm_rms_epsilon",
                      number(r, "attention.layer_norm_epsilon", (double)c->norm_eps, 0, 1), 0, 1);
    c->rope_theta = number(r, "rope.freq_base", 10000, 1e-3, 1e12);
    c->rope_theta_local =
        number(r, "rope.freq_base_swa", c->architecture->rope_theta_local, 1e-3, 1e12);
    c->rotary_dim = c->architecture->rope == ROPE_NONE
                        ? 0
                        : whole(r, "rope.dimension_count", c->head_dim, 2, 1 << 16);
    c->attention_soft_cap = (float)number(r, "attn_logit_softcapping", 0, 0, 1e6);
    c->final_soft_cap = (float)number(r, "final_logit_softcapping", 0, 0, 1e6);
    c->logit_scale = (float)number(r, "logit_scale", 1, 1e-6, 1e6);
    if (c->architecture->scale_embedding && r->status == PLUMB_OK)
        c->embedding_scale = sqrtf((float)c->hidden);
    if (r->status == PLUMB_OK) {
        /* The scalar of config.json has no key; llama.cpp, too, knows the one size that differs by its layers. */
        bool wide = c->architecture->gguf_wide_layers == c->n_layers;
        double width = wide ? (double)c->hidden / c->n_heads : (double)c->head_dim;
        c->attention_scale = (float)number(r, "attention.scale", 1 / sqrt(width), 1e-9, 1e6);
    }
    if (r->status == PLUMB_OK && gguf_has(g, full_key(r, "expert_count", key)) &&
        whole(r, "expert_count", 0, 0, 4096) > 0) {
        c->n_experts = whole(r, "expert_count", 0, 1, 4096);
        c->n_experts_used = whole(r, "expert_used_count", 0, 1, 4096);
        c->expert_intermediate =
            whole(r, "expert_feed_forward_length", c->intermediate, 1, 1 << 24);
        c->normalise_experts = true;
    }
    if (r->status == PLUMB_OK && c->architecture->rope != ROPE_NONE)
        read_scaling(r, c);
    if (r->status == PLUMB_OK)
        read_windows(r, c);
    if (r->status == PLUMB_OK &&
        gguf_get_bool(g, full_key(r, "use_parallel_residual", key), &parallel)) {
        if (!parallel)
            c->block = BLOCK_SEQUENTIAL;
        else if (c->architecture->parallel_is_shared)
            c->block = BLOCK_PARALLEL_SHARED;
    }
    /* The vocabulary is the number of rows of the embedding; model.c fills and checks it. */
    c->vocabulary = 1;
    if (r->status == PLUMB_OK)
        r->status = config_check(c, r->path, e);
    if (r->status != PLUMB_OK)
        config_free(c);
    return r->status;
}
