/*
 * frontier_draws.h - the bootstrap of a whole sweep: one draw of questions weighs every point at once, so that any two of them,
 * and conditions on three, can be compared draw by draw. Private to this room.
 */
#ifndef MERGE_FRONTIER_DRAWS_H
#define MERGE_FRONTIER_DRAWS_H

#include "merge/frontier.h"
#include "metric/sample.h"

/* samples: [2 * f->n] of the same questions, the points as they are, then with their temperatures. Fills in every value,
   interval, gap and superiority of f's points. Draw d is a function of the seed and d. */
int frontier_draw(const struct sample *samples, struct frontier *f,
                  const struct frontier_options *o, struct plumb_error *e);

#endif
