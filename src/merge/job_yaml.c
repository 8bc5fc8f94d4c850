/*
 * job_yaml.c - mergekit's YAML (0.1.4), read with libyaml: the fields that plumb gives a meaning to, and no other.
 *
 * Known: merge_method, base_model, dtype, out_dtype, models or one slice over all layers, parameters (t, weight, density,
 * lambda, normalize, rescale, int8_mask, nuslerp_flatten), tokenizer_source, tokenizer.source, chat_template (auto). A
 * parameter is a number, a list along the depth, or {filter, value}, or a list of those. One near a model comes before that of
 * the slice, and that before the global one. What a method gives no meaning to is refused. Table: docs/merging.md.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/memory.h"
#include "merge/job.h"

enum { MODELS_MOST = 64, VALUES_MOST = 512 };

struct reading {
    yaml_document_t document;
    const char *path;
    struct merge_job *job;
    const yaml_node_t
        *model_parameters[MODELS_MOST + 1]; /* of each listed model, then of each merged one */
    const char *models[MODELS_MOST];
    int n_models;
    const char *base, *tokenizer;
    const yaml_node_t *parameters, *slice_parameters; /* global; of the slice */
    bool out_type;                                    /* out_dtype has been read */
    struct plumb_error *e;
};

static int bad(const struct reading *r, const yaml_node_t *node, const char *what, const char *name)
{
    return error_set(r->e, PLUMB_INPUT, "%s:%zu: %s%s%s", r->path, node->start_mark.line + 1, what,
                     *name ? ": " : "", name);
}

static yaml_node_t *node_at(struct reading *r, int index)
{
    return yaml_document_get_node(&r->document, index);
}

static const char *scalar(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static bool number(const yaml_node_t *node, double *out)
{
    const char *text = scalar(node);
    char *end;
    if (!text || !*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false; /* no "nan", "inf", "0x10" */
    *out = strtod(text, &end);
    return *end == '\0';
}

/* true and false as YAML 1.1 and Python people write them. */
static bool truth(const yaml_node_t *node, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "on", "1", "1.0"},
                             *const no[] = {"false", "False", "FALSE", "no", "off", "0", "0.0"};
    const char *text = scalar(node);
    for (size_t i = 0; text && i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* ---- parameters ---- */

/* A number or a list of numbers as one rule. */
static int read_rule(struct reading *r, const yaml_node_t *node, const char *filter,
                     struct merge_value *v)
{
    double values[VALUES_MOST];
    size_t n = 0;
    if (number(node, values))
        return merge_value_add(r->job->arena, v, filter, values, 1, r->e);
    if (node->type != YAML_SEQUENCE_NODE)
        return bad(r, node, "expected a number, a list of numbers, or a list of {filter, value}",
                   scalar(node) ? scalar(node) : "");
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top; i++) {
        const yaml_node_t *x = node_at(r, *i);
        if (n == VALUES_MOST || !number(x, &values[n++]))
            return bad(r, x, "expected a number", scalar(x) ? scalar(x) : "");
    }
    return n ? merge_value_add(r->job->arena, v, filter, values, n, r->e)
             : bad(r, node, "an empty list", "");
}

/* One {filter, value}. */
static int read_filter(struct reading *r, const yaml_node_t *node, struct merge_value *v)
{
    const char *filter = NULL;
    const yaml_node_t *value = NULL;
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(r, p->key), *x = node_at(r, p->value);
        const char *name = scalar(key);
        if (name && strcmp(name, "filter") == 0 && scalar(x))
            filter = scalar(x);
        else if (name && strcmp(name, "value") == 0)
            value = x;
        else
            return bad(r, key, "unknown field beside a filter", name ? name : "");
    }
    return value ? read_rule(r, value, filter, v) : bad(r, node, "a filter without a value", "");
}

static int read_value(struct reading *r, const yaml_node_t *node, struct merge_value *v)
{
    if (node->type == YAML_MAPPING_NODE)
        return read_filter(r, node, v);
    const bool list = node->type == YAML_SEQUENCE_NODE &&
                      node->data.sequence.items.start < node->data.sequence.items.top;
    if (!list || node_at(r, *node->data.sequence.items.start)->type != YAML_MAPPING_NODE)
        return read_rule(r, node, NULL, v);
    int status = PLUMB_OK;
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top && status == PLUMB_OK; i++) {
        const yaml_node_t *x = node_at(r, *i);
        status = x->type == YAML_MAPPING_NODE ? read_filter(r, x, v)
                                              : bad(r, x, "expected {filter, value}", "");
    }
    return status;
}

/* A parameter that would change nothing is a mistake of the writer's: better told than passed over. */
static bool means_something(enum merge_method m, const char *name)
{
    const bool slerp = m == MERGE_SLERP, dare = m == MERGE_DARE_LINEAR || m == MERGE_DARE_TIES;
    if (strcmp(name, "t") == 0)
        return slerp;
    if (strcmp(name, "weight") == 0)
        return !slerp;
    if (strcmp(name, "lambda") == 0)
        return merge_needs_base(m);
    if (strcmp(name, "normalize") == 0)
        return !slerp && m != MERGE_NUSLERP;
    if (strcmp(name, "density") == 0)
        return m == MERGE_TIES || dare ||
               m == MERGE_TASK; /* which mergekit reads and does not use */
    return strcmp(name, "rescale") != 0 || dare;
}

/* The global parameters, or those of model i (i >= 0). */
static int read_parameters(struct reading *r, const yaml_node_t *node, int model)
{
    struct merge_recipe *recipe = &r->job->recipe;
    if (node->type != YAML_MAPPING_NODE)
        return bad(r, node, "parameters must be a mapping", "");
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
         p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(r, p->key), *x = node_at(r, p->value);
        const char *name = scalar(key) ? scalar(key) : "";
        struct merge_value *each =
            strcmp(name, "weight") == 0    ? (struct merge_value *)(uintptr_t)recipe->weight
            : strcmp(name, "density") == 0 ? (struct merge_value *)(uintptr_t)recipe->density
                                           : NULL;
        int status = PLUMB_OK;
        bool yes = false;
        if (!means_something(recipe->method, name))
            return bad(r, key, "this method knows no parameter", name);
        if (each && model >= 0) {
            status = read_value(r, x, &each[model]);
        } else if (each) { /* behind what stands near the models */
            for (int i = 0; i < recipe->n_inputs && status == PLUMB_OK; i++)
                status = read_value(r, x, &each[i]);
        } else if (model < 0 && strcmp(name, "t") == 0) {
            status = read_value(r, x, &recipe->t);
        } else if (model < 0 && strcmp(name, "lambda") == 0) {
            status = read_value(r, x, &recipe->lambda);
        } else if (model < 0 && (strcmp(name, "normalize") == 0 || strcmp(name, "rescale") == 0)) {
            if (!truth(x, &yes))
                return bad(r, x, "expected true or false for", name);
            int *flag = name[0] == 'n' ? &recipe->normalise : &recipe->rescale;
            *flag = *flag < 0 ? yes : *flag; /* the slice's was read before the global one */
        } else if (strcmp(name, "int8_mask") == 0 ||
                   (strcmp(name, "nuslerp_flatten") == 0 && truth(x, &yes) && yes)) {
            continue; /* how mergekit holds its masks, and its own default: the result is the same */
        } else {
            return bad(r, key, "unknown parameter", name);
        }
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

/* ---- the document ---- */

/* {model: PATH, parameters: {...}, layer_range: [a, b]} */
static int read_layer_range(struct reading *r, const yaml_node_t *x)
{
    double first = 0, end = 0;
    const yaml_node_item_t *i = x->data.sequence.items.start;
    if (x->type != YAML_SEQUENCE_NODE || x->data.sequence.items.top - i != 2 ||
        !number(node_at(r, i[0]), &first) || !number(node_at(r, i[1]), &end) || first != 0 ||
        !(end >= 1 && end <= 100000) || end != (double)(int)end)
        return bad(r, x, "expected layer_range: [0, LAYERS]; plumb merges whole models", "");
    if (r->job->recipe.layers > 0 && r->job->recipe.layers != (int)end)
        return bad(r, x, "layer ranges of different lengths; plumb merges whole models", "");
    r->job->recipe.layers = (int)end; /* the plan compares it with the models */
    return PLUMB_OK;
}

static int read_model(struct reading *r, const yaml_node_t *node, bool in_slice)
{
    const char *path = scalar(node);
    const yaml_node_t *parameters = NULL;
    if (!path && node->type != YAML_MAPPING_NODE)
        return bad(r, node, "expected a model", "");
    for (const yaml_node_pair_t *p = path ? NULL : node->data.mapping.pairs.start;
         p && p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(r, p->key), *x = node_at(r, p->value);
        const char *name = scalar(key) ? scalar(key) : "";
        if (strcmp(name, "model") == 0 && scalar(x))
            path = scalar(x);
        else if (strcmp(name, "parameters") == 0)
            parameters = x;
        else if (in_slice && strcmp(name, "layer_range") == 0) {
            const int status = read_layer_range(r, x);
            if (status != PLUMB_OK)
                return status;
        } else
            return bad(r, key, "unknown field of a model", name);
    }
    if (!path)
        return bad(r, node, "a model without a name", "");
    if (r->n_models == MODELS_MOST)
        return bad(r, node, "too many models", "");
    r->model_parameters[r->n_models] = parameters;
    r->models[r->n_models++] = path;
    return PLUMB_OK;
}

static int read_models(struct reading *r, const yaml_node_t *node, bool in_slice)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return bad(r, node, "expected a list of models", "");
    if (r->n_models > 0)
        return bad(r, node, "models are listed twice; expected 'models' or 'slices'", "");
    int status = PLUMB_OK;
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top && status == PLUMB_OK; i++)
        status = read_model(r, node_at(r, *i), in_slice);
    return status;
}

static int read_slices(struct reading *r, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE ||
        node->data.sequence.items.top - node->data.sequence.items.start != 1)
        return bad(r, node,
                   "one slice over all layers is what plumb reads; stacking layers of models is "
                   "not merging",
                   "");
    const yaml_node_t *slice = node_at(r, *node->data.sequence.items.start);
    if (slice->type != YAML_MAPPING_NODE)
        return bad(r, slice, "expected sources", "");
    for (const yaml_node_pair_t *p = slice->data.mapping.pairs.start;
         p < slice->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(r, p->key), *x = node_at(r, p->value);
        const char *name = scalar(key) ? scalar(key) : "";
        int status = PLUMB_OK;
        if (strcmp(name, "sources") == 0)
            status = read_models(r, x, true);
        else if (strcmp(name, "parameters") == 0)
            r->slice_parameters = x;
        else if (strcmp(name, "base_model") == 0 && scalar(x))
            r->base = scalar(x); /* the slice's comes before the global one */
        else
            return bad(r, key, "unknown field of a slice", name);
        if (status != PLUMB_OK)
            return status;
    }
    return PLUMB_OK;
}

/* tokenizer: {source: base} and tokenizer_source: base */
static int read_tokenizer(struct reading *r, const yaml_node_t *node)
{
    const yaml_node_t *source = node;
    if (node->type == YAML_MAPPING_NODE) {
        source = NULL;
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
             p < node->data.mapping.pairs.top; p++) {
            const yaml_node_t *key = node_at(r, p->key);
            if (!scalar(key) || strcmp(scalar(key), "source") != 0)
                return bad(r, key, "unknown field of tokenizer", scalar(key) ? scalar(key) : "");
            source = node_at(r, p->value);
        }
    }
    if (!source || !scalar(source))
        return bad(r, node, "expected a tokenizer source", "");
    if (strcmp(scalar(source), "union") == 0)
        return bad(r, source,
                   "a union of tokenizers is not built; models must share one vocabulary", "");
    r->tokenizer = scalar(source);
    return PLUMB_OK;
}

static int read_field(struct reading *r, const char *name, const yaml_node_t *key,
                      const yaml_node_t *x)
{
    struct merge_recipe *recipe = &r->job->recipe;
    if (strcmp(name, "merge_method") == 0)
        return scalar(x) && merge_method_parse(scalar(x), &recipe->method)
                   ? PLUMB_OK
                   : bad(r, x,
                         "plumb has the methods linear, slerp, nuslerp, task_arithmetic, ties, "
                         "dare_linear and dare_ties, not",
                         scalar(x) ? scalar(x) : "that");
    if (strcmp(name, "base_model") == 0 && scalar(x)) {
        r->base = r->base ? r->base : scalar(x); /* not over a slice's own */
        return PLUMB_OK;
    }
    if (strcmp(name, "dtype") == 0 || strcmp(name, "out_dtype") == 0) {
        enum dtype type;
        if (!scalar(x) || !merge_type_parse(scalar(x), &type))
            return bad(r, x, "expected float32, float16 or bfloat16, not",
                       scalar(x) ? scalar(x) : "");
        if (!r->out_type) /* out_dtype has the word; arithmetic is f32 and better anyway */
            recipe->type = type;
        r->out_type = r->out_type || name[0] == 'o';
        return PLUMB_OK;
    }
    if (strcmp(name, "models") == 0)
        return read_models(r, x, false);
    if (strcmp(name, "slices") == 0)
        return read_slices(r, x);
    if (strcmp(name, "parameters") == 0) {
        r->parameters = x;
        return PLUMB_OK;
    }
    if (strcmp(name, "tokenizer_source") == 0 || strcmp(name, "tokenizer") == 0)
        return read_tokenizer(r, x);
    if (strcmp(name, "chat_template") == 0)
        return scalar(x) && strcmp(scalar(x), "auto") == 0
                   ? PLUMB_OK
                   : bad(r, x,
                         "chat_template: plumb reads only 'auto', which is the template of "
                         "the model that gives the tokenizer",
                         "");
    return bad(r, key, "unknown field", name);
}

/* The listed models and the base as numbers; task vectors are not taken of the base itself. */
static int number_models(struct reading *r, const yaml_node_t *root)
{
    struct merge_job *j = r->job;
    struct merge_recipe *recipe = &j->recipe;
    const bool needs_base = merge_needs_base(recipe->method);
    j->paths = arena_alloc(j->arena, (size_t)r->n_models + 1, sizeof *j->paths);
    int *inputs = arena_alloc(j->arena, (size_t)r->n_models + 1, sizeof *inputs);
    struct merge_value *weight = arena_alloc(j->arena, (size_t)r->n_models + 1, sizeof *weight),
                       *density = arena_alloc(j->arena, (size_t)r->n_models + 1, sizeof *density);
    if (!j->paths || !inputs || !weight || !density)
        return error_memory(r->e, "a merge");
    memset(weight, 0, ((size_t)r->n_models + 1) * sizeof *weight);
    memset(density, 0, ((size_t)r->n_models + 1) * sizeof *density);
    recipe->inputs = inputs;
    recipe->weight = weight;
    recipe->density = density;
    /* slerp: base_model is t = 0, in whatever order the two are listed, and may be left out of the list. */
    const bool slerp = recipe->method == MERGE_SLERP;
    if (slerp && !r->base)
        return bad(r, root, "slerp needs base_model: the model at t = 0", "");
    if (slerp || needs_base || (recipe->method == MERGE_NUSLERP && r->base)) {
        if (!r->base)
            return bad(r, root, "this method needs base_model", "");
        j->paths[j->n_paths++] = r->base;
    }
    if (slerp)
        inputs[recipe->n_inputs++] = 0;
    else if (j->n_paths)
        recipe->base = 0;
    const bool has_base = j->n_paths > 0;
    const yaml_node_t *given[MODELS_MOST + 1];
    memcpy(given, r->model_parameters, sizeof given);
    r->model_parameters[0] = NULL; /* slerp's first input has none of its own */
    for (int i = 0; i < r->n_models; i++) {
        if (has_base && r->base && strcmp(r->models[i], r->base) == 0)
            continue;
        r->model_parameters[recipe->n_inputs] = given[i];
        inputs[recipe->n_inputs++] = j->n_paths;
        j->paths[j->n_paths++] = r->models[i];
    }
    if (recipe->n_inputs == 0)
        return bad(r, root, "no models to merge", "");
    j->like = j->n_paths - 1;
    return PLUMB_OK;
}

static int choose_tokenizer(struct reading *r, const yaml_node_t *root)
{
    struct merge_job *j = r->job;
    if (!r->tokenizer)
        return PLUMB_OK;
    const char *wanted = strcmp(r->tokenizer, "base") == 0 ? r->base : r->tokenizer;
    for (int i = 0; wanted && i < j->n_paths; i++)
        if (strcmp(j->paths[i], wanted) == 0) {
            j->tokenizer_from = i;
            return PLUMB_OK;
        }
    return bad(r, root, "the tokenizer must come from one of the models, not from", r->tokenizer);
}

static int read_document(struct reading *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    bool method = false;
    if (!root || root->type != YAML_MAPPING_NODE)
        return error_set(r->e, PLUMB_INPUT, "%s: expected a mapping with merge_method and models",
                         r->path);
    int status = PLUMB_OK;
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start;
         p < root->data.mapping.pairs.top && status == PLUMB_OK; p++) {
        const yaml_node_t *key = node_at(r, p->key);
        const char *name = scalar(key) ? scalar(key) : "";
        status = read_field(r, name, key, node_at(r, p->value));
        method = method || strcmp(name, "merge_method") == 0;
    }
    if (status == PLUMB_OK && !method)
        status = bad(r, root, "no merge_method", "");
    if (status == PLUMB_OK)
        status = number_models(r, root);
    for (int i = 0; status == PLUMB_OK && i < r->job->recipe.n_inputs; i++)
        if (r->model_parameters[i])
            status = read_parameters(r, r->model_parameters[i], i);
    if (status == PLUMB_OK && r->slice_parameters)
        status = read_parameters(r, r->slice_parameters, -1);
    if (status == PLUMB_OK && r->parameters)
        status = read_parameters(r, r->parameters, -1);
    if (status == PLUMB_OK)
        status = choose_tokenizer(r, root);
    return status;
}

/* The document's strings die with it: everything that stays is copied. */
static int keep_names(struct reading *r)
{
    for (int i = 0; i < r->job->n_paths; i++) {
        r->job->paths[i] = arena_strndup(r->job->arena, r->job->paths[i], strlen(r->job->paths[i]));
        if (!r->job->paths[i])
            return error_memory(r->e, "a merge");
    }
    return PLUMB_OK;
}

int merge_job_from_yaml(const char *text, size_t n, const char *path, struct merge_job *out,
                        struct plumb_error *e)
{
    struct reading r = {.path = path, .job = out, .e = e};
    yaml_parser_t parser;
    *out = (struct merge_job){.tokenizer_from = -1, .arena = arena_create()};
    out->recipe =
        (struct merge_recipe){.base = -1, .normalise = -1, .rescale = -1, .type = DTYPE_COUNT};
    if (!out->arena || !yaml_parser_initialize(&parser)) {
        merge_job_free(out);
        return error_memory(e, "a merge");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    int status;
    if (!yaml_parser_load(&parser, &r.document)) {
        status =
            error_set(e, PLUMB_INPUT, "%s:%zu: this is no YAML: %s", path,
                      parser.problem_mark.line + 1, parser.problem ? parser.problem : "unreadable");
    } else {
        status = read_document(&r);
        if (status == PLUMB_OK)
            status = keep_names(&r);
        yaml_document_delete(&r.document);
    }
    yaml_parser_delete(&parser);
    if (status == PLUMB_OK) {
        status = merge_recipe_check(&out->recipe, e);
        if (status != PLUMB_OK)
            error_prefix(e, "%s", path);
    }
    if (status != PLUMB_OK)
        merge_job_free(out);
    return status;
}
