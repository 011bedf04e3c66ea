#include "runtime/options.h"

#include "base/buf.h"

#include <assert.h>
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define WORD_MAX 40

const struct sl_program *sl_program;

int
sl_edit_distance(const char *a, const char *b, int limit)
{
    size_t na = strlen(a), nb = strlen(b);
    int row[WORD_MAX + 1];

    if (na > WORD_MAX || nb > WORD_MAX)
        return limit + 1;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int corner = row[0];

        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            int best = corner + !same;

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb] > limit ? limit + 1 : row[nb];
}

static int
count_opts(const struct sl_opt *opts)
{
    int n = 0;

    while (opts != NULL && opts[n].name != NULL)
        n++;
    assert(n < SL_OPTS_MAX);
    return n;
}

static const char *
nearest_option(const struct sl_opt *opts, const char *word)
{
    const char *best = NULL;
    int least = 4;

    for (const struct sl_opt *o = opts; o != NULL && o->name != NULL; o++) {
        int d = sl_edit_distance(word, o->name, 3);

        if (o->help != NULL && d < least) {
            least = d;
            best = o->name;
        }
    }
    return best;
}

static sl_rc
unknown_option(const struct sl_command *command, const char *word, struct sl_err *err)
{
    char name[WORD_MAX + 1];
    const char *near;
    sl_rc rc = sl_fail(err, SL_E_USAGE, "%s %s has no option %s", sl_program->name, command->name,
                       word);

    word += strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    near = nearest_option(command->opts, name);
    if (near != NULL)
        sl_err_hint(err, "did you mean --%s?", near);
    else
        sl_err_hint(err, "its options: %s %s --help", sl_program->name, command->name);
    return rc;
}

/* getopt's tables from ours. Value i + 256 stands for entry i. */
static void
fill_getopt(const struct sl_opt *opts, int n, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (int i = 0; i < n; i++) {
        longs[i] = (struct option){ opts[i].name, opts[i].arg ? required_argument : no_argument,
                                    NULL, 256 + i };
        if (opts[i].brief != '\0')
            *shorts++ = opts[i].brief;
        if (opts[i].brief != '\0' && opts[i].arg != NULL)
            *shorts++ = ':';
    }
    *shorts++ = 'h';
    *shorts = '\0';
    longs[n] = (struct option){ "help", no_argument, NULL, 'h' };
    longs[n + 1] = (struct option){ 0 };
}

static int
index_of_brief(const struct sl_opt *opts, int n, int c)
{
    for (int i = 0; i < n; i++)
        if (opts[i].brief == c)
            return i;
    return -1;
}

static sl_rc
take_operands(struct sl_args *args, int argc, char **argv, struct sl_err *err)
{
    const struct sl_command *command = args->command;

    for (int i = optind; i < argc; i++) {
        if (args->nrest == command->max_rest) {
            sl_rc rc = sl_fail(err, SL_E_USAGE, "%s %s does not know what to do with \"%s\"",
                               sl_program->name, command->name, argv[i]);

            sl_err_hint(err, "usage: %s %s %s", sl_program->name, command->name, command->operands);
            return rc;
        }
        args->rest[args->nrest++] = argv[i];
    }
    return SL_OK;
}

sl_rc
sl_args_parse(struct sl_args *args, const struct sl_command *command, int argc, char **argv,
              struct sl_err *err)
{
    struct option longs[SL_OPTS_MAX + 2];
    char shorts[2 * SL_OPTS_MAX + 4];
    int n = count_opts(command->opts), c, i;

    *args = (struct sl_args){ .command = command };
    fill_getopt(command->opts, n, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == 'h') {
            args->help = true;
            return SL_OK;
        }
        if (c == ':')
            return sl_fail(err, SL_E_USAGE, "%s %s: %s needs a value", sl_program->name,
                           command->name, argv[optind - 1]);
        if (c == '?')
            return unknown_option(command, argv[optind - 1], err);
        i = c >= 256 ? c - 256 : index_of_brief(command->opts, n, c);
        args->value[i] = optarg ? optarg : "";
    }
    return take_operands(args, argc, argv, err);
}

const char *
sl_arg(const struct sl_args *args, const char *name)
{
    const struct sl_opt *opts = args->command->opts;

    for (int i = 0; opts[i].name != NULL; i++) {
        const char *env;

        if (strcmp(opts[i].name, name) != 0)
            continue;
        if (args->value[i] != NULL)
            return args->value[i];
        env = opts[i].env ? getenv(opts[i].env) : NULL;
        return env != NULL && *env != '\0' ? env : NULL;
    }
    assert(!"option is in the command's table");
    return NULL;
}

bool
sl_arg_flag(const struct sl_args *args, const char *name)
{
    return sl_arg(args, name) != NULL;
}

static void
help_option(const struct sl_opt *o)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    printf("  %-26s %s%s%s%s\n", left, o->help, o->env ? " [" : "", o->env ? o->env : "",
           o->env ? "]" : "");
}

void
sl_help_command(const struct sl_command *command)
{
    printf("usage: %s %s %s\n\n%s\n\n", sl_program->name, command->name, command->operands,
           command->summary);
    for (const struct sl_opt *o = command->opts; o != NULL && o->name != NULL; o++)
        if (o->help != NULL)
            help_option(o);
    printf("  %-26s %s\n", "--help", "this text");
    if (command->more != NULL)
        printf("\n%s\n", command->more);
}

/* ---- programs ---- */

int
sl_report(const struct sl_err *err)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", sl_program->name, err->text);
    if (err->hint[0] != '\0')
        fprintf(stderr, "hint: %s\n", err->hint);
    return sl_exit_code(err->code);
}

static void
print_help(void)
{
    printf("usage: %s <command> %s\n\ncommands:\n", sl_program->name, sl_program->operands);
    for (const struct sl_command *const *c = sl_program->commands; *c != NULL; c++)
        if (!(*c)->hidden)
            printf("  %-10s %s\n", (*c)->name, (*c)->summary);
    printf("\noptions of a command: %s <command> --help\nversion: %s --version\n", sl_program->name,
           sl_program->name);
}

static const struct sl_command *
find_command(const char *name)
{
    for (const struct sl_command *const *c = sl_program->commands; *c != NULL; c++)
        if (strcasecmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static const char *
suggestion(const char *word)
{
    const char *best = NULL;
    int least = 4;

    /* First what people mean, then what they may have mistyped: "test" is no typing mistake of "reset". */
    for (const struct sl_synonym *s = sl_program->synonyms; s->word != NULL; s++)
        if (strcasecmp(word, s->word) == 0)
            return s->command;
    for (const struct sl_command *const *c = sl_program->commands; *c != NULL; c++) {
        int d = sl_edit_distance(word, (*c)->name, 3);

        if (!(*c)->hidden && d < least) {
            least = d;
            best = (*c)->name;
        }
    }
    return best;
}

static int
unknown_command(const char *word)
{
    const char *meant = suggestion(word);

    if (meant == NULL)
        fprintf(stderr, "invalid command: %s, see `%s help`\n", word, sl_program->name);
    else
        fprintf(stderr,
                "unknown command: %s\ndid you mean `%s %s`?\nuse `%s --help` for more details\n",
                word, sl_program->name, meant, sl_program->name);
    return sl_program->unknown;
}

static int
run_command(const struct sl_command *command, int argc, char **argv)
{
    struct sl_args args = { .command = command };
    struct sl_err err;

    if (command->anything)
        return command->run(&args);
    if (sl_args_parse(&args, command, argc, argv, &err))
        return sl_report(&err);
    if (args.help) {
        sl_help_command(command);
        return 0;
    }
    return command->run(&args);
}

int
sl_program_main(const struct sl_program *program, int argc, char **argv)
{
    const struct sl_command *command;

    sl_program = program;
    if (argc < 2) {
        print_help();
        return program->unknown;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return program->version->run(NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcasecmp(argv[1], "help") == 0) {
        command = argc > 2 ? find_command(argv[2]) : NULL;
        if (command != NULL)
            sl_help_command(command);
        else
            print_help();
        return 0;
    }
    command = find_command(argv[1]);
    if (command == NULL)
        return unknown_command(argv[1]);
    return run_command(command, argc - 1, argv + 1);
}
