#include "runtime/ask.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

/* Longer than anything that is typed or pasted here. */
#define LINE_LONGEST 2048

sl_rc
sl_ask(const struct sl_args *args, const char *question, bool fallback, bool *yes,
       struct sl_err *err)
{
    char answer[64];
    size_t n;

    if (sl_arg_flag(args, "yes") && sl_arg_flag(args, "non-interactive"))
        return sl_fail(err, SL_E_USAGE, "--yes and --non-interactive cannot be used together");
    *yes = sl_arg_flag(args, "yes") || sl_arg_flag(args, "force") || fallback;
    if (sl_arg_flag(args, "yes") || sl_arg_flag(args, "force") ||
        sl_arg_flag(args, "non-interactive"))
        return SL_OK;
    if (!isatty(STDIN_FILENO)) {
        sl_fail(err, SL_E_USAGE, "%s %s asks before it goes on, and there is no terminal to answer",
                sl_program->name, args->command->name);
        sl_err_hint(err, "add --yes");
        return SL_E_USAGE;
    }
    for (;;) {
        printf("%s (%s): ", question, fallback ? "Y/n" : "y/N");
        fflush(stdout);
        if (fgets(answer, sizeof answer, stdin) == NULL) {
            *yes = false;
            return SL_OK;
        }
        n = strcspn(answer, " \r\n");
        answer[n] = '\0';
        if (n == 0) {
            *yes = fallback;
            return SL_OK;
        }
        *yes = strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
        if (*yes || strcasecmp(answer, "n") == 0 || strcasecmp(answer, "no") == 0)
            return SL_OK;
    }
}

bool
sl_can_ask(const struct sl_args *args)
{
    return isatty(STDIN_FILENO) && !sl_arg_flag(args, "non-interactive");
}

/* A secret is not echoed; the line end is, so that what follows begins on a line of its own. The echo is off before the question
 * stands there, and nothing typed ahead is lost. */
static bool
read_line(const char *question, const char *fallback, char *line, int size, bool secret)
{
    struct termios before, quiet;
    bool hidden = secret && tcgetattr(STDIN_FILENO, &before) == 0, got;

    if (hidden) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        quiet.c_lflag |= ECHONL;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    }
    printf("%s%s%s%s: ", question, fallback ? " [" : "", fallback ? fallback : "",
           fallback ? "]" : "");
    fflush(stdout);
    got = fgets(line, size, stdin) != NULL;
    if (hidden)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return got;
}

sl_rc
sl_ask_text(const char *question, const char *fallback, bool secret, char **out, struct sl_err *err)
{
    char line[LINE_LONGEST], *text;
    size_t n;

    *out = NULL;
    while (*out == NULL) {
        if (!read_line(question, fallback, line, sizeof line, secret)) {
            putchar('\n');
            return sl_fail(err, SL_E_CANCELLED, "interrupted");
        }
        text = line + strspn(line, " \t\r\n");
        n = strlen(text);
        while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
            text[--n] = '\0';
        if (n > 0)
            *out = sl_strdup(text);
        else if (fallback != NULL)
            *out = sl_strdup(fallback);
    }
    return SL_OK;
}
