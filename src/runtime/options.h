/* options.h - a program's commands and their options come from tables: parsing, environment variables and help read them. */
#ifndef SL_RUNTIME_OPTIONS_H
#define SL_RUNTIME_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>

/* More than any command has. */
#define SL_OPTS_MAX 24
#define SL_REST_MAX 4

struct sl_opt {
    const char *name; /* without "--"; the table ends with NULL */
    const char *arg;  /* what help calls its value; NULL: a flag */
    const char *env;  /* variable read when the option is not given; may be NULL */
    const char *help; /* NULL: accepted, not shown */
    char brief;       /* one-letter form or '\0' */
};

struct sl_args;

struct sl_command {
    const char *name;
    const char *operands; /* "[project]" for the usage line */
    const char *summary;  /* one line of the program's help */
    const struct sl_opt *opts;
    int max_rest;                           /* operands it takes */
    int (*run)(const struct sl_args *args); /* gives the exit code */
    bool hidden;
    bool anything;    /* takes whatever comes: the command only says something */
    const char *more; /* text below its options in help; may be NULL */
};

struct sl_args {
    const struct sl_command *command;
    const char *value[SL_OPTS_MAX]; /* by index in the table; NULL: not given */
    const char *rest[SL_REST_MAX];  /* operands */
    int nrest;
    bool help;
};

/* Words people use for a command; the table ends with NULL. */
struct sl_synonym {
    const char *word, *command;
};

struct sl_program {
    const char *name;
    const char *operands;                     /* what follows "<command>" in the usage line */
    const struct sl_command *const *commands; /* in the order of help; ends with NULL */
    const struct sl_synonym *synonyms;
    const struct sl_command *version; /* what --version runs */
    int unknown; /* exit code without a command, or with one it does not know */
};

/* The running one, set by sl_program_main(). */
extern const struct sl_program *sl_program;

/* Finds the command and runs it: main() of both programs. */
int sl_program_main(const struct sl_program *program, int argc, char **argv);
/* An error of a command: "<program>: text" and the hint on stderr. Gives the exit code. */
int sl_report(const struct sl_err *err);

/* argv[0] is the command's name. SL_E_USAGE names the option and the one that was probably meant. */
SL_MUST_CHECK sl_rc sl_args_parse(struct sl_args *args, const struct sl_command *command, int argc,
                                  char **argv, struct sl_err *err);
/* The value given, else that of the environment variable, else NULL. A flag given is "". */
const char *sl_arg(const struct sl_args *args, const char *name);
bool sl_arg_flag(const struct sl_args *args, const char *name);
void sl_help_command(const struct sl_command *command);

/* Edit distance of two short words, case ignored; at most `limit` + 1. */
int sl_edit_distance(const char *a, const char *b, int limit);

#endif
