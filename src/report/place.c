/*
 * place.c - the greedy search of place.h. Knows rectangles only.
 */
#include "report/place.h"

void place_take(struct place *p, struct box b)
{
    if (p->n < PLACE_BOXES)
        p->taken[p->n++] = b;
}

bool place_free(const struct place *p, struct box b)
{
    if (p->n == PLACE_BOXES || b.left < p->inside.left || b.right > p->inside.right ||
        b.top < p->inside.top || b.bottom > p->inside.bottom)
        return false;
    for (int i = 0; i < p->n; i++) {
        const struct box *t = &p->taken[i];
        if (b.left < t->right && t->left < b.right && b.top < t->bottom && t->top < b.bottom)
            return false;
    }
    return true;
}

bool place_label(struct place *p, double x, double y, double width, double height, struct box *out,
                 bool *far)
{
    /* Where the label's middle lies, in halves of its size plus the distance: right, left, above, below, corners. */
    static const double ways[8][2] = {{1, 0},  {-1, 0}, {0, -1},  {0, 1},
                                      {1, -1}, {1, 1},  {-1, -1}, {-1, 1}};
    static const double distances[2] = {7, 22};
    for (int ring = 0; ring < 2; ring++)
        for (int way = 0; way < 8; way++) {
            const double middle_x = x + ways[way][0] * (width / 2 + distances[ring]);
            const double middle_y = y + ways[way][1] * (height / 2 + distances[ring] - 2);
            const struct box b = {middle_x - width / 2, middle_y - height / 2, middle_x + width / 2,
                                  middle_y + height / 2};
            if (!place_free(p, b))
                continue;
            *out = b;
            *far = ring > 0;
            place_take(p, b);
            return true;
        }
    return false;
}
