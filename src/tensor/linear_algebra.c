/*
 * linear_algebra.c - see linear_algebra.h. The only file that knows which library decomposes.
 */
#include "tensor/linear_algebra.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

enum { OVERSAMPLING = 10, POWER_ITERATIONS = 2 }; /* Halko et al. 2011, section 4.2 and 4.5 */

void linear_algebra_start(void)
{
    const int threads = omp_get_max_threads(); /* OpenBLAS for OpenMP sets these, too */
    openblas_set_num_threads(1);
    omp_set_num_threads(threads);
}

/* OpenBLAS for OpenMP takes as many threads as its caller would get, whatever was set before: while it works, the caller
   would get one. */
static int alone_begin(void)
{
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

static void alone_end(int threads)
{
    omp_set_num_threads(threads);
}

/* ---- errors ---- */

static int check_size(size_t m, size_t n, struct plumb_error *e)
{
    const size_t most = 1 << 30; /* LAPACK counts in 32 bits */
    if (m == 0 || n == 0 || m > most || n > most)
        return error_set(e, PLUMB_INPUT, "a matrix of %zu x %zu cannot be decomposed", m, n);
    return PLUMB_OK;
}

static int say_failed(lapack_int info, size_t m, size_t n, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "the SVD of a %zu x %zu matrix did not succeed (LAPACK says %d); are all "
                     "weights finite numbers of ordinary size?",
                     m, n, (int)info);
}

/* ---- decompositions ---- */

int svd_f64(size_t m, size_t n, double *a, double *s, double *u, double *vt, struct plumb_error *e)
{
    const size_t r = m < n ? m : n;
    const lapack_int rows = (lapack_int)m, columns = (lapack_int)n, rank = (lapack_int)r;
    double wanted = 0;
    int status = check_size(m, n, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < m * n; i++)
        if (!isfinite(a[i]))
            return error_set(e, PLUMB_INPUT, "element (%zu, %zu) of the matrix is %g", i % m, i / m,
                             a[i]);
    lapack_int info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', rows, columns, a, rows, s, u, rows,
                                          vt, rank, &wanted, -1, NULL);
    if (info != 0)
        return say_failed(info, m, n, e);
    double *work = mem_aligned((size_t)wanted + 1, sizeof *work);
    lapack_int *integers = mem_aligned(8 * r, sizeof *integers);
    if (!work || !integers) {
        status = error_memory(e, "the work space of an SVD");
    } else {
        const int threads = alone_begin();
        info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', rows, columns, a, rows, s, u, rows, vt,
                                   rank, work, (lapack_int)wanted, integers);
        alone_end(threads);
        if (info != 0)
            status = say_failed(info, m, n, e);
    }
    mem_free(work);
    mem_free(integers);
    return status;
}

int svd_f32(size_t m, size_t n, float *a, float *s, float *u, float *vt, struct plumb_error *e)
{
    const size_t r = m < n ? m : n;
    const lapack_int rows = (lapack_int)m, columns = (lapack_int)n, rank = (lapack_int)r;
    float wanted = 0;
    int status = check_size(m, n, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < m * n; i++)
        if (!isfinite(a[i]))
            return error_set(e, PLUMB_INPUT, "element (%zu, %zu) of the matrix is %g", i % m, i / m,
                             (double)a[i]);
    lapack_int info = LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, 'S', rows, columns, a, rows, s, u, rows,
                                          vt, rank, &wanted, -1, NULL);
    if (info != 0)
        return say_failed(info, m, n, e);
    /* The size comes back as a float: a count above 2^24 may have been rounded down. */
    const size_t size = (size_t)((double)wanted * (1 + 1e-6)) + 16;
    float *work = mem_aligned(size, sizeof *work);
    lapack_int *integers = mem_aligned(8 * r, sizeof *integers);
    if (!work || !integers) {
        status = error_memory(e, "the work space of an SVD");
    } else {
        const int threads = alone_begin();
        info = LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, 'S', rows, columns, a, rows, s, u, rows, vt,
                                   rank, work, (lapack_int)size, integers);
        alone_end(threads);
        if (info != 0)
            status = say_failed(info, m, n, e);
    }
    mem_free(work);
    mem_free(integers);
    return status;
}

static int say_no_eigenvectors(lapack_int info, size_t n, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT,
                     "the eigenvectors of a %zu x %zu matrix could not be found (LAPACK says %d); "
                     "are all weights finite numbers of ordinary size?",
                     n, n, (int)info);
}

int eigen_symmetric_f64(size_t n, double *a, double *values, struct plumb_error *e)
{
    const lapack_int size = (lapack_int)n;
    double wanted = 0;
    lapack_int wanted_integers = 0;
    int status = check_size(n, n, e);
    if (status != PLUMB_OK)
        return status;
    for (size_t i = 0; i < n * n; i++)
        if (i % n >= i / n && !isfinite(a[i]))
            return error_set(e, PLUMB_INPUT, "element (%zu, %zu) of the matrix is %g", i % n, i / n,
                             a[i]);
    lapack_int info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', size, a, size, values,
                                          &wanted, -1, &wanted_integers, -1);
    if (info != 0)
        return say_no_eigenvectors(info, n, e);
    double *work = mem_aligned((size_t)wanted + 1, sizeof *work);
    lapack_int *integers = mem_aligned((size_t)wanted_integers + 1, sizeof *integers);
    if (!work || !integers) {
        status = error_memory(e, "the work space of eigenvectors");
    } else {
        const int threads = alone_begin();
        info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', size, a, size, values, work,
                                   (lapack_int)wanted, integers, wanted_integers);
        alone_end(threads);
        if (info != 0)
            status = say_no_eigenvectors(info, n, e);
    }
    mem_free(work);
    mem_free(integers);
    return status;
}

/* Columns of y [m, k], k <= m, become orthonormal: Q of y = QR. */
static int orthonormalise(size_t m, size_t k, double *y, struct plumb_error *e)
{
    const lapack_int rows = (lapack_int)m, columns = (lapack_int)k;
    const lapack_int size = columns * 64; /* blocks of up to 64 columns */
    double *tau = mem_aligned(k, sizeof *tau), *work = mem_aligned(k * 64, sizeof *work);
    int status = tau && work ? PLUMB_OK : error_memory(e, "an orthogonal basis");
    if (status == PLUMB_OK) {
        const int threads = alone_begin();
        lapack_int info =
            LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, columns, y, rows, tau, work, size);
        if (info == 0)
            info = LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, rows, columns, columns, y, rows, tau, work,
                                       size);
        alone_end(threads);
        if (info != 0)
            status = say_failed(info, m, k, e);
    }
    mem_free(tau);
    mem_free(work);
    return status;
}

int svd_randomised_f64(size_t m, size_t n, const double *a, size_t rank, uint64_t seed, double *s,
                       double *u, double *vt, struct plumb_error *e)
{
    const size_t r = m < n ? m : n;
    const size_t k = rank + OVERSAMPLING < r ? rank + OVERSAMPLING : r;
    struct random random = random_start(seed, 0);
    int status = check_size(m, n, e);
    if (status != PLUMB_OK)
        return status;
    double *y = mem_aligned(m * k, sizeof *y), *z = mem_aligned(n * k, sizeof *z),
           *b = mem_aligned(k * n, sizeof *b), *ub = mem_aligned(k * k, sizeof *ub),
           *vb = mem_aligned(k * n, sizeof *vb), *values = mem_aligned(k, sizeof *values);
    if (!y || !z || !b || !ub || !vb || !values)
        status = error_memory(e, "a randomised SVD");
    if (status == PLUMB_OK) {
        for (size_t i = 0; i < n * k; i++)
            z[i] = random_normal(&random);
        product_f64(false, false, m, k, n, a, z, y); /* Y = A Omega */
        status = orthonormalise(m, k, y, e);
        for (int i = 0; i < POWER_ITERATIONS && status == PLUMB_OK; i++) {
            product_f64(true, false, n, k, m, a, y, z); /* A^T Q */
            status = orthonormalise(n, k, z, e);
            if (status == PLUMB_OK) {
                product_f64(false, false, m, k, n, a, z, y);
                status = orthonormalise(m, k, y, e);
            }
        }
    }
    if (status == PLUMB_OK) {
        product_f64(true, false, k, n, m, y, a, b); /* B = Q^T A */
        status = svd_f64(k, n, b, values, ub, vb, e);
    }
    if (status == PLUMB_OK) {
        product_f64(false, false, m, rank, k, y, ub, u); /* the first `rank` columns of U */
        for (size_t j = 0; j < n; j++)
            memcpy(vt + j * rank, vb + j * k, rank * sizeof *vt);
        memcpy(s, values, rank * sizeof *s);
    }
    mem_free(y);
    mem_free(z);
    mem_free(b);
    mem_free(ub);
    mem_free(vb);
    mem_free(values);
    return status;
}

int polar_f64(size_t r, double *q, struct plumb_error *e)
{
    double *s = mem_aligned(r, sizeof *s), *u = mem_aligned(r * r, sizeof *u),
           *vt = mem_aligned(r * r, sizeof *vt);
    int status = s && u && vt ? svd_f64(r, r, q, s, u, vt, e) : error_memory(e, "a polar factor");
    if (status == PLUMB_OK)
        product_f64(false, false, r, r, r, u, vt, q);
    mem_free(s);
    mem_free(u);
    mem_free(vt);
    return status;
}

/* ---- products ---- */

void product_f64(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const double *a,
                 const double *b, double *c)
{
    const int threads = alone_begin();
    cblas_dgemm(CblasColMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a,
                (int)(transpose_a ? k : m), b, (int)(transpose_b ? n : k), 0, c, (int)m);
    alone_end(threads);
}

void product_f32(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const float *a,
                 const float *b, float *c)
{
    const int threads = alone_begin();
    cblas_sgemm(CblasColMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a,
                (int)(transpose_a ? k : m), b, (int)(transpose_b ? n : k), 0, c, (int)m);
    alone_end(threads);
}

/* ---- symmetric matrices ---- */

void gram_f64(size_t m, size_t k, const double *a, double *c)
{
    const int threads = alone_begin();
    cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, (int)m, (int)k, 1, a, (int)m, 0, c,
                (int)m);
    alone_end(threads);
}

int cholesky_f64(size_t m, double *c, struct plumb_error *e)
{
    int status = check_size(m, m, e);
    if (status != PLUMB_OK)
        return status;
    const int threads = alone_begin();
    const lapack_int info =
        LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', (lapack_int)m, c, (lapack_int)m);
    alone_end(threads);
    if (info != 0)
        return error_set(e, PLUMB_INPUT,
                         "a matrix of %zu x %zu is not positive definite (LAPACK says %d)", m, m,
                         (int)info);
    return PLUMB_OK;
}

void cholesky_solve_f64(size_t m, size_t n, const double *l, double *b)
{
    const int threads = alone_begin();
    LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'L', (lapack_int)m, (lapack_int)n, l, (lapack_int)m, b,
                        (lapack_int)m);
    alone_end(threads);
}
