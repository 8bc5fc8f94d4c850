/*
 * page_private.h - the style sheet and the script that every page carries (page_style.c).
 */
#ifndef REPORT_PAGE_PRIVATE_H
#define REPORT_PAGE_PRIVATE_H

/* Neither holds '<' or '&', so that the page stays well-formed XML. The style sheet is in pieces, the last one null. */
extern const char *const page_style[];
extern const char page_script[];

#endif
