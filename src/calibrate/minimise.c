/*
 * minimise.c - Brent's minimiser without derivatives.
 */
#include "calibrate/minimise.h"

#include <math.h>

/* best, second and third lowest points so far, and the last two steps. */
struct search {
    double low, high;
    double x, w, v, fx, fw, fv;
    double step, step_before;
};

/* The step to the vertex of the parabola through the three points; 0 where it does not help. */
static double parabola_step(const struct search *s)
{
    const double r = (s->x - s->w) * (s->fx - s->fv);
    double q = (s->x - s->v) * (s->fx - s->fw);
    double p = (s->x - s->v) * q - (s->x - s->w) * r;
    q = 2 * (q - r);
    if (q > 0)
        p = -p;
    q = fabs(q);
    if (fabs(p) >= fabs(0.5 * q * s->step_before) || p <= q * (s->low - s->x) ||
        p >= q * (s->high - s->x))
        return 0;
    return p / q;
}

static void keep(struct search *s, double u, double fu)
{
    if (fu <= s->fx) {
        if (u < s->x)
            s->high = s->x;
        else
            s->low = s->x;
        s->v = s->w, s->fv = s->fw;
        s->w = s->x, s->fw = s->fx;
        s->x = u, s->fx = fu;
        return;
    }
    if (u < s->x)
        s->low = u;
    else
        s->high = u;
    if (fu <= s->fw || s->w == s->x) {
        s->v = s->w, s->fv = s->fw;
        s->w = u, s->fw = fu;
    } else if (fu <= s->fv || s->v == s->x || s->v == s->w) {
        s->v = u, s->fv = fu;
    }
}

struct minimum minimise(double (*f)(void *user, double x), void *user, double low, double start,
                        double high, double tolerance)
{
    const double golden = 0.3819660112501051; /* (3 - sqrt 5) / 2 */
    struct search s = {.low = low, .high = high, .x = start, .w = start, .v = start};
    s.fx = s.fw = s.fv = f(user, start);
    for (int i = 0; i < 100; i++) {
        const double middle = (s.low + s.high) / 2, least = 1e-12 * fabs(s.x) + tolerance;
        if (fabs(s.x - middle) <= 2 * least - (s.high - s.low) / 2)
            break;
        double step = fabs(s.step_before) > least ? parabola_step(&s) : 0;
        if (step != 0) {
            s.step_before = s.step;
            const double u = s.x + step;
            if (u - s.low < 2 * least || s.high - u < 2 * least)
                step = copysign(least, middle - s.x);
        } else {
            s.step_before = s.x < middle ? s.high - s.x : s.low - s.x;
            step = golden * s.step_before;
        }
        s.step = step;
        const double u = s.x + (fabs(step) >= least ? step : copysign(least, step));
        keep(&s, u, f(user, u));
    }
    return (struct minimum){s.x, s.fx};
}
