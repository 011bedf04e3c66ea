/* ignore.h - .gitignore rules: order, negation, folders, and files further down that add to those above. */
#ifndef SL_RUNTIME_IGNORE_H
#define SL_RUNTIME_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

struct sl_ignore_rule;

struct sl_ignore {
    struct sl_ignore_rule *rules;
    size_t count;
};

/* Adds the rules of a .gitignore's text found in `dir` ("" for the root, else "a/b"). Add parents first. */
void sl_ignore_add(struct sl_ignore *ig, const char *dir, const char *text);
/* Forgets all rules after the first `count`: leaving a folder takes its rules away. */
void sl_ignore_cut(struct sl_ignore *ig, size_t count);
/* `path` is relative to the root. The last rule that matches decides. */
bool sl_ignore_match(const struct sl_ignore *ig, const char *path, bool is_dir);
void sl_ignore_free(struct sl_ignore *ig);

#endif
