/*
 * demo_files.c - the bytes of demo/ (see its README), put into the program by the assembler.
 */
#include "cli/demo_files.h"

/* DEMO_FOLDER, a string, comes from the build. Defines SYMBOL and SYMBOL_end around the bytes of a file. */
#define EMBED(SYMBOL, FILE)                                                                        \
    __asm__(".section .rodata\n.balign 64\n" #SYMBOL ":\n.incbin \"" DEMO_FOLDER "/" FILE          \
            "\"\n" #SYMBOL "_end:\n.byte 0\n.previous\n");                                         \
    extern const unsigned char SYMBOL[], SYMBOL##_end[];

EMBED(demo_config, "base/config.json")
EMBED(demo_tokenizer, "base/tokenizer.json")
EMBED(demo_weights, "base/model.safetensors")
EMBED(demo_questions, "questions.jsonl")

const struct demo_file demo_files[] = {
    {"base/config.json", demo_config, demo_config_end},
    {"base/tokenizer.json", demo_tokenizer, demo_tokenizer_end},
    {"base/model.safetensors", demo_weights, demo_weights_end},
    {"questions.jsonl", demo_questions, demo_questions_end},
    {0},
};
