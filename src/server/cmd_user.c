/* cmd_user.c - `sluiced user add | list | passwd | role | remove`: with or without a running server on the directory.
 *
 * Passwords are typed, or read from stdin: never an argument, which every user of the machine could see.
 */
#include "base/buf.h"
#include "platform/platform.h"
#include "platform/users.h"
#include "runtime/ask.h"
#include "server/commands.h"
#include "server/listing.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ACTOR "command"

static const struct sl_opt opts[] = {
    SL_OPT_DATA,
    { "role", "ROLE", NULL, "viewer, operator or admin (add; default viewer)", '\0' },
    { "name", "NAME", NULL, "how the dashboard calls the person (add)", '\0' },
    SL_OPT_JSON,
    { 0 },
};

/* ---- passwords ---- */

static sl_rc
password_from_stdin(char **out, struct sl_err *err)
{
    char line[SL_PASSWORD_MAX + 3];
    sl_rc rc = SL_OK;

    if (fgets(line, sizeof line, stdin) == NULL) {
        rc = sl_fail(err, SL_E_USAGE, "there is no password on stdin");
        sl_err_hint(err, "run it in a terminal, which asks, or give one line");
    } else {
        line[strcspn(line, "\r\n")] = '\0';
        *out = sl_strdup(line);
    }
    sodium_memzero(line, sizeof line);
    return rc;
}

static void
wipe(char *password)
{
    if (password != NULL)
        sodium_memzero(password, strlen(password));
    free(password);
}

static sl_rc
read_password(const char *email, char **out, struct sl_err *err)
{
    char *again = NULL;
    sl_rc rc;

    *out = NULL;
    if (!isatty(STDIN_FILENO))
        return password_from_stdin(out, err);
    rc = sl_ask_text("Password", NULL, true, out, err);
    if (rc == SL_OK)
        rc = sl_password_ok(*out, email, err);
    if (rc == SL_OK)
        rc = sl_ask_text("The same again", NULL, true, &again, err);
    if (rc == SL_OK && strcmp(*out, again) != 0)
        rc = sl_fail(err, SL_E_USAGE, "the two passwords differ");
    wipe(again);
    return rc;
}

/* ---- the verbs ---- */

static sl_rc
role_of(const char *word, enum sl_role *role, struct sl_err *err)
{
    *role = sl_role_of(word);
    if (*role != SL_ROLE_NONE)
        return SL_OK;
    return sl_fail(err, SL_E_USAGE, "a role is viewer, operator or admin, not \"%s\"", word);
}

static void
say(const struct sl_args *args, const char *id, const char *text)
{
    if (sl_arg_flag(args, "json"))
        printf("{\"id\":\"%s\"}\n", id);
    else
        printf("%s\n", text);
}

static sl_rc
add(const struct sl_args *args, struct sl_store *st, struct sl_err *err)
{
    const char *role = sl_arg(args, "role");
    struct sl_new_user user = { .email = args->rest[1], .given_name = sl_arg(args, "name") };
    char *password = NULL, *id = NULL, *text;
    sl_rc rc = role_of(role ? role : "viewer", &user.role, err);

    if (rc == SL_OK)
        rc = read_password(user.email, &password, err);
    user.password = password;
    if (rc == SL_OK)
        rc = sl_user_add(st, ACTOR, &user, &id, err);
    wipe(password);
    if (rc)
        return rc;
    text = sl_sprintf("%s can log in now, with the role %s", user.email, sl_role_name(user.role));
    say(args, id, text);
    free(text);
    free(id);
    return SL_OK;
}

static sl_rc
passwd(const struct sl_args *args, struct sl_store *st, struct sl_err *err)
{
    struct sl_user u = { 0 };
    char *password = NULL;
    sl_rc rc = sl_user_find(st, args->rest[1], &u, err);

    if (rc == SL_OK)
        rc = read_password(u.email, &password, err);
    if (rc == SL_OK)
        rc = sl_user_set_password(st, ACTOR, u.id, password, err);
    if (rc == SL_OK)
        say(args, u.id,
            "the password is changed; whoever was logged in with the old one is not any more");
    wipe(password);
    sl_record_free(SL_K_USER, &u);
    return rc;
}

static sl_rc
change_role(const struct sl_args *args, struct sl_store *st, struct sl_err *err)
{
    struct sl_user u = { 0 };
    enum sl_role role;
    sl_rc rc = role_of(args->rest[2], &role, err);

    if (rc == SL_OK)
        rc = sl_user_find(st, args->rest[1], &u, err);
    if (rc == SL_OK)
        rc = sl_user_set_role(st, ACTOR, u.id, role, err);
    if (rc == SL_OK)
        say(args, u.id, "the role is changed; the person has to log in again");
    sl_record_free(SL_K_USER, &u);
    return rc;
}

static sl_rc
remove_user(const struct sl_args *args, struct sl_store *st, struct sl_err *err)
{
    struct sl_user u = { 0 };
    sl_rc rc = sl_user_find(st, args->rest[1], &u, err);

    if (rc == SL_OK)
        rc = sl_user_remove(st, ACTOR, u.id, err);
    if (rc == SL_OK)
        say(args, u.id,
            "the user is removed; API keys stay until they are revoked (sluiced key list)");
    sl_record_free(SL_K_USER, &u);
    return rc;
}

static sl_rc
list(const struct sl_args *args, struct sl_store *st, struct sl_err *err)
{
    return sl_show_users(st, sl_arg_flag(args, "json"), err);
}

/* ---- the command ---- */

static const struct {
    const char *word, *operands;
    sl_rc (*run)(const struct sl_args *args, struct sl_store *st, struct sl_err *err);
    int noperands;
} verbs[] = {
    { "add", "EMAIL", add, 1 },
    { "list", "", list, 0 },
    { "passwd", "EMAIL", passwd, 1 },
    { "role", "EMAIL viewer|operator|admin", change_role, 2 },
    { "remove", "EMAIL", remove_user, 1 },
};

static sl_rc
run_verb(const struct sl_args *args, size_t i, struct sl_err *err)
{
    struct sl_store *st = NULL;
    const char *dir;
    sl_rc rc;

    if (args->nrest - 1 != verbs[i].noperands)
        return sl_fail(err, SL_E_USAGE, "sluiced user %s %s --data DIR", verbs[i].word,
                       verbs[i].operands);
    rc = sl_arg_data(args, &dir, err);
    if (rc == SL_OK)
        rc = sl_platform_store(&st, dir, err);
    if (rc == SL_OK)
        rc = verbs[i].run(args, st, err);
    sl_store_close(st);
    return rc;
}

static int
run(const struct sl_args *args)
{
    const char *word = args->nrest ? args->rest[0] : "";
    struct sl_err err = { 0 };
    size_t i = 0, n = sizeof verbs / sizeof verbs[0];

    while (i < n && strcmp(word, verbs[i].word) != 0)
        i++;
    if (i < n)
        return run_verb(args, i, &err) ? sl_report(&err) : 0;
    sl_fail(&err, SL_E_USAGE, "sluiced user add, list, passwd, role or remove%s%s%s",
            word[0] ? ", not \"" : "", word, word[0] ? "\"" : "");
    sl_err_hint(&err, "sluiced user --help");
    return sl_report(&err);
}

const struct sl_command sl_sluiced_user = {
    .name = "user",
    .operands = "add EMAIL [--role ROLE] | list | passwd EMAIL | role EMAIL ROLE | remove EMAIL  "
                "--data DIR [--json]",
    .summary = "people who may log in to the dashboard",
    .opts = opts,
    .max_rest = 3,
    .run = run,
    .more = "With or without a running server on that directory. The password is asked for; "
            "without a terminal it is read\n"
            "from stdin, one line.",
};
