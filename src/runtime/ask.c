#include "runtime/ask.h"

#include "base/buf.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

/* Lines typed ahead stay with the terminal, where poll() sees them. */
static void
read_no_further(void)
{
    setvbuf(stdin, NULL, _IONBF, 0);
}

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
    read_no_further();
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

static volatile sig_atomic_t broken;

static void
on_break(int sig)
{
    (void)sig;
    broken = 1;
}

/* Ctrl-C ends a question, so that the terminal is as it was whatever the program does about the signal otherwise. */
static void
catch_break(struct sigaction before[2])
{
    struct sigaction act = { .sa_handler = on_break }; /* without SA_RESTART: the read ends */

    broken = 0;
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, &before[0]);
    sigaction(SIGTERM, &act, &before[1]);
}

/* A line, or -1. Ctrl-C counts from before the question was shown on: it waits, blocked, until poll() lets it in. */
static ssize_t
wait_for_line(const char *prompt, char **out)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    sigset_t breaks, before;
    size_t size = 0;

    read_no_further();
    sigemptyset(&breaks);
    sigaddset(&breaks, SIGINT);
    sigaddset(&breaks, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &breaks, &before);
    fputs(prompt, stdout);
    fflush(stdout);
    while (!broken && ppoll(&in, 1, NULL, &before) < 0 && errno == EINTR)
        ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return broken ? -1 : getline(out, &size, stdin);
}

/* A secret is not echoed; the line end is, so that what follows begins on a line of its own. The echo is off before the question
 * stands there, and nothing typed ahead is lost. */
sl_rc
sl_ask_line(const char *prompt, bool secret, char **out, struct sl_err *err)
{
    struct termios before, quiet;
    struct sigaction signals[2];
    bool hidden = secret && tcgetattr(STDIN_FILENO, &before) == 0;
    ssize_t n;

    *out = NULL;
    catch_break(signals);
    if (hidden) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        quiet.c_lflag |= ECHONL;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    }
    n = wait_for_line(prompt, out);
    if (hidden)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    sigaction(SIGINT, &signals[0], NULL);
    sigaction(SIGTERM, &signals[1], NULL);
    if (n < 0 || broken) {
        clearerr(stdin);
        free(*out);
        *out = NULL;
        putchar('\n');
        return sl_fail(err, SL_E_CANCELLED, "interrupted");
    }
    while (n > 0 && strchr("\r\n", (*out)[n - 1]) != NULL)
        (*out)[--n] = '\0';
    return SL_OK;
}

sl_rc
sl_ask_text(const char *question, const char *fallback, bool secret, char **out, struct sl_err *err)
{
    char *prompt = sl_sprintf("%s%s%s%s: ", question, fallback ? " [" : "",
                              fallback ? fallback : "", fallback ? "]" : ""),
         *line, *text;
    size_t n;
    sl_rc rc = SL_OK;

    *out = NULL;
    while (rc == SL_OK && *out == NULL) {
        rc = sl_ask_line(prompt, secret, &line, err);
        if (rc)
            break;
        text = line + strspn(line, " \t");
        n = strlen(text);
        while (n > 0 && strchr(" \t", text[n - 1]) != NULL)
            text[--n] = '\0';
        if (n > 0)
            *out = sl_strdup(text);
        else if (fallback != NULL)
            *out = sl_strdup(fallback);
        free(line);
    }
    free(prompt);
    return rc;
}
