/*
 * onednn.c - oneDNN's matmul primitive. Version 2 describes memory by value and operations by a
 * separate descriptor; version 3 has handles for both. The few lines that differ stand at the top.
 */
#include "tensor/onednn.h"

#include <dnnl.h>
#include <omp.h>

#include "base/memory.h"

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
typedef const_dnnl_memory_desc_t layout_ref;
#define LAYOUT_REF(l) (l)

static dnnl_status_t layout_init(layout *l, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(l, 2, dims, type, tag);
}

static void layout_free(layout *l)
{
    if (*l)
        dnnl_memory_desc_destroy(*l);
    *l = NULL;
}

static dnnl_status_t layout_copy(layout *l, layout_ref from)
{
    return dnnl_memory_desc_clone(l, from);
}

static dnnl_status_t product(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout_ref x,
                             layout_ref w, layout_ref y)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, x, w, NULL, y, NULL);
}
#else
typedef dnnl_memory_desc_t layout;
typedef const dnnl_memory_desc_t *layout_ref;
#define LAYOUT_REF(l) (&(l))

static dnnl_status_t layout_init(layout *l, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(l, 2, dims, type, tag);
}

static void layout_free(layout *l)
{
    (void)l;
}

static dnnl_status_t layout_copy(layout *l, layout_ref from)
{
    *l = *from;
    return dnnl_success;
}

static dnnl_status_t product(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout_ref x,
                             layout_ref w, layout_ref y)
{
    dnnl_matmul_desc_t d;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, x, w, NULL, y);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &d, NULL, engine, NULL) : status;
}
#endif

struct onednn_weights {
    size_t N, K;
    dnnl_data_type_t type;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    layout packed;
    bool packed_valid;
    dnnl_memory_t memory;
};

/* Y[M, N] = X[M, K] W[K, N]; W's layout is `w`. */
static dnnl_status_t describe(const struct onednn_weights *o, size_t M, layout_ref w,
                              dnnl_primitive_desc_t *pd)
{
    const dnnl_dims_t xd = {(dnnl_dim_t)M, (dnnl_dim_t)o->K},
                      yd = {(dnnl_dim_t)M, (dnnl_dim_t)o->N};
    layout x, y;
    dnnl_status_t status = layout_init(&x, xd, o->type, dnnl_ab);
    if (status != dnnl_success)
        return status;
    status = layout_init(&y, yd, dnnl_f32, dnnl_ab);
    if (status == dnnl_success) {
        status = product(pd, o->engine, LAYOUT_REF(x), w, LAYOUT_REF(y));
        layout_free(&y);
    }
    layout_free(&x);
    return status;
}

static dnnl_status_t choose_layout(struct onednn_weights *o)
{
    const dnnl_dims_t wd = {(dnnl_dim_t)o->K, (dnnl_dim_t)o->N};
    layout any;
    dnnl_status_t status = layout_init(&any, wd, o->type, dnnl_format_tag_any);
    if (status != dnnl_success)
        return status;
    dnnl_primitive_desc_t pd = NULL;
    status = describe(o, 512, LAYOUT_REF(any), &pd);
    if (status == dnnl_success) {
        status =
            layout_copy(&o->packed, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
        o->packed_valid = status == dnnl_success;
        dnnl_primitive_desc_destroy(pd);
    }
    layout_free(&any);
    return status;
}

static dnnl_status_t memory_create(dnnl_memory_t *m, layout_ref l, dnnl_engine_t engine, void *data)
{
    return dnnl_memory_create(m, l, engine, data);
}

/* Copies row-major W[N, K] into the chosen layout: seen as [K, N], it is column-major ("ba"). */
static dnnl_status_t reorder_rows(struct onednn_weights *o, const void *rows)
{
    const dnnl_dims_t wd = {(dnnl_dim_t)o->K, (dnnl_dim_t)o->N};
    layout plain;
    dnnl_status_t status = layout_init(&plain, wd, o->type, dnnl_ba);
    if (status != dnnl_success)
        return status;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    status = memory_create(&from, LAYOUT_REF(plain), o->engine, (void *)(uintptr_t)rows);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&pd, LAYOUT_REF(plain), o->engine,
                                                    LAYOUT_REF(o->packed), o->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&reorder, pd);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, o->memory}};
        status = dnnl_primitive_execute(reorder, o->stream, 2, args);
    }
    if (status == dnnl_success)
        status = dnnl_stream_wait(o->stream);
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (from)
        dnnl_memory_destroy(from);
    layout_free(&plain);
    return status;
}

static int failed(struct plumb_error *e, dnnl_status_t status, const char *doing)
{
    return error_set(e, PLUMB_MACHINE,
                     "oneDNN could not %s (status %d); PLUMB_LEVEL=avx2 goes without it", doing,
                     (int)status);
}

int onednn_pack(size_t N, size_t K, bool bf16, const void *rows, struct onednn_weights **out,
                struct plumb_error *e)
{
    *out = NULL;
    struct onednn_weights *o = mem_zalloc(1, sizeof *o);
    if (!o)
        return error_memory(e, "packed weights");
    o->N = N;
    o->K = K;
    o->type = bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_status_t status = dnnl_engine_create(&o->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = choose_layout(o);
    if (status == dnnl_success)
        status = memory_create(&o->memory, LAYOUT_REF(o->packed), o->engine, DNNL_MEMORY_ALLOCATE);
    if (status == dnnl_success)
        status = reorder_rows(o, rows);
    if (status != dnnl_success) {
        onednn_free(o);
        return failed(e, status, bf16 ? "pack bf16 weights" : "pack f32 weights");
    }
    *out = o;
    return PLUMB_OK;
}

void onednn_free(struct onednn_weights *o)
{
    if (!o)
        return;
    if (o->memory)
        dnnl_memory_destroy(o->memory);
    if (o->packed_valid)
        layout_free(&o->packed);
    if (o->stream)
        dnnl_stream_destroy(o->stream);
    if (o->engine)
        dnnl_engine_destroy(o->engine);
    mem_free(o);
}

size_t onednn_bytes(const struct onednn_weights *o)
{
    return dnnl_memory_desc_get_size(LAYOUT_REF(o->packed));
}

bool onednn_has_bf16(void)
{
    struct onednn_weights o = {.N = 64, .K = 64, .type = dnnl_bf16};
    bool has = dnnl_engine_create(&o.engine, dnnl_cpu, 0) == dnnl_success &&
               choose_layout(&o) == dnnl_success;
    if (o.packed_valid)
        layout_free(&o.packed);
    if (o.engine)
        dnnl_engine_destroy(o.engine);
    return has;
}

int onednn_multiply(struct onednn_weights *o, const void *x, size_t M, float *y, int threads,
                    struct plumb_error *e)
{
    const dnnl_dims_t xd = {(dnnl_dim_t)M, (dnnl_dim_t)o->K},
                      yd = {(dnnl_dim_t)M, (dnnl_dim_t)o->N};
    layout xl, yl;
    dnnl_memory_t xm = NULL, ym = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t multiply = NULL;
    int threads_before = omp_get_max_threads();
    omp_set_num_threads(threads); /* oneDNN takes what OpenMP would give */
    dnnl_status_t status = describe(o, M, LAYOUT_REF(o->packed), &pd);
    if (status == dnnl_success)
        status =
            dnnl_primitive_create(&multiply, pd); /* from oneDNN's own cache after the first time */
    if (status == dnnl_success &&
        (status = layout_init(&xl, xd, o->type, dnnl_ab)) == dnnl_success) {
        status = memory_create(&xm, LAYOUT_REF(xl), o->engine, (void *)(uintptr_t)x);
        layout_free(&xl);
    }
    if (status == dnnl_success &&
        (status = layout_init(&yl, yd, dnnl_f32, dnnl_ab)) == dnnl_success) {
        status = memory_create(&ym, LAYOUT_REF(yl), o->engine, y);
        layout_free(&yl);
    }
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {
            {DNNL_ARG_SRC, xm}, {DNNL_ARG_WEIGHTS, o->memory}, {DNNL_ARG_DST, ym}};
        status = dnnl_primitive_execute(multiply, o->stream, 3, args);
    }
    if (status == dnnl_success)
        status = dnnl_stream_wait(o->stream);
    if (ym)
        dnnl_memory_destroy(ym);
    if (xm)
        dnnl_memory_destroy(xm);
    if (multiply)
        dnnl_primitive_destroy(multiply);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    omp_set_num_threads(threads_before);
    return status == dnnl_success ? PLUMB_OK : failed(e, status, "multiply");
}
