#include "cli/commands.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

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
        sl_fail(err, SL_E_USAGE,
                "fivetran %s asks before it goes on, and there is no terminal to answer",
                args->command->name);
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
