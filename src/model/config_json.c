/*
 * config_json.c - config.json of a Hugging Face folder to struct config.
 *
 * Every number is checked against a range in which the rest of the program is safe; an option that
 * plumb does not compute is refused by its name and value. Both spellings of the rotary options are
 * read: `rope_theta` with `rope_scaling`, and `rope_parameters` (transformers 5).
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/config_private.h"

struct reader {
    struct json root;
    const char *path;
    int status;
    struct plumb_error *e;
};

/* A whole number in [low, high]; `missing` where the key is absent or null (missing < low: the key
 * is required). */
static int whole(struct reader *r, struct json from, const char *key, int64_t missing, int64_t low,
                 int64_t high)
{
    struct json v = json_get(from, key);
    int64_t x = missing;
    if (r->status != PLUMB_OK)
        return (int)low;
    if (!json_exists(v)) {
        if (missing < low)
            r->status = error_set(r->e, PLUMB_INPUT,
                                  "%s: '%s' is missing; expected a whole number from %lld to %lld",
                                  r->path, key, (long long)low, (long long)high);
    } else if (!json_integer(v, &x) || x < low || x > high) {
        r->status = error_set(
            r->e, PLUMB_INPUT, "%s: '%s' must be a whole number from %lld to %lld, found %s",
            r->path, key, (long long)low, (long long)high, json_kind_name(json_kind(v)));
        if (json_integer(v, &x))
            error_set(r->e, PLUMB_INPUT,
                      "%s: '%s' is %lld; expected a whole number from %lld to %lld", r->path, key,
                      (long long)x, (long long)low, (long long)high);
        x = low;
    }
    return (int)x;
}

static double number(struct reader *r, struct json from, const char *key, double missing,
                     double low, double high)
{
    struct json v = json_get(from, key);
    double x = missing;
    if (r->status != PLUMB_OK || !json_exists(v))
        return missing;
    if (!json_number(v, &x) || !(x >= low && x <= high)) {
        r->status =
            error_set(r->e, PLUMB_INPUT, "%s: '%s' must be a number from %g to %g, found %s (%g)",
                      r->path, key, low, high, json_kind_name(json_kind(v)), x);
        return missing;
    }
    return x;
}

static bool truth(struct reader *r, struct json from, const char *key, bool missing)
{
    struct json v = json_get(from, key);
    bool x = missing;
    if (r->status == PLUMB_OK && json_exists(v) && !json_bool(v, &x))
        r->status = error_set(r->e, PLUMB_INPUT, "%s: '%s' must be true or false, found %s",
                              r->path, key, json_kind_name(json_kind(v)));
    return x;
}

/* "" where absent. */
static const char *text(struct reader *r, struct json from, const char *key)
{
    struct json v = json_get(from, key);
    const char *s = "";
    size_t n;
    if (r->status == PLUMB_OK && json_exists(v) && !json_string(v, &s, &n))
        r->status = error_set(r->e, PLUMB_INPUT, "%s: '%s' must be a string, found %s", r->path,
                              key, json_kind_name(json_kind(v)));
    return s;
}

/* Options of sibling families that change the computation and that no row of the table has. */
static const struct {
    const char *key;
    double neutral;
} refused[] = {
    {"embedding_multiplier", 1},
    {"residual_multiplier", 1},
    {"attention_multiplier", NAN},
    {"logits_scaling", 1},
    {"scale_depth", NAN},
    {"scale_emb", 1},
    {"dim_model_base", NAN},
    {"attn_temperature_tuning", 0},
    {"kv_lora_rank", NAN},
    {"q_lora_rank", NAN},
    {"num_nextn_predict_layers", 0},
    {"pretraining_tp", NAN},
};

static void refuse_unknown_options(struct reader *r)
{
    if (json_exists(json_get(r->root, "quantization_config")))
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: 'quantization_config': quantised safetensors are not read; use "
                              "the original weights or a GGUF",
                              r->path);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0] && r->status == PLUMB_OK; i++) {
        double x;
        struct json v = json_get(r->root, refused[i].key);
        if (strcmp(refused[i].key, "pretraining_tp") == 0)
            continue; /* how the training was spread; the result is the same */
        if (json_number(v, &x) && x != refused[i].neutral)
            r->status = error_set(r->e, PLUMB_INPUT,
                                  "%s: '%s' = %g is an option that plumb does not compute", r->path,
                                  refused[i].key, x);
    }
}

static void read_activation(struct reader *r, struct config *c)
{
    const char *s = text(r, r->root, "hidden_activation");
    if (!*s)
        s = text(r, r->root, "hidden_act");
    if (!*s)
        s = text(r, r->root, "activation_function");
    if (!*s)
        s = text(r, r->root, "activation");
    if (r->status != PLUMB_OK || !*s)
        return;
    if (strcmp(s, "silu") == 0 || strcmp(s, "swish") == 0)
        c->activation = ACTIVATION_SILU;
    else if (strcmp(s, "gelu_pytorch_tanh") == 0 || strcmp(s, "gelu_new") == 0 ||
             strcmp(s, "gelu_fast") == 0)
        c->activation = ACTIVATION_GELU_TANH;
    else if (strcmp(s, "gelu") == 0)
        c->activation = ACTIVATION_GELU_ERF;
    else
        r->status =
            error_set(r->e, PLUMB_INPUT,
                      "%s: activation '%s' is unknown; plumb has silu, gelu and gelu_pytorch_tanh",
                      r->path, s);
}

static float *number_list(struct reader *r, struct json from, const char *key, int n)
{
    struct json v = json_get(from, key);
    if (r->status != PLUMB_OK)
        return NULL;
    if (json_kind(v) != JSON_ARRAY || json_size(v) != (size_t)n) {
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: rope scaling '%s' must be a list of %d numbers, found %s of %zu",
                              r->path, key, n, json_kind_name(json_kind(v)), json_size(v));
        return NULL;
    }
    float *list = mem_array((size_t)n, sizeof *list);
    if (!list) {
        r->status = error_memory(r->e, "rope factors");
        return NULL;
    }
    for (struct json_iterator i = json_each(v); json_next(&i);) {
        double x;
        if (!json_number(i.value, &x) || !(x > 0 && x < 1e9)) {
            r->status =
                error_set(r->e, PLUMB_INPUT, "%s: rope scaling '%s'[%zu] must be a positive number",
                          r->path, key, i.index);
            break;
        }
        list[i.index] = (float)x;
    }
    return list;
}

static void read_scaling(struct reader *r, struct config *c, struct json s)
{
    const char *type = text(r, s, "rope_type");
    if (!*type)
        type = text(r, s, "type");
    if (r->status != PLUMB_OK || !*type || strcmp(type, "default") == 0)
        return;
    if (strcmp(type, "mrope") == 0) {
        r->status =
            error_set(r->e, PLUMB_INPUT,
                      "%s: rope scaling 'mrope' is for images; plumb reads text models", r->path);
        return;
    }
    c->scaling_original =
        whole(r, s, "original_max_position_embeddings",
              whole(r, r->root, "original_max_position_embeddings", c->context, 1, INT32_MAX), 1,
              INT32_MAX);
    c->scaling_attention = number(r, s, "attention_factor", 0, 0, 1e6);
    if (strcmp(type, "linear") == 0 || strcmp(type, "dynamic") == 0) {
        c->scaling = *type == 'l' ? SCALING_LINEAR : SCALING_DYNAMIC;
        c->scaling_factor = number(r, s, "factor", 1, 1, 1e6);
        c->scaling_original = c->context; /* transformers takes max_position_embeddings for both */
    } else if (strcmp(type, "llama3") == 0) {
        c->scaling = SCALING_LLAMA3;
        c->scaling_factor = number(r, s, "factor", 8, 1, 1e6);
        c->scaling_low = number(r, s, "low_freq_factor", 1, 1e-6, 1e6);
        c->scaling_high = number(r, s, "high_freq_factor", 4, 1e-6, 1e6);
        if (r->status == PLUMB_OK && c->scaling_high <= c->scaling_low)
            r->status =
                error_set(r->e, PLUMB_INPUT,
                          "%s: rope scaling: high_freq_factor %g must exceed low_freq_factor %g",
                          r->path, c->scaling_high, c->scaling_low);
    } else if (strcmp(type, "yarn") == 0) {
        c->scaling = SCALING_YARN;
        c->scaling_factor = number(r, s, "factor", 0, 1, 1e6);
        if (c->scaling_factor == 0)
            c->scaling_factor = (double)c->context / c->scaling_original;
        c->scaling_beta_fast = number(r, s, "beta_fast", 32, 1e-6, 1e6);
        c->scaling_beta_slow = number(r, s, "beta_slow", 1, 1e-6, 1e6);
        c->scaling_mscale = number(r, s, "mscale", 0, 0, 1e6);
        c->scaling_mscale_all = number(r, s, "mscale_all_dim", 0, 0, 1e6);
        c->scaling_no_truncate = !truth(r, s, "truncate", true);
    } else if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0) {
        c->scaling = SCALING_LONGROPE;
        c->scaling_factor = number(r, s, "factor", 0, 1, 1e6);
        if (c->scaling_factor == 0)
            c->scaling_factor = (double)c->context / c->scaling_original;
        c->scaling_short = number_list(r, s, "short_factor", c->rotary_dim / 2);
        c->scaling_long = number_list(r, s, "long_factor", c->rotary_dim / 2);
    } else {
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: rope scaling '%s' is unknown; plumb has linear, dynamic, "
                              "llama3, yarn and longrope",
                              r->path, type);
    }
}

static void read_rope(struct reader *r, struct config *c)
{
    const struct architecture *a = c->architecture;
    struct json p = json_get(r->root, "rope_parameters"),
                scaling = json_get(r->root, "rope_scaling");
    if (json_exists(p) && json_exists(json_get(p, "full_attention"))) {
        /* transformers 5: one set for the layers with a window, one for the others */
        c->rope_theta_local =
            number(r, json_get(p, "sliding_attention"), "rope_theta", 0, 1e-3, 1e12);
        p = json_get(p, "full_attention");
    } else {
        c->rope_theta_local = number(r, r->root, "rope_local_base_freq",
                                     c->architecture->rope_theta_local, 1e-3, 1e12);
    }
    double theta = number(r, r->root, "rope_theta", 0, 1e-3, 1e12);
    if (theta == 0)
        theta = number(r, r->root, "rotary_emb_base", 10000, 1e-3, 1e12);
    c->rope_theta = number(r, p, "rope_theta", theta, 1e-3, 1e12);

    double fraction = a->rotary_fraction > 0 ? (double)a->rotary_fraction : 1;
    fraction = number(r, r->root, "partial_rotary_factor",
                      number(r, r->root, "rotary_pct", fraction, 0, 1), 0, 1);
    fraction = number(r, p, "partial_rotary_factor", fraction, 0, 1);
    c->rotary_dim = a->rope == ROPE_NONE ? 0 : (int)(c->head_dim * fraction);
    if (r->status == PLUMB_OK &&
        (c->rotary_dim % 2 != 0 || (a->rope != ROPE_NONE && c->rotary_dim == 0)))
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: %d rotated dimensions of a head of %d: expected an even number",
                              r->path, c->rotary_dim, c->head_dim);
    if (r->status == PLUMB_OK && a->rope != ROPE_NONE)
        read_scaling(r, c, json_exists(scaling) ? scaling : p);
    /* The configuration may state the context before or after scaling: the larger counts. */
    double scaled = c->scaling == SCALING_NONE ? 0 : c->scaling_factor * c->scaling_original;
    if (scaled > c->context && scaled < INT32_MAX)
        c->context = (int)scaled;
}

/* `layer_types` (transformers 4.53 and later), or the older rules of each family. */
static void read_windows(struct reader *r, struct config *c)
{
    struct json types = json_get(r->root, "layer_types");
    struct json given = json_get(r->root, "sliding_window");
    c->window = json_kind(given) == JSON_ABSENT
                    ? c->architecture->default_window
                    : whole(r, r->root, "sliding_window", 0, 0, INT32_MAX);
    bool has_switch = json_exists(json_get(r->root, "use_sliding_window"));
    if (has_switch && !truth(r, r->root, "use_sliding_window", false))
        c->window = 0;
    if (r->status != PLUMB_OK || c->window == 0)
        return;
    int pattern = whole(r, r->root, "sliding_window_pattern",
                        whole(r, r->root, "_sliding_window_pattern", 0, 0, 4096), 0, 4096);
    int first = has_switch ? whole(r, r->root, "max_window_layers", 28, 0, INT32_MAX) : 0;
    if (pattern == 0)
        pattern = c->architecture->window_pattern;
    c->windowed = mem_alloc((size_t)c->n_layers);
    if (!c->windowed) {
        r->status = error_memory(r->e, "the layers' windows");
        return;
    }
    for (int l = 0; l < c->n_layers; l++)
        c->windowed[l] = pattern > 1 ? (l + 1) % pattern != 0 : l >= first;
    if (!json_exists(types))
        return;
    if (json_kind(types) != JSON_ARRAY || json_size(types) != (size_t)c->n_layers) {
        r->status = error_set(r->e, PLUMB_INPUT, "%s: 'layer_types' must list %d layers, found %zu",
                              r->path, c->n_layers, json_size(types));
        return;
    }
    for (struct json_iterator i = json_each(types); json_next(&i);) {
        c->windowed[i.index] = json_is_string(i.value, "sliding_attention");
        const char *s = "";
        size_t n;
        json_string(i.value, &s, &n);
        if (!c->windowed[i.index] && strcmp(s, "full_attention") != 0) {
            r->status = error_set(r->e, PLUMB_INPUT,
                                  "%s: layer_types[%zu] = '%s' is unknown; plumb has "
                                  "full_attention and sliding_attention",
                                  r->path, i.index, s);
            return;
        }
    }
}

/* Layers of a mixture that have one plain MLP: those listed, and all but every n-th. */
static void read_dense_layers(struct reader *r, struct config *c)
{
    struct json listed = json_get(r->root, "mlp_only_layers");
    const int step = whole(r, r->root, "decoder_sparse_step", 1, 1, 4096);
    if (r->status != PLUMB_OK || (step == 1 && json_size(listed) == 0))
        return;
    c->dense = mem_zalloc((size_t)c->n_layers, 1);
    if (!c->dense) {
        r->status = error_memory(r->e, "the dense layers");
        return;
    }
    for (int l = 0; l < c->n_layers; l++)
        c->dense[l] = (l + 1) % step != 0;
    for (struct json_iterator i = json_each(listed); json_next(&i);) {
        int64_t l;
        if (!json_integer(i.value, &l) || l < 0 || l >= c->n_layers) {
            r->status = error_set(r->e, PLUMB_INPUT,
                                  "%s: mlp_only_layers[%zu] must be a layer from 0 to %d", r->path,
                                  i.index, c->n_layers - 1);
            return;
        }
        c->dense[l] = 1;
    }
}

static void read_experts(struct reader *r, struct config *c)
{
    if (c->architecture->mlp != MLP_EXPERTS)
        return;
    int n = whole(r, r->root, "num_local_experts", 0, 0, 4096);
    c->n_experts = whole(r, r->root, "num_experts", n, 1, 4096);
    c->n_experts_used = whole(r, r->root, "num_experts_per_tok", -1, 1, c->n_experts);
    c->expert_intermediate =
        whole(r, r->root, "moe_intermediate_size", c->intermediate, 1, 1 << 24);
    c->normalise_experts = truth(r, r->root, "norm_topk_prob", c->architecture->experts_normalised);
    if (r->status != PLUMB_OK)
        return;
    read_dense_layers(r, c);
}

/* Options of one family that change its row of the table, or that it has and plumb has not. */
static void read_variants(struct reader *r, struct config *c)
{
    const struct architecture *a = c->architecture;
    struct json parallel = json_get(r->root, "use_parallel_residual");
    bool is_parallel = truth(r, r->root, "use_parallel_residual", a->block != BLOCK_SEQUENTIAL);
    if (json_exists(parallel) && !is_parallel)
        c->block = BLOCK_SEQUENTIAL;
    else if (json_exists(parallel) && a->parallel_is_shared)
        c->block = BLOCK_PARALLEL_SHARED;
    if (truth(r, r->root, "use_qk_norm", false) || truth(r, r->root, "qk_layernorm", false)) {
        c->qk_norm = QK_NORM_HEADS;
        if (!a->qk_norm_optional && r->status == PLUMB_OK)
            r->status = error_set(r->e, PLUMB_INPUT,
                                  "%s: norms of queries and keys are an option of this family that "
                                  "plumb does not compute",
                                  r->path);
    }
    if (a->scale_embedding)
        c->embedding_scale = sqrtf((float)c->hidden);
    static const struct {
        const char *key;
        bool missing, computed; /* the value that plumb computes */
    } fixed[] = {{"alibi", false, false},
                 {"new_decoder_architecture", false, false},
                 {"parallel_attn", true, true},
                 {"scale_attn_by_inverse_layer_idx", false, false},
                 {"add_cross_attention", false, false},
                 {"is_encoder_decoder", false, false},
                 {"use_bidirectional_attention", false, false}};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (truth(r, r->root, fixed[i].key, fixed[i].missing) != fixed[i].computed &&
            r->status == PLUMB_OK)
            r->status = error_set(r->e, PLUMB_INPUT,
                                  "%s: '%s' = %s is an option that plumb does not compute", r->path,
                                  fixed[i].key, fixed[i].computed ? "false" : "true");
}

static void find_architecture(struct reader *r, struct config *c)
{
    struct json list = json_get(r->root, "architectures");
    const char *name = "";
    size_t n;
    if (json_kind(list) != JSON_ARRAY || json_size(list) != 1 ||
        !json_string(json_at(list, 0), &name, &n)) {
        r->status = error_set(r->e, PLUMB_INPUT,
                              "%s: 'architectures' must be a list of one name, found %s of %zu",
                              r->path, json_kind_name(json_kind(list)), json_size(list));
        return;
    }
    c->architecture = architecture_by_hf(name);
    if (!c->architecture)
        r->status = error_set(
            r->e, PLUMB_INPUT,
            "%s: architecture '%s' is not among plumb's families; see plumb inspect --families",
            r->path, name);
}

/* The first of several spellings of a required size. */
static int size_of(struct reader *r, const char *key, const char *older, int64_t high)
{
    return whole(r, r->root, older && json_exists(json_get(r->root, older)) ? older : key, 0, 1,
                 high);
}

static void read_sizes(struct reader *r, struct config *c)
{
    c->n_layers = size_of(r, "num_hidden_layers", "n_layer", 4096);
    c->hidden = size_of(r, "hidden_size", "n_embd", 1 << 20);
    c->n_heads = size_of(r, "num_attention_heads", "n_head", 1 << 16);
    c->vocabulary = size_of(r, "vocab_size", NULL, 1 << 26);
    c->context = whole(r, r->root,
                       json_exists(json_get(r->root, "n_positions")) ? "n_positions"
                                                                     : "max_position_embeddings",
                       2048, 1, INT32_MAX);
    c->n_kv_heads = whole(r, r->root, "num_key_value_heads", c->n_heads, 1, 1 << 16);
    if (truth(r, r->root, "multi_query", false))
        c->n_kv_heads = 1;
    c->head_dim = whole(r, r->root, "head_dim", r->status == PLUMB_OK ? c->hidden / c->n_heads : 1,
                        1, 1 << 16);
    c->intermediate =
        whole(r, r->root,
              json_exists(json_get(r->root, "n_inner"))           ? "n_inner"
              : json_exists(json_get(r->root, "ffn_hidden_size")) ? "ffn_hidden_size"
                                                                  : "intermediate_size",
              c->architecture->mlp == MLP_PLAIN ? 4 * (int64_t)c->hidden : 0, 1, 1 << 24);
}

int config_from_json(struct json root, const char *path, struct config *c, struct plumb_error *e)
{
    struct reader reader = {.root = root, .path = path, .e = e}, *r = &reader;
    config_defaults(c);
    c->gguf_or_hf = "config.json";
    if (json_kind(root) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT, "%s: expected a JSON object, found %s", path,
                         json_kind_name(json_kind(root)));
    find_architecture(r, c);
    if (r->status != PLUMB_OK)
        return r->status;
    config_from_row(c);
    refuse_unknown_options(r);
    read_sizes(r, c);
    read_activation(r, c);
    static const char *const eps_names[] = {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon",
                                            "norm_epsilon"};
    for (size_t i = 0; i < sizeof eps_names / sizeof eps_names[0]; i++)
        c->norm_eps = (float)number(r, root, eps_names[i], (double)c->norm_eps, 0, 1);
    c->tied = truth(r, root, "tie_word_embeddings", c->architecture->tied_by_default);
    c->attention_soft_cap = (float)number(r, root, "attn_logit_softcapping", 0, 0, 1e6);
    c->final_soft_cap = (float)number(r, root, "final_logit_softcapping", 0, 0, 1e6);
    c->logit_scale = (float)number(r, root, "logit_scale", 1, 1e-6, 1e6);
    double scalar = number(r, root, "query_pre_attn_scalar", c->head_dim, 1e-6, 1e6);
    if (r->status == PLUMB_OK)
        c->attention_scale = (float)(1 / sqrt(scalar));
    if (r->status == PLUMB_OK)
        read_rope(r, c);
    if (r->status == PLUMB_OK)
        read_windows(r, c);
    if (r->status == PLUMB_OK)
        read_experts(r, c);
    if (r->status == PLUMB_OK)
        read_variants(r, c);
    if (r->status == PLUMB_OK)
        r->status = config_check(c, path, e);
    if (r->status != PLUMB_OK)
        config_free(c);
    return r->status;
}
