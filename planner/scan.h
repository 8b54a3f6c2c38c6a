/* scan.h: the tokens of SQL text, cut as PostgreSQL's scanner cuts them (manual 4.1), without copying
 * anything.
 *
 * Only boundaries and rough kinds: enough to split a query string, to find our own spellings and to see how
 * deeply a statement nests. Comments and blanks are skipped. standard_conforming_strings is on. */
#ifndef MILLRACE_PLANNER_SCAN_H
#define MILLRACE_PLANNER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scan_kind {
    SCAN_END,
    SCAN_WORD,   /* identifier or keyword without quotes */
    SCAN_QUOTED, /* "identifier", U&"..." */
    SCAN_STRING, /* '...', E'...', B'...', X'...', N'...', U&'...', $tag$...$tag$ */
    SCAN_NUMBER,
    SCAN_PARAM,        /* $1 */
    SCAN_OPERATOR,     /* a run of operator characters, "::", ":=" */
    SCAN_PUNCTUATION,  /* one of , ; ( ) [ ] . : and anything unknown */
    SCAN_UNTERMINATED, /* a string, identifier or comment without end; reaches to the end of the text */
};

struct scan_token {
    enum scan_kind kind;
    uint32_t start, len; /* bytes */
};

struct scanner {
    const char *text;
    uint32_t len;
    uint32_t at;
};

void scan_start(struct scanner *scanner, const char *text, size_t len);
/* The next token; SCAN_END (again and again) behind the last. */
struct scan_token scan_next(struct scanner *scanner);
/* Is it this word without quotes, in any case? word in lower case. */
bool scan_is_word(const char *text, const struct scan_token *token, const char *word);
/* Is it this one character? */
bool scan_is(const char *text, const struct scan_token *token, char c);
/* Overwrites the comments of a text with blanks (line ends stay). */
void scan_blank_comments(char *text, size_t len);
/* An upper bound of how deep the parse tree of the text can be: open brackets and CASEs, and the operators,
 * joins and set operations chained in each. Stops counting at `most`. *unterminated gets a token without end,
 * or one of kind SCAN_END. */
uint32_t scan_depth(const char *text, size_t len, uint32_t most, struct scan_token *unterminated);

#endif
