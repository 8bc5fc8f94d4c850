/*
 * tensor_role.c - see tensor_role.h.
 */
#include "model/tensor_role.h"

#include <stdlib.h>
#include <string.h>

#include "model/weights_read.h"

static const struct {
    const char *name;
    size_t pattern; /* where the pattern stands in struct tensor_names */
} roles[ROLE_NONE] = {
    [ROLE_EMBEDDING] = {"embedding", offsetof(struct tensor_names, embedding)},
    [ROLE_POSITION] = {"position", offsetof(struct tensor_names, position)},
    [ROLE_FINAL_NORM] = {"final_norm", offsetof(struct tensor_names, final_norm)},
    [ROLE_HEAD] = {"head", offsetof(struct tensor_names, head)},
    [ROLE_ATTENTION_NORM] = {"attention_norm", offsetof(struct tensor_names, attention_norm)},
    [ROLE_ATTENTION_POST_NORM] = {"attention_post_norm",
                                  offsetof(struct tensor_names, attention_post_norm)},
    [ROLE_MLP_NORM] = {"mlp_norm", offsetof(struct tensor_names, mlp_norm)},
    [ROLE_MLP_POST_NORM] = {"mlp_post_norm", offsetof(struct tensor_names, mlp_post_norm)},
    [ROLE_Q] = {"q", offsetof(struct tensor_names, q)},
    [ROLE_K] = {"k", offsetof(struct tensor_names, k)},
    [ROLE_V] = {"v", offsetof(struct tensor_names, v)},
    [ROLE_QKV] = {"qkv", offsetof(struct tensor_names, qkv)},
    [ROLE_O] = {"o", offsetof(struct tensor_names, o)},
    [ROLE_Q_NORM] = {"q_norm", offsetof(struct tensor_names, q_norm)},
    [ROLE_K_NORM] = {"k_norm", offsetof(struct tensor_names, k_norm)},
    [ROLE_GATE] = {"gate", offsetof(struct tensor_names, gate)},
    [ROLE_UP] = {"up", offsetof(struct tensor_names, up)},
    [ROLE_DOWN] = {"down", offsetof(struct tensor_names, down)},
    [ROLE_ROUTER] = {"router", offsetof(struct tensor_names, router)},
    [ROLE_EXPERT_GATE] = {"expert_gate", offsetof(struct tensor_names, expert_gate)},
    [ROLE_EXPERT_UP] = {"expert_up", offsetof(struct tensor_names, expert_up)},
    [ROLE_EXPERT_DOWN] = {"expert_down", offsetof(struct tensor_names, expert_down)},
};

const char *tensor_role_name(enum tensor_role r)
{
    return r < ROLE_NONE ? roles[r].name : "other";
}

static const struct tensor_names *names_of(const struct model *m)
{
    return m->gguf ? &gguf_tensor_names : m->config.architecture->names;
}

/* The pattern of a role in this kind of file, or null. */
static const char *pattern_of(const struct tensor_names *names, enum tensor_role r)
{
    const char *pattern;
    memcpy(&pattern, (const char *)names + roles[r].pattern, sizeof pattern);
    return pattern;
}

/* Some files leave the first part of every name out ("transformer."): the pattern as such a file has it, or null. */
static const char *without_first_part(const struct tensor_names *names, const char *pattern)
{
    const char *dot = strchr(names->embedding, '.');
    const size_t skip = dot ? (size_t)(dot + 1 - names->embedding) : 0;
    return skip && strncmp(pattern, names->embedding, skip) == 0 ? pattern + skip : NULL;
}

/* Does `name` begin with the pattern, numbers in the places of "%d"? Then *rest is what follows. */
static bool matches(const char *pattern, const char *name, int numbers[2], const char **rest)
{
    int count = 0;
    while (*pattern) {
        if (pattern[0] == '%' && pattern[1] == 'd') {
            if (*name < '0' || *name > '9' || count == 2)
                return false;
            char *end;
            const long number = strtol(name, &end, 10);
            if (number > 1 << 20)
                return false;
            numbers[count++] = (int)number;
            name = end;
            pattern += 2;
        } else if (*pattern++ != *name++) {
            return false;
        }
    }
    *rest = name;
    return true;
}

static bool is_place(const char *pattern, const char *name, enum tensor_role r,
                     struct tensor_place *out)
{
    int numbers[2] = {-1, -1};
    const char *rest;
    if (!pattern || !matches(pattern, name, numbers, &rest))
        return false;
    const bool bias = strcmp(rest, ".bias") == 0;
    if (!bias && strcmp(rest, ".weight") != 0)
        return false;
    *out =
        (struct tensor_place){.role = r, .layer = numbers[0], .expert = numbers[1], .bias = bias};
    return true;
}

struct tensor_place tensor_place(const struct model *m, const char *name)
{
    const struct tensor_names *names = names_of(m);
    struct tensor_place place = {.role = ROLE_NONE, .layer = -1, .expert = -1};
    for (int r = 0; r < ROLE_NONE; r++) {
        const char *pattern = pattern_of(names, (enum tensor_role)r);
        if (pattern &&
            (is_place(pattern, name, (enum tensor_role)r, &place) ||
             is_place(without_first_part(names, pattern), name, (enum tensor_role)r, &place)))
            break;
    }
    return place;
}

const struct tensor *tensor_in_place(const struct model *m, struct tensor_place place)
{
    const struct tensor_names *names = names_of(m);
    const char *pattern = place.role < ROLE_NONE ? pattern_of(names, place.role) : NULL;
    const char *const endings[] = {".weight", ".bias"};
    char name[NAME_SIZE];
    if (!pattern)
        return NULL;
    const char *ending = endings[place.bias];
    const struct tensor *x =
        tensors_find(m->tensors, tensor_name(pattern, place.layer, place.expert, ending, name));
    const char *shorter = x ? NULL : without_first_part(names, pattern);
    return shorter ? tensors_find(m->tensors,
                                  tensor_name(shorter, place.layer, place.expert, ending, name))
                   : x;
}
