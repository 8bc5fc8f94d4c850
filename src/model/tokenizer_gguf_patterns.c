/*
 * tokenizer_gguf_patterns.c - how a GGUF file of kind "gpt2" cuts a text: it only has a name, tokenizer.ggml.pre.
 *
 * The names are llama.cpp's (src/llama-vocab.cpp); the patterns are the ones that the models' own tokenizer.json state,
 * in the order in which they are applied, every match and every gap being a piece. A name that is missing here is
 * refused: nearly the right pattern gives other ids.
 */
#include "model/tokenizer_private.h"

#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define BLANKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define WORDS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"

/* Capitals then small letters: the two word forms of GPT-4o and Tekken. */
#define CAPITALS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALLS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define HEAD "[^\\r\\n\\p{L}\\p{N}]?"

/* Letters that have a case, as DeepSeek LLM spells them out. */
#define CASED_LETTERS                                                                              \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"                       \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                 \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"                 \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}"                 \
    "\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}"         \
    "\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}"                           \
    "\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}"                 \
    "\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}"          \
    "\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"                  \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"         \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}"                  \
    "\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}"                 \
    "\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}"                 \
    "\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"         \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define WIDE_SIGNS                                                                                 \
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+"
#define EAST_ASIAN "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

typedef const char *const patterns[7]; /* ends with a null */

static patterns gpt2 = {GPT2};
static patterns digits_gpt2 = {"\\p{N}", GPT2};
static patterns plain = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"};
static patterns falcon = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"};
static patterns llama3 = {CONTRACTIONS "|" WORDS "|\\p{N}{1,3}|" SIGNS "|" BLANKS};
static patterns qwen2 = {CONTRACTIONS "|" WORDS "|\\p{N}|" SIGNS "|" BLANKS};
static patterns qwen35 = {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
                                       " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" BLANKS};
static patterns minicpm5 = {"\\p{N}{1,3}", CONTRACTIONS "|" WORDS "|\\p{N}+|" SIGNS "|" BLANKS};
static patterns tekken = {HEAD CAPITALS "*" SMALLS "+|" HEAD CAPITALS "+" SMALLS "*|\\p{N}|"
                                        " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BLANKS};
static patterns gpt4o = {HEAD CAPITALS "*" SMALLS "+" CONTRACTIONS "?|" HEAD CAPITALS "+" SMALLS
                                       "*" CONTRACTIONS
                                       "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BLANKS};
static patterns deepseek_llm = {
    "[\\r\\n]", "\\s?[" CASED_LETTERS "]+", WIDE_SIGNS, "\\s+$", EAST_ASIAN, "\\p{N}+"};
static patterns deepseek_coder = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", EAST_ASIAN, "\\p{N}"};
static patterns deepseek_v3 = {
    "\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" BLANKS};
static patterns seed_coder = {CONTRACTIONS "|" WORDS
                                           "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" BLANKS};
static patterns bailing = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
                           " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"};

static const struct {
    const char *name;
    const char *const *patterns;
    unsigned flags;
} table[] = {
    {"default", plain, 0},
    {"gpt-2", gpt2, 0},
    {"phi-2", gpt2, 0},
    {"gpt-neox", gpt2, CUT_NFC},
    {"mpt", gpt2, CUT_NFC},
    {"olmo", gpt2, CUT_NFC},
    {"jais", gpt2, 0},
    {"trillion", gpt2, 0},
    {"granite-docling", gpt2, 0},
    {"exaone4", gpt2, 0},
    {"starcoder", digits_gpt2, 0},
    {"refact", digits_gpt2, 0},
    {"command-r", digits_gpt2, 0},
    {"smollm", digits_gpt2, 0},
    {"codeshell", digits_gpt2, 0},
    {"exaone", digits_gpt2, 0},
    {"minerva-7b", digits_gpt2, 0},
    {"mellum2", digits_gpt2, 0},
    {"falcon", falcon, 0},
    {"llama3", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"llama-v3", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"llama-bpe", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"falcon3", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"falcon-h1", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"pixtral", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"midm-2.0", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"lfm2", llama3, CUT_WHOLE_PIECES | CUT_BOS},
    {"dbrx", llama3, 0},
    {"smaug-bpe", llama3, 0},
    {"glm4", llama3, 0},
    {"chatglm-bpe", llama3, 0},
    {"qwen2", qwen2, CUT_NFC},
    {"deepseek-r1-qwen", qwen2, CUT_NFC},
    {"megrez", qwen2, 0},
    {"stablelm2", qwen2, 0},
    {"hunyuan", qwen2, 0},
    {"solar-open", qwen2, 0},
    {"grok-2", qwen2, 0},
    {"qwen35", qwen35, 0},
    {"minicpm5", minicpm5, CUT_WHOLE_PIECES},
    {"tekken", tekken, CUT_WHOLE_PIECES | CUT_BOS},
    {"gpt-4o", gpt4o, 0},
    {"llama4", gpt4o, 0},
    {"deepseek-llm", deepseek_llm, 0},
    {"deepseek-coder", deepseek_coder, 0},
    {"deepseek-v3", deepseek_v3, 0},
    {"hunyuan-dense", deepseek_v3, 0},
    {"seed-coder", seed_coder, 0},
    {"bailingmoe", bailing, 0},
    {"bailingmoe2", bailing, 0},
};

const char *const *gguf_cut_patterns(const char *name, size_t n, unsigned *flags)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0) {
            *flags = table[i].flags;
            return table[i].patterns;
        }
    return NULL;
}
