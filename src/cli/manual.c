/*
 * manual.c - see manual.h. Nothing is said here that the tables do not say, apart from what holds for all verbs.
 *
 * Source of the macros: man(7). In troff a line that begins with '.' or "'" is a request and a backslash begins an escape, so
 * both are escaped; a bare '-' would be set as a hyphen, which cannot be pasted.
 */
#include "cli/manual.h"

#include <stdbool.h>
#include <string.h>

#include "cli/verb.h"

/* ---- the manual page ------------------------------------------------------------------------- */

/* Text as it stands; line breaks become paragraphs. */
static void put(const char *text, FILE *to)
{
    bool starting = true;
    for (; *text; text++) {
        if (starting && (*text == '.' || *text == '\''))
            fputs("\\&", to);
        starting = *text == '\n';
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else if (*text == '\n')
            fputs("\n.PP\n", to);
        else
            fputc(*text, to);
    }
    fputc('\n', to);
}

static void put_options(const struct option_row *rows, FILE *to)
{
    for (; rows && rows->name; rows++) {
        fputs(".TP\n", to);
        if (rows->letter)
            fprintf(to, "\\fB\\-%c\\fR, ", rows->letter);
        fputs("\\fB\\-\\-", to);
        for (const char *c = rows->name; *c; c++)
            fputs(*c == '-' ? "\\-" : (char[]){*c, '\0'}, to);
        fputs(rows->value ? "\\fR \\fI" : "\\fR", to);
        for (const char *c = rows->value; c && *c; c++)
            fputs(*c == '-' ? "\\-" : (char[]){*c, '\0'}, to);
        fputs(rows->value ? "\\fR\n" : "\n", to);
        put(rows->words, to);
    }
}

static void put_verb(const struct verb *v, FILE *to)
{
    fprintf(to, ".SS %s\n", v->name);
    for (const char *const *s = v->synopses; *s; s++) {
        fprintf(to, "\\fBplumb %s\\fR ", v->name);
        put(*s, to);
        fputs(".br\n", to);
    }
    fputs(".PP\n", to);
    put(v->description, to);
    put_options(v->options, to);
    for (const char *const(*x)[2] = v->examples; (*x)[0]; x++) {
        fputs(".PP\n", to);
        put((*x)[1], to);
        fputs(".PP\n.nf\n.RS\n", to);
        put((*x)[0], to);
        fputs(".RE\n.fi\n", to);
    }
}

void manual_page(FILE *to)
{
    fprintf(to,
            ".TH PLUMB 1 \"\" \"plumb %s\" \"User Commands\"\n"
            ".SH NAME\n"
            "plumb \\- measure the confidence of language models through every layer\n"
            ".SH SYNOPSIS\n"
            "\\fBplumb\\fR \\fIVERB\\fR [\\fIoptions\\fR] \\fIARGUMENTS\\fR\n"
            ".SH VERBS\n",
            plumb_version());
    for (const struct verb *const *v = verbs; *v; v++)
        put_verb(*v, to);
    for (const struct verb *const *v = verb_words; *v; v++)
        put_verb(*v, to);
    fputs(".SH OPTIONS OF EVERY VERB\n", to);
    put_options(options_common, to);
    fputs(".PP\nOf choices parted by | the first is the default.\n"
          ".SH EXIT STATUS\n"
          "Results go to standard output, everything else to standard error.\n"
          ".TP\n0\ndone\n"
          ".TP\n1\ndone, but the answer is no: a check failed, nothing could be guaranteed\n"
          ".TP\n2\nthe input was wrong: a file, an option, a question\n"
          ".TP\n3\nthe machine failed: disk, memory, network\n"
          ".TP\n130\ninterrupted\n"
          ".SH SEE ALSO\n"
          "\\fBplumb help\\fR \\fIVERB\\fR, and the library's header \\fIplumb.h\\fR\n",
          to);
}

/* ---- completion ------------------------------------------------------------------------------ */

static void put_names(const struct option_row *rows, FILE *to)
{
    for (; rows && rows->name; rows++)
        fprintf(to, " --%s", rows->name);
}

static void put_choices(const struct verb *v, FILE *to)
{
    for (const struct option_row *row = v->options; row && row->name; row++) {
        if (row->kind != OPTION_CHOICE)
            continue;
        fprintf(to, "    %s:--%s) words='", v->name, row->name);
        for (const char *c = row->value; *c; c++)
            fputc(*c == '|' ? ' ' : *c, to);
        fputs("' ;;\n", to);
    }
}

void manual_completion(FILE *to)
{
    fputs("# bash completion for plumb; written by `plumb help --completion`\n"
          "_plumb() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} "
          "verb=${COMP_WORDS[1]} words=''\n"
          "    case $COMP_CWORD:$verb:$before in\n"
          "    1:*) words='help",
          to);
    for (const struct verb *const *v = verbs; *v; v++)
        fprintf(to, " %s", (*v)->name);
    fputs("' ;;\n    2:help:*) words='", to);
    for (const struct verb *const *v = verbs; *v; v++)
        fprintf(to, "%s%s", v == verbs ? "" : " ", (*v)->name);
    fputs("' ;;\n    esac\n    [ -n \"$words\" ] || case $verb:$before in\n", to);
    for (const struct verb *const *v = verbs; *v; v++)
        put_choices(*v, to);
    fputs("    esac\n    [ -n \"$words\" ] || case $verb:$word in\n", to);
    for (const struct verb *const *v = verbs; *v; v++) {
        fprintf(to, "    %s:-*) words='", (*v)->name);
        put_names((*v)->options, to);
        put_names(options_common, to);
        fputs("' ;;\n", to);
    }
    fputs("    esac\n"
          "    if [ -n \"$words\" ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "    else\n"
          "        compopt -o filenames\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
          "    fi\n"
          "}\n"
          "complete -F _plumb plumb\n",
          to);
}
