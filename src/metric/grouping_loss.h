/*
 * grouping_loss.h - how much confidence hides inside its bins (Perez-Lebel, Le Morvan and Varoquaux 2023).
 *
 * Rows of one confidence may hold cells of different accuracy: a calibrated model can still be wrong about each of them.
 * Brier = calibration loss + grouping loss + irreducible loss.
 */
#ifndef METRIC_GROUPING_LOSS_H
#define METRIC_GROUPING_LOSS_H

struct grouping {
    double lower_bound; /* sum_bj n_bj / N (ybar_bj - ybar_b)^2 */
    double bias;        /* of it, from finite cells */
    double debiased;    /* lower_bound - bias; may be negative */
};

/* From the rows and the right answers of each cell of each bin, [bins, cells]; cells may be empty. */
struct grouping grouping_of_cells(const double *rows, const double *right, int bins, int cells);

#endif
