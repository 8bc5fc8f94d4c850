/*
 * model.c - the public face of models: opaque handles over src/model. No logic of its own.
 */
#include "model/model.h"

#include "model/config.h"
#include "plumb.h"

/* A plumb_model is a struct model under its public name, and a plumb_tokenizer a struct tokenizer.
 */
static struct model *inside(plumb_model *m)
{
    return (struct model *)m;
}

static const struct model *look(const plumb_model *m)
{
    return (const struct model *)m;
}

struct plumb_model_options plumb_model_options_default(void)
{
    return (struct plumb_model_options){.precision = PLUMB_PRECISION_AUTO, .load_weights = true};
}

int plumb_model_open(const char *path, const struct plumb_model_options *options, plumb_model **out,
                     struct plumb_error *error)
{
    _Static_assert((int)PLUMB_PRECISION_AUTO == (int)PRECISION_AUTO &&
                       (int)PLUMB_PRECISION_F32 == (int)PRECISION_F32 &&
                       (int)PLUMB_PRECISION_BF16 == (int)PRECISION_BF16,
                   "the two enumerations are one");
    const struct plumb_model_options given = options ? *options : plumb_model_options_default();
    const struct progress progress = {given.progress, given.progress_user};
    struct model_options o = model_options_default();
    struct model *m = NULL;
    o.precision = (enum precision)given.precision;
    o.threads = given.threads;
    o.weights = given.load_weights;
    o.progress = &progress;
    *out = NULL;
    int status = model_open(path, &o, &m, error);
    if (status == PLUMB_OK)
        *out = (plumb_model *)m;
    return status;
}

void plumb_model_close(plumb_model *model)
{
    model_close(inside(model));
}

const char *plumb_model_name(const plumb_model *model)
{
    return model_name(look(model));
}

const char *plumb_model_architecture(const plumb_model *model)
{
    return model_config(look(model))->architecture->name;
}

int plumb_model_layers(const plumb_model *model)
{
    return model_config(look(model))->n_layers;
}

int plumb_model_hidden_size(const plumb_model *model)
{
    return model_config(look(model))->hidden;
}

int plumb_model_vocabulary(const plumb_model *model)
{
    return model_config(look(model))->vocabulary;
}

int plumb_model_context(const plumb_model *model)
{
    return model_config(look(model))->context;
}

size_t plumb_model_parameters(const plumb_model *model)
{
    return model_parameters(look(model));
}

enum plumb_precision plumb_model_precision(const plumb_model *model)
{
    return (enum plumb_precision)model_precision(look(model));
}

int plumb_model_fingerprint(plumb_model *model, char out[33], struct plumb_error *error)
{
    struct hash128 hash;
    int status = model_fingerprint(inside(model), &hash, error);
    out[0] = '\0';
    if (status == PLUMB_OK)
        hash_hex(hash, out);
    return status;
}

const plumb_tokenizer *plumb_model_tokenizer(const plumb_model *model)
{
    return (const plumb_tokenizer *)model_tokenizer(look(model));
}
