/*
 * place.h - finding room for labels: beside their point, on no other label and no point.
 *
 * Simple and the same every time: each label in turn takes the first of sixteen places that is free, eight close by and eight
 * further away (then a thin line leads there). One that finds none is left to the table behind the figure.
 */
#ifndef REPORT_PLACE_H
#define REPORT_PLACE_H

#include <stdbool.h>

struct box {
    double left, top, right, bottom;
};

enum { PLACE_BOXES = 512 };
struct place {
    struct box inside; /* labels stay within */
    int n;
    struct box taken[PLACE_BOXES];
};

/* Takes the room; a full list takes no more and then `place_free` says no. */
void place_take(struct place *p, struct box b);
bool place_free(const struct place *p, struct box b);
/* Room of width x height near (x, y); false if there is none. *far: not right beside the point. The room is taken. */
bool place_label(struct place *p, double x, double y, double width, double height, struct box *out,
                 bool *far);

#endif
