/*
 * json_read.cpp - reads JSON with simdjson's DOM (https://simdjson.org; Langdale and Lemire, VLDB
 * Journal 2019), behind the C functions of json.h. C++ because simdjson has no C
 * interface. No exception leaves it: simdjson and this file report errors as values only.
 *
 * What simdjson does not promise and json.h does is checked here after the parse, in one walk over
 * the document: no duplicate keys, the exact depth. Integers beyond 64 bits,
 * which simdjson refuses and JSON allows (tokenizer_config.json files carry 10^30), are rewritten
 * as doubles and parsed again.
 */
#include <cstring>
#include <new>
#include <type_traits>

#include <simdjson.h>
#include <unistd.h>

extern "C" {
#include "base/file.h"
#include "base/json.h"
#include "base/json_locate.h"
#include "base/memory.h"
#include "base/size.h"
}

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dom = simdjson::dom;

namespace
{
constexpr int max_depth = 64;

/* struct json is a dom::element in C's clothes: a pointer to the document and a place in it. */
static_assert(sizeof(json) == sizeof(dom::element), "struct json cannot hold an element");
static_assert(std::is_trivially_copyable<dom::element>::value, "an element is not plain bytes");

json from_element(dom::element element)
{
    json v;
    std::memcpy(&v, &element, sizeof v);
    return v;
}

/* Only for a v that is not absent. */
dom::element to_element(json v)
{
    dom::element element;
    std::memcpy(static_cast<void *>(&element), &v, sizeof v);
    return element;
}

/* An iterator of simdjson is the same pair; an end differs from its begin in the place only. */
struct place {
    const void *document;
    size_t index;
};
static_assert(sizeof(dom::array::iterator) == sizeof(place), "unknown array iterator");
static_assert(sizeof(dom::object::iterator) == sizeof(place), "unknown object iterator");
static_assert(std::is_trivially_copyable<dom::array::iterator>::value, "array iterator");
static_assert(std::is_trivially_copyable<dom::object::iterator>::value, "object iterator");

template <typename Iterator> place to_place(Iterator i)
{
    place p;
    std::memcpy(&p, &i, sizeof p);
    return p;
}

template <typename Iterator> Iterator from_place(place p)
{
    Iterator i;
    std::memcpy(static_cast<void *>(&i), &p, sizeof p);
    return i;
}

/* ---- the walk after the parse ---- */

/* A set of the keys of one object, emptied for the next. Small objects are compared directly. */
struct key_set {
    struct slot {
        const char *key; /* null: free */
        uint32_t size;
        uint32_t tag; /* the upper half of the hash */
    };
    slot *slots = nullptr;
    size_t capacity = 0; /* a power of two */
};

struct walk {
    const char *what;
    plumb_error *e;
    key_set keys;
};

int error_duplicate(const walk &w, const char *key, size_t n)
{
    return error_set(
        w.e, PLUMB_INPUT,
        "%s: an object has the key \"%.*s\" twice, expected every key once; remove one", w.what,
        n > 100 ? 100 : static_cast<int>(n), key);
}

/* Room for `count` keys at half load, all free. */
bool keys_clear(key_set &set, size_t count)
{
    size_t capacity = 64;
    while (capacity < 2 * count)
        capacity *= 2;
    if (capacity > set.capacity) {
        mem_free(set.slots);
        set.capacity = 0;
        set.slots = static_cast<key_set::slot *>(mem_zalloc(capacity, sizeof *set.slots));
        if (!set.slots)
            return false;
        set.capacity = capacity;
    } else {
        std::memset(static_cast<void *>(set.slots), 0, capacity * sizeof *set.slots);
    }
    return true;
}

int check_keys_many(walk &w, dom::object object, size_t count)
{
    size_t capacity = 64;
    while (capacity < 2 * count)
        capacity *= 2;
    if (!keys_clear(w.keys, count))
        return error_memory(w.e, "the keys of a JSON object");
    for (auto i = object.begin(), end = object.end(); i != end; ++i) {
        const char *key = i.key_c_str();
        const uint32_t n = i.key_length();
        const uint64_t hash = XXH3_64bits(key, n);
        const uint32_t tag = static_cast<uint32_t>(hash >> 32);
        size_t at = static_cast<size_t>(hash) & (capacity - 1);
        for (const key_set::slot *slot; (slot = &w.keys.slots[at])->key;
             at = (at + 1) & (capacity - 1))
            if (slot->tag == tag && slot->size == n && std::memcmp(slot->key, key, n) == 0)
                return error_duplicate(w, key, n);
        w.keys.slots[at] = {key, n, tag};
    }
    return PLUMB_OK;
}

int check_keys(walk &w, dom::object object)
{
    constexpr size_t few = 16;
    const char *keys[few];
    uint32_t sizes[few];
    size_t count = 0;
    for (auto i = object.begin(), end = object.end(); i != end; ++i, ++count) {
        const char *key = i.key_c_str();
        const uint32_t n = i.key_length();
        if (count >= few)
            continue;
        for (size_t j = 0; j < count; j++)
            if (sizes[j] == n && std::memcmp(keys[j], key, n) == 0)
                return error_duplicate(w, key, n);
        keys[count] = key;
        sizes[count] = n;
    }
    return count > few ? check_keys_many(w, object, count) : PLUMB_OK;
}

/* depth: of the containers around this value. */
int check_value(walk &w, dom::element v, int depth)
{
    const bool container = v.is_array() || v.is_object();
    if (container && depth >= max_depth)
        return error_set(w.e, PLUMB_INPUT,
                         "%s: nested more than %d deep, expected less; flatten it", w.what,
                         max_depth);
    if (v.is_array()) {
        dom::array array;
        if (v.get(array))
            return PLUMB_OK;
        for (dom::element element : array)
            if (int status = check_value(w, element, depth + 1))
                return status;
    } else if (v.is_object()) {
        dom::object object;
        if (v.get(object))
            return PLUMB_OK;
        if (int status = check_keys(w, object))
            return status;
        for (auto i = object.begin(), end = object.end(); i != end; ++i)
            if (int status = check_value(w, i.value(), depth + 1))
                return status;
    }
    return PLUMB_OK;
}

/* ---- the parse ---- */

/* Does the integer of these digits lie beyond int64? A 19th digit may do it, a 20th does. */
bool beyond_int64(const char *digits, size_t n, bool negative)
{
    const char *last = negative ? "9223372036854775808" : "9223372036854775807";
    return n > 19 || (n == 19 && std::memcmp(digits, last, 19) > 0);
}

/* A copy of the text with ".0" behind every integer too long for 64 bits, so that it is read as a
   double; null when there is none such, or no memory. The caller knows that the text has an
   impossible number somewhere. */
char *widen_integers(const char *text, size_t n, size_t *size, bool *no_memory)
{
    buffer b = {};
    bool in_string = false, changed = false;
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        if (in_string) {
            in_string = text[i] != '"';
            i += text[i] == '\\' ? 2 : 1;
        } else if (text[i] >= '0' && text[i] <= '9') {
            size_t end = i;
            while (end < n && text[end] >= '0' && text[end] <= '9')
                end++;
            const bool integer = end == n || (text[end] != '.' && (text[end] | 0x20) != 'e');
            const bool whole =
                i == 0 || (text[i - 1] != '.' && (text[i - 1] | 0x20) != 'e' && text[i - 1] != '+');
            const bool exponent = i > 1 && text[i - 1] == '-' && (text[i - 2] | 0x20) == 'e';
            if (integer && whole && !exponent &&
                beyond_int64(text + i, end - i, i > 0 && text[i - 1] == '-')) {
                buffer_add(&b, text + from, end - from);
                buffer_puts(&b, ".0");
                from = end;
                changed = true;
            }
            i = end;
        } else {
            in_string = text[i] == '"';
            i++;
        }
    }
    if (changed)
        buffer_add(&b, text + from, n - from);
    const char padding[simdjson::SIMDJSON_PADDING] = {0};
    *size = b.size;
    if (changed)
        buffer_add(&b, padding, sizeof padding);
    *no_memory = b.failed;
    if (!changed || b.failed)
        buffer_free(&b);
    return b.data;
}

int error_syntax(plumb_error *e, const char *what, const char *text, size_t n,
                 simdjson::error_code code)
{
    json_fault fault;
    char where[400];
    if (code == simdjson::MEMALLOC)
        return error_memory(e, what);
    if (code == simdjson::CAPACITY)
        return error_set(e, PLUMB_INPUT, "%s: JSON of 4 GiB or more, expected less; split it",
                         what);
    if (json_locate(text, n, &fault)) {
        json_fault_describe(text, n, &fault, where, sizeof where);
        return error_set(e, PLUMB_INPUT, "%s: not valid JSON: %s", what, where);
    }
    if (code == simdjson::NUMBER_ERROR)
        return error_set(e, PLUMB_INPUT,
                         "%s: a number is too large, expected at most 1.8e308 (a double)", what);
    return error_set(e, PLUMB_INPUT, "%s: not valid JSON: %s", what, simdjson::error_message(code));
}
} // namespace

struct json_document {
    dom::document document;
};

namespace
{
simdjson::error_code parse_into(dom::document &document, const char *text, size_t n)
{
    dom::parser parser; /* its working memory, four bytes for each of the text, goes at the end of
                           the parse */
    simdjson::error_code code = parser.allocate(n < 64 ? 64 : n, max_depth + 2);
    if (code)
        return code;
    return parser.parse_into_document(document, text, n, false).error();
}

/* The text is followed by SIMDJSON_PADDING readable bytes. */
int parse_padded(const char *text, size_t n, const char *what, json_document **out, plumb_error *e)
{
    void *memory = mem_alloc(sizeof(json_document));
    if (!memory)
        return error_memory(e, "a JSON document");
    json_document *d = new (memory) json_document;
    walk w = {what, e, {}};
    simdjson::error_code code = parse_into(d->document, text, n);
    int status = PLUMB_OK;
    if (code == simdjson::NUMBER_ERROR) {
        size_t size = 0;
        bool no_memory = false;
        char *wider = widen_integers(text, n, &size, &no_memory);
        if (wider)
            code = parse_into(d->document, wider, size);
        else if (no_memory)
            code = simdjson::MEMALLOC;
        mem_free(wider);
    }
    if (code) {
        status = error_syntax(e, what, text, n, code);
    } else {
        status = check_value(w, d->document.root(), 0);
    }
    mem_free(w.keys.slots);
    if (status != PLUMB_OK) {
        json_close(d);
        return status;
    }
    *out = d;
    return PLUMB_OK;
}
} // namespace

extern "C" {

int json_parse(const char *text, size_t n, const char *what, struct json_document **out,
               struct plumb_error *e)
{
    *out = nullptr;
    size_t size;
    if (!size_add(n, simdjson::SIMDJSON_PADDING, &size))
        return error_syntax(e, what, text, n, simdjson::CAPACITY);
    char *copy = static_cast<char *>(mem_alloc(size));
    if (!copy)
        return error_memory(e, what);
    if (n)
        std::memcpy(copy, text, n);
    std::memset(copy + n, 0, size - n);
    const int status = parse_padded(copy, n, what, out, e);
    mem_free(copy);
    return status;
}

int json_open(const char *path, struct json_document **out, struct plumb_error *e)
{
    *out = nullptr;
    file_map map;
    if (int status = file_map_open(path, &map, e))
        return status;
    const char *text = reinterpret_cast<const char *>(map.data);
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    /* The rest of a mapping's last page is readable zeros: mostly enough padding, and then no copy
     * is needed. */
    const bool padded =
        map.size % page != 0 && page - map.size % page >= simdjson::SIMDJSON_PADDING;
    const int status = padded ? parse_padded(text, map.size, path, out, e)
                              : json_parse(text, map.size, path, out, e);
    file_map_close(&map);
    return status;
}

void json_close(struct json_document *d)
{
    if (!d)
        return;
    d->~json_document();
    mem_free(d);
}

struct json json_root(const struct json_document *d)
{
    return d ? from_element(d->document.root()) : json{};
}

enum json_kind json_kind(struct json v)
{
    if (!v.document)
        return JSON_ABSENT;
    switch (to_element(v).type()) {
    case dom::element_type::NULL_VALUE:
        return JSON_NULL;
    case dom::element_type::BOOL:
        return JSON_BOOL;
    case dom::element_type::INT64:
        return JSON_INTEGER;
    case dom::element_type::UINT64: /* simdjson's kind for what is beyond int64 */
    case dom::element_type::DOUBLE:
        return JSON_DOUBLE;
    case dom::element_type::STRING:
        return JSON_STRING;
    case dom::element_type::ARRAY:
        return JSON_ARRAY;
    case dom::element_type::OBJECT:
        return JSON_OBJECT;
    }
    return JSON_ABSENT;
}

const char *json_kind_name(enum json_kind k)
{
    switch (k) {
    case JSON_ABSENT:
        return "nothing";
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "true or false";
    case JSON_INTEGER:
        return "an integer";
    case JSON_DOUBLE:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "an array";
    case JSON_OBJECT:
        return "an object";
    }
    return "nothing";
}

struct json json_get(struct json object, const char *key)
{
    dom::element value;
    if (!object.document || to_element(object).at_key(key).get(value))
        return json{};
    return from_element(value);
}

struct json json_at(struct json array, size_t i)
{
    dom::element value;
    if (!array.document || to_element(array).at(i).get(value))
        return json{};
    return from_element(value);
}

size_t json_size(struct json v)
{
    constexpr size_t saturated = 0xFFFFFF; /* simdjson keeps 24 bits of a count */
    dom::array array;
    dom::object object;
    size_t count = 0;
    if (!v.document)
        return 0;
    if (!to_element(v).get(array)) {
        if ((count = array.size()) < saturated)
            return count;
        count = 0;
        for (auto i = array.begin(), end = array.end(); i != end; ++i)
            count++;
    } else if (!to_element(v).get(object)) {
        if ((count = object.size()) < saturated)
            return count;
        count = 0;
        for (auto i = object.begin(), end = object.end(); i != end; ++i)
            count++;
    }
    return count;
}

bool json_exists(struct json v)
{
    return v.document && !to_element(v).is_null();
}

bool json_string(struct json v, const char **s, size_t *n)
{
    std::string_view text;
    if (!v.document || to_element(v).get(text))
        return false;
    *s = text.data();
    *n = text.size();
    return true;
}

bool json_integer(struct json v, int64_t *out)
{
    double number;
    if (!v.document)
        return false;
    if (!to_element(v).get_int64().get(*out))
        return true;
    if (to_element(v).type() != dom::element_type::DOUBLE || to_element(v).get(number))
        return false;
    constexpr double limit =
        9223372036854775808.0; /* 2^63: the first that does not fit; -2^63 does */
    if (!(number >= -limit && number < limit) ||
        number != static_cast<double>(static_cast<int64_t>(number)))
        return false;
    *out = static_cast<int64_t>(number);
    return true;
}

bool json_number(struct json v, double *out)
{
    double number;
    if (!v.document || to_element(v).get(number)) /* takes the integers, too */
        return false;
    *out = number;
    return true;
}

bool json_bool(struct json v, bool *out)
{
    bool value;
    if (!v.document || to_element(v).get(value))
        return false;
    *out = value;
    return true;
}

bool json_is_string(struct json v, const char *equal_to)
{
    std::string_view text;
    return v.document && !to_element(v).get(text) && text == equal_to;
}

/* state: the document, the place, the end, and whether it is an object. */
struct json_iterator json_each(struct json v)
{
    json_iterator each = {};
    dom::array array;
    dom::object object;
    place at = {}, end = {};
    if (!v.document)
        return each;
    if (!to_element(v).get(array)) {
        at = to_place(array.begin());
        end = to_place(array.end());
    } else if (!to_element(v).get(object)) {
        at = to_place(object.begin());
        end = to_place(object.end());
        each.state[3] = 1;
    }
    each.state[0] = reinterpret_cast<uintptr_t>(at.document);
    each.state[1] = at.index;
    each.state[2] = end.index;
    each.index = SIZE_MAX; /* json_next makes it 0 */
    return each;
}

bool json_next(struct json_iterator *i)
{
    if (i->state[1] == i->state[2])
        return false;
    const place at = {reinterpret_cast<const void *>(static_cast<uintptr_t>(i->state[0])),
                      static_cast<size_t>(i->state[1])};
    if (i->state[3]) {
        auto member = from_place<dom::object::iterator>(at);
        i->key = member.key_c_str();
        i->key_size = member.key_length();
        i->value = from_element(member.value());
        i->state[1] = to_place(++member).index;
    } else {
        auto element = from_place<dom::array::iterator>(at);
        i->value = from_element(*element);
        i->state[1] = to_place(++element).index;
    }
    i->index++;
    return true;
}

} // extern "C"
