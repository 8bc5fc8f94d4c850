/*
 * tokenizer_components.c - the parts of a tokenizer.json beside its vocabulary: normalizer, pre-tokenizer,
 * post-processor, decoder.
 *
 * A component, option or value that is not known here is refused by name: a tokenizer that is nearly right gives wrong
 * numbers without anybody noticing.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

/* ---- reading members ---- */

int json_only_keys(struct json object, const char *where, const char *const *known,
                   struct plumb_error *e)
{
    if (json_kind(object) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT, "%s is %s, expected an object", where,
                         json_kind_name(json_kind(object)));
    for (struct json_iterator i = json_each(object); json_next(&i);) {
        const char *const *k = known;
        while (*k && strcmp(*k, i.key) != 0)
            k++;
        if (!*k)
            return error_set(e, PLUMB_INPUT, "%s has the member '%.80s', which is not supported",
                             where, i.key);
    }
    return PLUMB_OK;
}

static int want_string(struct json object, const char *key, const char *where, const char **s,
                       size_t *n, struct plumb_error *e)
{
    struct json v = json_get(object, key);
    if (json_string(v, s, n))
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "%s: '%s' is %s, expected a string", where, key,
                     json_kind_name(json_kind(v)));
}

/* Leaves *out as it is when the member is absent and `required` is false. */
static int want_bool(struct json object, const char *key, const char *where, bool required,
                     bool *out, struct plumb_error *e)
{
    struct json v = json_get(object, key);
    if (json_bool(v, out) || (!required && !json_exists(v)))
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "%s: '%s' is %s, expected true or false", where, key,
                     json_kind_name(json_kind(v)));
}

/* {"String": "..."} or {"Regex": "..."} */
static int want_pattern(struct json object, const char *where, const char **s, size_t *n,
                        bool *literal, struct plumb_error *e)
{
    struct json pattern = json_get(object, "pattern");
    *literal = json_string(json_get(pattern, "String"), s, n);
    if (json_size(pattern) == 1 && (*literal || json_string(json_get(pattern, "Regex"), s, n)))
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "%s: 'pattern' is not {\"String\": ...} or {\"Regex\": ...}",
                     where);
}

/* One character, with its NUL, into mark[5]. */
static int want_character(struct json object, const char *key, const char *where, char mark[5],
                          struct plumb_error *e)
{
    const char *s;
    size_t n;
    uint32_t c;
    int status = want_string(object, key, where, &s, &n, e);
    if (status)
        return status;
    if (n == 0 || n > 4 || memchr(s, 0, n) || utf8_decode(s, n, &c) != (int)n)
        return error_set(e, PLUMB_INPUT, "%s: '%s' is '%.40s', expected one character", where, key,
                         s);
    memcpy(mark, s, n);
    mark[n] = '\0';
    return PLUMB_OK;
}

static int want_type(struct json object, const char *where, const char **type,
                     struct plumb_error *e)
{
    size_t n;
    if (json_kind(object) != JSON_OBJECT)
        return error_set(e, PLUMB_INPUT, "the %s is %s, expected an object or null", where,
                         json_kind_name(json_kind(object)));
    int status = want_string(object, "type", where, type, &n, e);
    if (status == PLUMB_OK && strlen(*type) != n)
        return error_set(e, PLUMB_INPUT, "the %s has a type with a NUL in it", where);
    return status;
}

static int refuse_type(const char *where, const char *type, struct plumb_error *e)
{
    return error_set(e, PLUMB_INPUT, "the %s '%.80s' is not supported", where, type);
}

static int want_list(struct json object, const char *key, const char *where, struct json *list,
                     struct plumb_error *e)
{
    *list = json_get(object, key);
    if (json_kind(*list) == JSON_ARRAY)
        return PLUMB_OK;
    return error_set(e, PLUMB_INPUT, "%s: '%s' is %s, expected an array", where, key,
                     json_kind_name(json_kind(*list)));
}

#define ONLY(object, where, ...)                                                                   \
    json_only_keys(object, where, (const char *const[]){"type", __VA_ARGS__}, e)

/* ---- normalizer ---- */

static int read_normalizer(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    static const struct {
        const char *name;
        enum normalizer_kind kind;
    } plain[] = {{"NFC", NORMALIZE_NFC},
                 {"NFD", NORMALIZE_NFD},
                 {"NFKC", NORMALIZE_NFKC},
                 {"NFKD", NORMALIZE_NFKD},
                 {"Lowercase", NORMALIZE_LOWERCASE}};
    const char *where = "normalizer", *type = NULL, *s;
    size_t n;
    int status = want_type(v, where, &type, e);
    if (status)
        return status;

    if (strcmp(type, "Sequence") == 0) {
        struct json list;
        if ((status = ONLY(v, where, "normalizers", NULL)) ||
            (status = want_list(v, "normalizers", where, &list, e)))
            return status;
        for (struct json_iterator i = json_each(list); status == PLUMB_OK && json_next(&i);)
            status = read_normalizer(t, i.value, e);
        return status;
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcmp(type, plain[i].name) == 0) {
            if ((status = ONLY(v, where, NULL)))
                return status;
            return tokenizer_add_normalizer(t, plain[i].kind) ? PLUMB_OK
                                                              : error_memory(e, "the normalizer");
        }
    if (strcmp(type, "Strip") == 0) {
        bool left = false, right = false;
        if ((status = ONLY(v, where, "strip_left", "strip_right", NULL)) ||
            (status = want_bool(v, "strip_left", where, true, &left, e)) ||
            (status = want_bool(v, "strip_right", where, true, &right, e)))
            return status;
        struct normalizer *z = tokenizer_add_normalizer(t, NORMALIZE_STRIP);
        if (!z)
            return error_memory(e, "the normalizer");
        z->left = left;
        z->right = right;
        return PLUMB_OK;
    }
    if (strcmp(type, "Prepend") == 0) {
        if ((status = ONLY(v, where, "prepend", NULL)) ||
            (status = want_string(v, "prepend", where, &s, &n, e)))
            return status;
        struct normalizer *z = tokenizer_add_normalizer(t, NORMALIZE_PREPEND);
        if (!z || !(z->text = mem_strndup(s, n)))
            return error_memory(e, "the normalizer");
        z->size = n;
        return PLUMB_OK;
    }
    if (strcmp(type, "Replace") == 0) {
        const char *by;
        size_t by_size;
        bool literal;
        if ((status = ONLY(v, where, "pattern", "content", NULL)) ||
            (status = want_pattern(v, where, &s, &n, &literal, e)) ||
            (status = want_string(v, "content", where, &by, &by_size, e)))
            return status;
        return tokenizer_add_replace(t, false, s, n, literal, by, by_size, e);
    }
    return refuse_type(where, type, e);
}

/* ---- pre-tokenizer ---- */

static int want_behavior(struct json v, const char *where, bool required, enum split_behavior *out,
                         struct plumb_error *e)
{
    static const struct {
        const char *name;
        enum split_behavior value;
    } names[] = {{"Removed", SPLIT_REMOVED},
                 {"Isolated", SPLIT_ISOLATED},
                 {"MergedWithPrevious", SPLIT_MERGED_WITH_PREVIOUS},
                 {"MergedWithNext", SPLIT_MERGED_WITH_NEXT},
                 {"Contiguous", SPLIT_CONTIGUOUS}};
    struct json behavior = json_get(v, "behavior");
    if (!required && !json_exists(behavior))
        return PLUMB_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_is_string(behavior, names[i].name)) {
            *out = names[i].value;
            return PLUMB_OK;
        }
    return error_set(
        e, PLUMB_INPUT,
        "%s: 'behavior' is not Removed, Isolated, MergedWithPrevious, MergedWithNext or "
        "Contiguous",
        where);
}

static int want_scheme(struct json v, const char *where, enum prepend_scheme *out,
                       struct plumb_error *e)
{
    struct json scheme = json_get(v, "prepend_scheme");
    bool prefix = true; /* the older form of the option */
    int status = want_bool(v, "add_prefix_space", where, false, &prefix, e);
    if (status)
        return status;
    *out = prefix ? PREPEND_ALWAYS : PREPEND_NEVER;
    if (!json_exists(scheme))
        return PLUMB_OK;
    if (json_is_string(scheme, "always"))
        *out = PREPEND_ALWAYS;
    else if (json_is_string(scheme, "first"))
        *out = PREPEND_FIRST;
    else if (json_is_string(scheme, "never"))
        *out = PREPEND_NEVER;
    else
        return error_set(e, PLUMB_INPUT, "%s: 'prepend_scheme' is not always, first or never",
                         where);
    if (!prefix && *out != PREPEND_NEVER)
        return error_set(e, PLUMB_INPUT,
                         "%s: 'add_prefix_space' is false but 'prepend_scheme' is not never",
                         where);
    return PLUMB_OK;
}

static int read_byte_level(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    const char *where = "pre-tokenizer ByteLevel";
    bool prefix = true, regex = true, ignored;
    int status;
    if ((status = ONLY(v, where, "add_prefix_space", "trim_offsets", "use_regex", NULL)) ||
        (status = want_bool(v, "add_prefix_space", where, true, &prefix, e)) ||
        (status = want_bool(v, "trim_offsets", where, false, &ignored, e)) ||
        (status = want_bool(v, "use_regex", where, false, &regex, e)))
        return status;
    if (prefix && !tokenizer_add_pretokenizer(t, PRETOKENIZE_SPACE))
        return error_memory(e, "the pre-tokenizer");
    if (regex)
        status = tokenizer_add_split(t, pattern_gpt2, strlen(pattern_gpt2), false, SPLIT_ISOLATED,
                                     false, e);
    if (status == PLUMB_OK && !tokenizer_add_pretokenizer(t, PRETOKENIZE_BYTES))
        status = error_memory(e, "the pre-tokenizer");
    return status;
}

static int read_metaspace(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    const char *where = "pre-tokenizer Metaspace";
    bool split = true;
    char mark[5];
    enum prepend_scheme scheme;
    int status;
    if ((status = ONLY(v, where, "replacement", "add_prefix_space", "prepend_scheme", "split",
                       "str_rep", NULL)) ||
        (status = want_character(v, "replacement", where, mark, e)) ||
        (status = want_scheme(v, where, &scheme, e)) ||
        (status = want_bool(v, "split", where, false, &split, e)))
        return status;
    struct pretokenizer *p = tokenizer_add_pretokenizer(t, PRETOKENIZE_METASPACE);
    if (!p)
        return error_memory(e, "the pre-tokenizer");
    p->prepend = scheme;
    memcpy(p->mark, mark, sizeof mark);
    return split
               ? tokenizer_add_split(t, mark, strlen(mark), true, SPLIT_MERGED_WITH_NEXT, false, e)
               : PLUMB_OK;
}

static int read_split(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    const char *where = "pre-tokenizer Split", *s;
    size_t n;
    bool literal, invert = false;
    enum split_behavior behavior = SPLIT_ISOLATED;
    int status;
    if ((status = ONLY(v, where, "pattern", "behavior", "invert", NULL)) ||
        (status = want_pattern(v, where, &s, &n, &literal, e)) ||
        (status = want_behavior(v, where, true, &behavior, e)) ||
        (status = want_bool(v, "invert", where, false, &invert, e)))
        return status;
    return tokenizer_add_split(t, s, n, literal, behavior, invert, e);
}

static int add_known_split(struct tokenizer *t, const char *pattern, enum split_behavior behavior,
                           bool invert, struct plumb_error *e)
{
    return tokenizer_add_split(t, pattern, strlen(pattern), false, behavior, invert, e);
}

/* \w of Rust's regex, which the pre-tokenizer Whitespace uses. */
#define RUST_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"

static int read_pretokenizer(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    const char *where = "pre-tokenizer", *type = NULL;
    int status = want_type(v, where, &type, e);
    if (status)
        return status;

    if (strcmp(type, "Sequence") == 0) {
        struct json list;
        if ((status = ONLY(v, where, "pretokenizers", NULL)) ||
            (status = want_list(v, "pretokenizers", where, &list, e)))
            return status;
        for (struct json_iterator i = json_each(list); status == PLUMB_OK && json_next(&i);)
            status = read_pretokenizer(t, i.value, e);
        return status;
    }
    if (strcmp(type, "ByteLevel") == 0)
        return read_byte_level(t, v, e);
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(t, v, e);
    if (strcmp(type, "Split") == 0)
        return read_split(t, v, e);
    if (strcmp(type, "Digits") == 0) {
        bool individual = false;
        if ((status = ONLY(v, where, "individual_digits", NULL)) ||
            (status = want_bool(v, "individual_digits", where, false, &individual, e)))
            return status;
        return add_known_split(t, "\\p{N}", individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, false,
                               e);
    }
    if (strcmp(type, "Punctuation") == 0) {
        enum split_behavior behavior = SPLIT_ISOLATED;
        if ((status = ONLY(v, where, "behavior", NULL)) ||
            (status = want_behavior(v, where, false, &behavior, e)))
            return status;
        return add_known_split(t, "[!-/:-@\\[-`{-~\\p{P}]", behavior, false, e);
    }
    if (strcmp(type, "Whitespace") == 0) {
        if ((status = ONLY(v, where, NULL)))
            return status;
        return add_known_split(t, "[" RUST_WORD "]+|[^\\s" RUST_WORD "]+", SPLIT_REMOVED, true, e);
    }
    if (strcmp(type, "WhitespaceSplit") == 0) {
        if ((status = ONLY(v, where, NULL)))
            return status;
        return add_known_split(t, "\\s", SPLIT_REMOVED, false, e);
    }
    return refuse_type(where, type, e);
}

/* ---- post-processor ---- */

/* Puts `ids` before (or behind) what is there already. */
static int add_around(int32_t **list, size_t *count, bool in_front, int32_t id, size_t place,
                      struct plumb_error *e)
{
    int32_t *larger = mem_resize(*list, *count + 1, sizeof *larger);
    if (!larger)
        return error_memory(e, "the post-processor");
    *list = larger;
    size_t at = in_front ? place : *count;
    memmove(larger + at + 1, larger + at, (*count - at) * sizeof *larger);
    larger[at] = id;
    ++*count;
    return PLUMB_OK;
}

static int add_template_token(struct tokenizer *t, struct json special_tokens, struct json piece,
                              bool in_front, size_t *place, struct plumb_error *e)
{
    const char *where = "post-processor TemplateProcessing", *name = NULL;
    size_t n;
    int status = want_string(piece, "id", where, &name, &n, e);
    if (status)
        return status;
    struct json ids = json_get(json_get(special_tokens, name), "ids");
    if (json_kind(ids) != JSON_ARRAY)
        return error_set(e, PLUMB_INPUT, "%s: the special token '%.80s' has no ids", where, name);
    for (struct json_iterator i = json_each(ids); status == PLUMB_OK && json_next(&i);) {
        int64_t id = -1;
        if (!json_integer(i.value, &id) || id < 0 || id >= t->vocabulary.size ||
            !t->vocabulary.flags[id])
            return error_set(e, PLUMB_INPUT,
                             "%s: '%.80s' has the id %lld, which is not in the vocabulary", where,
                             name, (long long)id);
        status = in_front
                     ? add_around(&t->prefix, &t->prefix_count, true, (int32_t)id, (*place)++, e)
                     : add_around(&t->suffix, &t->suffix_count, false, (int32_t)id, 0, e);
    }
    return status;
}

static int read_template(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    const char *where = "post-processor TemplateProcessing";
    struct json single, special_tokens = json_get(v, "special_tokens");
    int status;
    if ((status = ONLY(v, where, "single", "pair", "special_tokens", NULL)) ||
        (status = want_list(v, "single", where, &single, e)))
        return status;
    size_t place = 0, texts = 0;
    for (struct json_iterator i = json_each(single); status == PLUMB_OK && json_next(&i);) {
        struct json special = json_get(i.value, "SpecialToken"),
                    sequence = json_get(i.value, "Sequence");
        if (json_exists(special))
            status = add_template_token(t, special_tokens, special, texts == 0, &place, e);
        else if (json_is_string(json_get(sequence, "id"), "A"))
            texts++;
        else
            status =
                error_set(e, PLUMB_INPUT,
                          "%s: piece %zu of 'single' is neither a special token nor sequence A",
                          where, i.index);
    }
    if (status == PLUMB_OK && texts != 1)
        status = error_set(e, PLUMB_INPUT, "%s: 'single' has the text %zu times, expected once",
                           where, texts);
    return status;
}

static int read_postprocessor(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    const char *where = "post-processor", *type = NULL;
    int status = want_type(v, where, &type, e);
    if (status)
        return status;
    if (strcmp(type, "Sequence") == 0) {
        struct json list;
        if ((status = ONLY(v, where, "processors", NULL)) ||
            (status = want_list(v, "processors", where, &list, e)))
            return status;
        for (struct json_iterator i = json_each(list); status == PLUMB_OK && json_next(&i);)
            status = read_postprocessor(t, i.value, e);
        return status;
    }
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(t, v, e);
    if (strcmp(type, "ByteLevel") == 0) /* changes offsets only */
        return ONLY(v, where, "add_prefix_space", "trim_offsets", "use_regex", NULL);
    return refuse_type(where, type, e);
}

/* ---- decoder ---- */

static int want_count(struct json v, const char *key, const char *where, size_t *out,
                      struct plumb_error *e)
{
    int64_t value = -1;
    if (!json_integer(json_get(v, key), &value) || value < 0 || value > INT32_MAX)
        return error_set(e, PLUMB_INPUT, "%s: '%s' is not a count", where, key);
    *out = (size_t)value;
    return PLUMB_OK;
}

static int read_decoder(struct tokenizer *t, struct json v, struct plumb_error *e)
{
    static const struct {
        const char *name;
        enum decoder_kind kind;
    } plain[] = {{"ByteFallback", DECODE_BYTE_FALLBACK},
                 {"Fuse", DECODE_FUSE},
                 {"ByteLevel", DECODE_BYTES},
                 {"Strip", DECODE_STRIP},
                 {"Metaspace", DECODE_METASPACE}};
    const char *where = "decoder", *type = NULL, *s, *by;
    size_t n, by_size;
    bool literal;
    int status = want_type(v, where, &type, e);
    if (status)
        return status;
    if (strcmp(type, "Sequence") == 0) {
        struct json list;
        if ((status = ONLY(v, where, "decoders", NULL)) ||
            (status = want_list(v, "decoders", where, &list, e)))
            return status;
        for (struct json_iterator i = json_each(list); status == PLUMB_OK && json_next(&i);)
            status = read_decoder(t, i.value, e);
        return status;
    }
    if (strcmp(type, "Replace") == 0) {
        if ((status = ONLY(v, where, "pattern", "content", NULL)) ||
            (status = want_pattern(v, where, &s, &n, &literal, e)) ||
            (status = want_string(v, "content", where, &by, &by_size, e)))
            return status;
        return tokenizer_add_replace(t, true, s, n, literal, by, by_size, e);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(type, plain[i].name) != 0)
            continue;
        struct decoder d = {.kind = plain[i].kind};
        enum prepend_scheme scheme = PREPEND_ALWAYS;
        if (d.kind == DECODE_STRIP) {
            if ((status = ONLY(v, where, "content", "start", "stop", NULL)) ||
                (status = want_character(v, "content", where, d.mark, e)) ||
                (status = want_count(v, "start", where, &d.start, e)) ||
                (status = want_count(v, "stop", where, &d.stop, e)))
                return status;
        } else if (d.kind == DECODE_METASPACE) {
            if ((status = ONLY(v, where, "replacement", "add_prefix_space", "prepend_scheme",
                               "split", "str_rep", NULL)) ||
                (status = want_character(v, "replacement", where, d.mark, e)) ||
                (status = want_scheme(v, where, &scheme, e)))
                return status;
            d.drop_first = scheme != PREPEND_NEVER;
        } else if ((status =
                        ONLY(v, where, "add_prefix_space", "trim_offsets", "use_regex", NULL))) {
            return status;
        }
        struct decoder *place = tokenizer_add_decoder(t, d.kind);
        if (!place)
            return error_memory(e, "the decoder");
        *place = d;
        return PLUMB_OK;
    }
    return refuse_type(where, type, e);
}

/* ---- all of them ---- */

int components_read(struct tokenizer *t, struct json root, struct plumb_error *e)
{
    struct json normalizer = json_get(root, "normalizer"),
                pretokenizer = json_get(root, "pre_tokenizer"),
                postprocessor = json_get(root, "post_processor"),
                decoder = json_get(root, "decoder");
    int status = json_exists(normalizer) ? read_normalizer(t, normalizer, e) : PLUMB_OK;
    if (status == PLUMB_OK && json_exists(pretokenizer))
        status = read_pretokenizer(t, pretokenizer, e);
    if (status == PLUMB_OK && json_exists(postprocessor))
        status = read_postprocessor(t, postprocessor, e);
    if (status == PLUMB_OK && json_exists(decoder))
        status = read_decoder(t, decoder, e);
    t->joined_by_space = !json_exists(decoder);
    return status;
}
