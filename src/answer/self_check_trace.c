/*
 * self_check_trace.c - see self_check_trace.h.
 */
#include "answer/self_check_trace.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/chat.h"
#include "model/config.h"
#include "task/questions.h"
#include "trace/trace.h"

/* Hash of question, answer and the options True and False: two models are paired only where the same answer was judged. */
static int hash_pair(const struct self_check_item *q, struct hash128 *out, struct plumb_error *e)
{
    static const char *const options[] = {"True", "False"};
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "%s\nPossible answer: %s", q->question, q->answer);
    *out = question_hash(q->context ? q->context : "", buffer_string(&text), options, 2);
    const bool failed = text.failed;
    buffer_free(&text);
    return failed ? error_memory(e, "a question") : PLUMB_OK;
}

/* Group names in order of first use; "all" where there are none. */
struct groups {
    const char **names;
    int32_t *of; /* [n] */
    int n;
};
static int make_groups(const struct self_check_answers *a, struct groups *out,
                       struct plumb_error *e)
{
    struct hash_table *numbers = hash_table_create(a->n);
    *out =
        (struct groups){mem_array(a->n, sizeof *out->names), mem_array(a->n, sizeof *out->of), 0};
    bool good = numbers && out->names && out->of;
    for (size_t i = 0; good && i < a->n; i++) {
        const char *name = a->group[i] ? a->group[i] : "all";
        out->of[i] = hash_table_get(numbers, name, strlen(name), out->n);
        if (out->of[i] == out->n) {
            good = hash_table_put(numbers, name, strlen(name), out->n) >= 0;
            out->names[out->n++] = name;
        }
    }
    if (numbers)
        hash_table_destroy(numbers);
    return good ? PLUMB_OK : error_memory(e, "the groups");
}

static int fill_trace(const struct p_true_trace *r, const struct groups *groups, struct trace *t,
                      struct plumb_error *e)
{
    int status = PLUMB_OK;
    for (size_t i = 0; i < r->answers->n && status == PLUMB_OK; i++) {
        const struct self_check_result *x = &r->results[i];
        const int8_t right = r->answers->right[i];
        struct hash128 hash;
        status = hash_pair(&r->answers->items[i], &hash, e);
        t->logits[2 * i] = (float)x->log_true;
        t->logits[2 * i + 1] = (float)x->log_false;
        t->option_mass[i] = (float)(exp(x->log_true) + exp(x->log_false));
        t->label[i] = right < 0 ? -1 : right ? 0 : 1;
        t->options[i] = 2;
        t->group[i] = groups->of[i];
        t->item_hash[2 * i] = hash.low;
        t->item_hash[2 * i + 1] = hash.high;
    }
    return status;
}

int p_true_trace_write(const struct p_true_trace *r, const char *path, struct plumb_error *e)
{
    char tokenizer[33], preset[33], chat[33], task[33];
    struct groups groups = {0};
    struct trace t = {0};
    size_t resumed = 0;
    struct chat *template = NULL;
    int status = make_groups(r->answers, &groups, e);
    if (status == PLUMB_OK && r->chat)
        status = chat_open(model_path(r->m), &template, e);
    hash_hex(tokenizer_hash(model_tokenizer(r->m)), tokenizer);
    hash_hex(self_check_wording_hash(r->wording), preset);
    hash_hex(r->answers->identity, task);
    if (template)
        hash_hex(chat_hash(template), chat);
    const struct trace_header h = {
        .n = r->answers->n,
        .n_options = 2,
        .model = model_name(r->m),
        .model_fingerprint = r->fingerprint,
        .architecture = model_config(r->m)->architecture->hf[0],
        .tokenizer_hash = tokenizer,
        .preset = "p-true",
        .preset_hash = preset,
        .chat_hash = template ? chat : NULL,
        .task = r->answers->task_name ? r->answers->task_name : "answers",
        .task_hash = task,
        .precision = precision_name(model_precision(r->m)),
        .arithmetic = model_arithmetic(r->m),
        .lens = "none",
        .score = TRACE_SCORE_LETTERS,
        .program = "plumb " PLUMB_VERSION,
        .groups = groups.names,
        .n_groups = groups.n,
        .total = r->answers->n,
    };
    if (status == PLUMB_OK)
        status = trace_create(path, &h, &t, &resumed, e);
    if (status == PLUMB_OK && resumed < h.n) {
        status = fill_trace(r, &groups, &t, e);
        if (status == PLUMB_OK)
            status = trace_commit(&t, NULL, h.n, e);
        if (status == PLUMB_OK)
            status = trace_finish(&t, e);
    }
    trace_close(&t);
    chat_close(template);
    mem_free(groups.names);
    mem_free(groups.of);
    return status;
}

/* Is the trace that is there this call's? */
bool p_true_trace_is_there(const struct p_true_trace *r, const char *path)
{
    char preset[33], task[33];
    struct trace t;
    hash_hex(self_check_wording_hash(r->wording), preset);
    hash_hex(r->answers->identity, task);
    if (trace_open(path, &t, NULL) != PLUMB_OK)
        return false;
    const bool same = strcmp(t.header.model_fingerprint, r->fingerprint) == 0 &&
                      strcmp(t.header.preset_hash, preset) == 0 &&
                      strcmp(t.header.task_hash, task) == 0 &&
                      strcmp(t.header.precision, precision_name(model_precision(r->m))) == 0 &&
                      (t.header.chat_hash != NULL) == r->chat;
    trace_close(&t);
    return same;
}
