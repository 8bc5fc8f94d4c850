/*
 * intervention.c - see intervention.h.
 */
#include "spectrum/intervention.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/model_write.h"
#include "spectrum/statistics.h"
#include "tensor/linear_algebra.h"

const char *const spectrum_intervention_name[SPECTRUM_INTERVENTIONS] = {
    "scale", "break", "break-right", "restore", "restore-right", "scale-only", "random"};

/* ---- one matrix ---- */

/* A random orthogonal matrix by Haar's measure: the polar factor of a Gaussian matrix. */
static int random_rotation(size_t r, uint64_t seed, uint64_t stream, double *q,
                           struct plumb_error *e)
{
    struct random random = random_start(seed, stream);
    for (size_t i = 0; i < r * r; i++)
        q[i] = random_normal(&random);
    return polar_f64(r, q, e);
}

/* x = left diag(scale s) right^T; left [m, r] is spoilt. */
static void compose(const struct decomposition *d, double *left, double scale, const double *s,
                    const double *right_t, double *x)
{
    for (size_t k = 0; k < d->r; k++)
        for (size_t i = 0; i < d->m; i++)
            left[i + k * d->m] *= scale * s[k];
    product_f64(false, false, d->m, d->n, d->r, left, right_t, x);
}

static double alpha_of(const struct decomposition *d)
{
    double across = 0, base = 0;
    for (size_t i = 0; i < d->r; i++) {
        across += d->s_base[i] * d->s_post[i];
        base += d->s_base[i] * d->s_base[i];
    }
    return across / base;
}

/* The rotation that a side is turned by: the other side's Q made orthogonal, or a random one. */
static int rotation_of(const struct decomposition *d, enum spectrum_intervention kind,
                       uint64_t seed, uint64_t stream, double *q, struct plumb_error *e)
{
    if (kind == INTERVENE_RANDOM)
        return random_rotation(d->r, seed, stream, q, e);
    memcpy(q, kind == INTERVENE_RESTORE ? d->q_v : d->q_u, d->r * d->r * sizeof *q);
    return polar_f64(d->r, q, e);
}

int intervene(const struct decomposition *d, enum spectrum_intervention kind, uint64_t seed,
              uint64_t stream, double *x, struct plumb_error *e)
{
    const size_t m = d->m, n = d->n, r = d->r;
    const bool base_left = kind == INTERVENE_BREAK || kind == INTERVENE_SCALE_ONLY,
               base_right = kind == INTERVENE_BREAK_RIGHT || kind == INTERVENE_SCALE_ONLY,
               base_values = kind == INTERVENE_SCALE || kind == INTERVENE_SCALE_ONLY,
               turns = kind == INTERVENE_RESTORE || kind == INTERVENE_RESTORE_RIGHT ||
                       kind == INTERVENE_RANDOM;
    double *left = mem_aligned(m * r, sizeof *left), *right = mem_aligned(r * n, sizeof *right),
           *q = mem_aligned(r * r, sizeof *q);
    int status = left && right && q ? PLUMB_OK : error_memory(e, "an intervention");
    if (status == PLUMB_OK) {
        memcpy(left, base_left ? d->u_base : d->u_post, m * r * sizeof *left);
        memcpy(right, base_right ? d->vt_base : d->vt_post, r * n * sizeof *right);
        if (turns)
            status = rotation_of(d, kind, seed, stream, q, e);
    }
    if (status == PLUMB_OK) {
        if (kind == INTERVENE_RESTORE) /* U_base Q_V */
            product_f64(false, false, m, r, r, d->u_base, q, left);
        else if (kind == INTERVENE_RANDOM) /* U_post R */
            product_f64(false, false, m, r, r, d->u_post, q, left);
        else if (kind == INTERVENE_RESTORE_RIGHT) /* (V_base Q_U)^T = Q_U^T V_base^T */
            product_f64(true, false, r, n, r, q, d->vt_base, right);
        compose(d, left, base_values ? alpha_of(d) : 1, base_values ? d->s_base : d->s_post, right,
                x);
    }
    mem_free(left);
    mem_free(right);
    mem_free(q);
    return status;
}

/* ---- a model ---- */

struct writing {
    const struct matrix_pair *pairs;
    size_t n_pairs;
    const struct spectrum_options *options;
    enum spectrum_intervention kind;
    struct model_writer *writer;
    struct intervention_result *result;
    double squares, off; /* sums of |W_post|^2 and |X - W_post|^2 */
};

static int replace_matrix(struct writing *w, const struct matrix_pair *p, float *elements,
                          struct plumb_error *e)
{
    const int threads = w->options->threads > 0 ? w->options->threads : omp_get_max_threads();
    struct decomposition d;
    int status = decomposition_create(p, 0, w->options->seed, threads, &d, e);
    if (status != PLUMB_OK)
        return status;
    double *x = mem_aligned(d.m * d.n, sizeof *x);
    status = x ? intervene(&d, w->kind, w->options->seed,
                           (uint64_t)p->layer * SPECTRUM_MODULES + (uint64_t)p->module, x, e)
               : error_memory(e, "an intervention");
    for (size_t j = 0; j < d.n && status == PLUMB_OK; j++)
        for (size_t i = 0; i < d.m; i++) {
            float *at = &elements[module_element(&p->post, i, j)];
            const double was = (double)*at, off = x[i + j * d.m] - was;
            w->squares += was * was;
            w->off += off * off;
            *at = (float)x[i + j * d.m];
        }
    mem_free(x);
    decomposition_free(&d);
    w->result->matrices++;
    return status;
}

/* One tensor with all of its chosen matrices replaced. */
static int write_replaced(struct writing *w, const struct tensor *x, size_t i,
                          struct plumb_error *e)
{
    float *elements = mem_aligned(x->elements, sizeof *elements);
    int status =
        elements ? tensor_read_rows(x, 0, x->shape[0], elements, e) : error_memory(e, "a tensor");
    for (size_t k = 0; k < w->n_pairs && status == PLUMB_OK; k++)
        if (w->pairs[k].post.x == x)
            status = replace_matrix(w, &w->pairs[k], elements, e);
    if (status == PLUMB_OK)
        status = model_writer_put_f32(w->writer, i, 0, elements, x->elements, e);
    mem_free(elements);
    w->result->tensors++;
    return status;
}

static bool is_replaced(const struct writing *w, const struct tensor *x)
{
    for (size_t k = 0; k < w->n_pairs; k++)
        if (w->pairs[k].post.x == x)
            return true;
    return false;
}

static int write_all(struct writing *w, const struct model *post, struct plumb_error *e)
{
    const struct tensors *t = model_tensors(post);
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->items[i];
        const int status = is_replaced(w, x)
                               ? write_replaced(w, x, i, e)
                               : model_writer_put(w->writer, i, 0, x->data, x->bytes, e);
        if (status != PLUMB_OK)
            return status;
        if (!progress_report(w->options->progress, w->result->matrices, w->n_pairs, "matrices",
                             NULL))
            return error_set(e, PLUMB_NO, "stopped; nothing was written");
    }
    return PLUMB_OK;
}

int intervention_write(const struct model *base, const struct model *post,
                       const struct spectrum_options *o, enum spectrum_intervention kind,
                       const char *path, struct intervention_result *out, struct plumb_error *e)
{
    const struct tensors *t = model_tensors(post);
    struct writing w = {.options = o, .kind = kind, .result = out};
    const struct model_write_options how = {0};
    struct matrix_pair *pairs = NULL;
    struct tensor *plan = NULL;
    *out = (struct intervention_result){0};
    int status =
        matrix_pairs(base, post, o->layers, o->n_layers, o->modules, &pairs, &w.n_pairs, e);
    w.pairs = pairs;
    if (status == PLUMB_OK) {
        plan = mem_aligned(t->count + 1, sizeof *plan);
        status = plan ? PLUMB_OK : error_memory(e, "the plan of a model");
    }
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < t->count; i++) {
            plan[i] = t->items[i];
            if (is_replaced(&w, &t->items[i]) && plan[i].type != DTYPE_F32 &&
                plan[i].type != DTYPE_F16)
                plan[i].type = DTYPE_BF16;
        }
        status = model_writer_open(path, post, plan, t->count, &how, &w.writer, e);
    }
    if (status == PLUMB_OK) {
        status = write_all(&w, post, e);
        if (status == PLUMB_OK)
            status = model_writer_commit(w.writer, e);
        else
            model_writer_abandon(w.writer);
    }
    out->error = w.squares > 0 ? sqrt(w.off / w.squares) : NAN;
    mem_free(plan);
    mem_free(pairs);
    return status;
}
