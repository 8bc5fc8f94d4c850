/*
 * gallery.c - a page with one figure of every kind, and with everything that could break one: hostile names, one point,
 * nothing, NaN. The tests parse it and open it in a browser; `gallery OUT.html` writes it.
 */
#include <math.h>
#include <stdio.h>

#include "report/page.h"

enum { N = 25 };
static double x[N], y[N], low[N], high[N], zero[N];

/* That text turns is the point of it. NOLINTNEXTLINE(misc-misleading-bidirectional) */
static const char hostile[] = "<script>alert(\"1\")</script> & 'model' \xFF\x01 \xE2\x80\xAE txt";

static void show(struct page *p, struct figure *f)
{
    struct grid *t = grid_create("Some of its numbers");
    grid_column(t, "layer", GRID_NUMBER);
    grid_column(t, "value", GRID_NUMBER);
    grid_column(t, "name", GRID_TEXT);
    grid_sortable(t);
    for (int i = 0; i < 3; i++) {
        grid_count(t, (size_t)(10 - i));
        grid_value(t, y[i], low[i], high[i], 3);
        grid_text(t, i == 0 ? hostile : i == 1 ? "b 10" : "b 9");
    }
    page_figure(p, f, t);
    grid_destroy(t);
    figure_destroy(f);
}

static struct figure *start(const char *title, struct axis xs)
{
    return figure_create(&(struct figure_spec){
        .title = title, .caption = "a caption", .description = "what it shows", .x = xs});
}

/* Curves through depth with bands, for eight models. */
static void depth(struct page *p)
{
    static const char *const names[] = {"base", hostile, "three", "four",
                                        "five", "six",   "seven", "eight"};
    struct figure *f = start("Depth", axis_range("layer", 0, N - 1));
    figure_panel(f, axis_auto("ECE"), 0.6);
    for (int k = 0; k < 8; k++) {
        const struct series s = {names[k], k};
        for (int i = 0; i < N; i++) {
            y[i] = 0.1 * k + 0.2 * sin(i / 4.0) * sin(i / 4.0);
            low[i] = y[i] - 0.02;
            high[i] = y[i] + 0.02;
        }
        if (k == 2)
            y[10] = low[12] = NAN;
        figure_band(f, s, x, low, high, N);
        figure_line(f, s, x, y, N);
    }
    figure_rule_vertical(f, 8, "peak");
    figure_rule_vertical(f, 9, "correction begins here");
    figure_rule_horizontal(f, 0.5, "chance");
    show(p, f);
}

/* Accuracy against calibration of merged models. */
static void frontier(struct page *p)
{
    static const char *const t[] = {"0",   "0.1", "0.2", "0.3", "0.4", "0.5",
                                    "0.6", "0.7", "0.8", "0.9", "1"};
    double ece[11], accuracy[11], from[11], to[11];
    for (int i = 0; i < 11; i++) {
        ece[i] = 0.03 + 0.002 * i * i / 2.0;
        accuracy[i] = 0.58 + 0.04 * sin(i / 3.5);
        from[i] = accuracy[i] - 0.008;
        to[i] = accuracy[i] + 0.008;
    }
    struct figure *f = start("Frontier", axis_auto("ECE"));
    figure_panel(f, axis_auto("accuracy"), 0.75);
    figure_intervals(f, (struct series){"merge, by share of POST", 0}, ece, from, to, 11);
    figure_line(f, (struct series){"merge, by share of POST", 0}, ece, accuracy, 11);
    figure_points(f, (struct series){"merge, by share of POST", 0}, ece, accuracy, t, 11);
    figure_points(f, (struct series){"POST + temperature", 2}, (double[]){0.035}, (double[]){0.602},
                  (const char *const[]){"control"}, 1);
    show(p, f);
}

/* Singular value ratios by module, beside the matched null: paired bars. Then stacked ones. */
static void spectrum(struct page *p)
{
    static const char *const modules[] = {"q", "k", "v", "o", "gate", "up", "down <proj>"};
    double from[7], to[7], ratio[7];
    struct axis a = {
        .label = "module", .scale = AXIS_CATEGORY, .categories = modules, .n_categories = 7};
    struct figure *f = start("Spectrum", a);
    figure_panel(f, axis_auto("scale"), 0.5);
    for (int which = 0; which < 3; which++) {
        for (int i = 0; i < 7; i++) {
            figure_slot(i, which, 3, &from[i], &to[i]);
            ratio[i] = 0.9 + 0.05 * i - 0.1 * which;
        }
        figure_bars(f,
                    (struct series){which == 0   ? "pair"
                                    : which == 1 ? "null"
                                                 : "permuted",
                                    which},
                    from, to, zero, ratio, 7);
    }
    show(p, f);
    f = start("Stacked", axis_range("threshold", 0, N));
    figure_panel(f, axis_range("share", 0, 1), 0.5);
    for (int i = 0; i < N; i++) {
        low[i] = x[i] + 1;
        y[i] = 0.5 + 0.4 * cos(i / 8.0);
        high[i] = y[i] + 0.05;
    }
    figure_bars(f, (struct series){"right", 3}, x, low, zero, y, N);
    figure_bars(f, (struct series){"wrong", 4}, x, low, y, high, N);
    show(p, f);
}

static void scales(struct page *p)
{
    struct figure *f =
        start("Logarithmic axes",
              (struct axis){.label = "width", .scale = AXIS_LOG, .low = NAN, .high = NAN});
    double widths[N];
    figure_panel(f, (struct axis){.label = "loss", .scale = AXIS_LOG, .low = NAN, .high = NAN},
                 0.6);
    for (int i = 0; i < N; i++) {
        widths[i] = pow(10, i / 4.0 - 2);
        y[i] = i == 3 ? -1 : pow(10, -i / 3.0); /* no logarithm: left out */
    }
    figure_steps(f, (struct series){"steps", 0}, widths, y, N);
    figure_points(f, (struct series){"points", 1}, widths, y, NULL, N);
    show(p, f);
    f = start("Beyond the axes", axis_range("x", 5, 10));
    figure_panel(f, axis_range("y", 0, 0.4), 0.5);
    figure_line(f, (struct series){"cut off", 0}, x, x, N);
    figure_points(f, (struct series){"cut off", 0}, x, zero, NULL, N);
    show(p, f);
}

static void degenerate(struct page *p)
{
    struct figure *f = start("One point", axis_auto("x"));
    figure_panel(f, axis_auto("y"), 0.5);
    figure_points(f, (struct series){"one", 0}, (double[]){0.25}, (double[]){1e-9},
                  (const char *const[]){hostile}, 1);
    show(p, f);
    f = start(hostile, axis_auto(hostile));
    figure_panel(f, axis_auto(hostile), 0.5);
    figure_line(f, (struct series){"nothing", 0}, x, x, 0);
    show(p, f);
    f = start("Only NaN and infinities", axis_auto(NULL));
    figure_line(f, (struct series){NULL, 0}, (double[]){1, 2}, (double[]){NAN, INFINITY}, 2);
    figure_bars(f, (struct series){NULL, 1}, (double[]){1}, (double[]){NAN}, (double[]){0},
                (double[]){1}, 1);
    show(p, f);
    f = start("Huge and constant", axis_auto("x"));
    figure_panel(f, axis_auto("y"), 0.5);
    figure_line(f, (struct series){NULL, 0}, (double[]){-1e200, 1e200}, (double[]){7, 7}, 2);
    show(p, f);
}

int main(int argc, char **argv)
{
    struct plumb_error e = {0};
    if (argc != 2)
        return 2;
    for (int i = 0; i < N; i++)
        x[i] = i;
    struct page *p = page_create(hostile);
    page_provenance(p, "model", hostile);
    page_provenance_code(p, "command", hostile);
    page_chapter(p, "first", "Figures");
    page_finding(p, "A finding about %s.", hostile);
    page_keys_begin(p, hostile);
    page_key(p, hostile, 0.25, 0.2, 0.3, 3);
    page_key(p, "undefined", NAN, NAN, NAN, 3);
    page_keys_end(p);
    page_figures_begin(p);
    depth(p);
    frontier(p);
    spectrum(p);
    scales(p);
    page_figures_end(p);
    page_chapter(p, "second", hostile);
    page_figures_begin(p);
    degenerate(p);
    page_figures_end(p);
    const int status = page_write(p, argv[1], &e);
    page_destroy(p);
    if (status != PLUMB_OK)
        fprintf(stderr, "gallery: %s\n", e.message);
    return status;
}
