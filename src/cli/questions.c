#include "cli/questions.h"

#include "base/buf.h"
#include "model/form.h"
#include "runtime/ask.h"
#include "runtime/file.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A file that becomes a value: a certificate, a key. */
#define FILE_MAX ((size_t)1 << 20)
/* Clears a value: an empty line keeps it. */
#define CLEAR "-"

static bool
is_secret(const json_t *field)
{
    return sl_form_is(field, "password") || sl_form_is(field, "hidden");
}

/* ---- the question ---- */

static void
show_choices(const json_t *field)
{
    json_t *option;
    size_t i;

    json_array_foreach(json_object_get(field, "options"), i, option)
    {
        const char *about = sl_form_text(option, "description"),
                   *value = sl_form_text(option, "value"), *label = sl_form_text(option, "label");

        printf("  %zu) %s", i + 1, label);
        if (strcmp(label, value) != 0)
            printf(" (%s)", value);
        printf("%s%s\n", *about ? ": " : "", about);
    }
}

static void
show_files(const json_t *field)
{
    json_t *one;
    size_t i;

    json_array_foreach(json_object_get(field, "allowed"), i, one)
        printf("%s%s", i == 0 ? "  files: " : ", ", json_string_value(one));
    if (i > 0)
        putchar('\n');
}

static void
show_field(const json_t *field)
{
    const char *about = sl_form_text(field, "description");

    printf("\n%s%s\n", sl_form_text(field, "label"),
           json_is_true(json_object_get(field, "required")) ? " (required)" : "");
    if (*about != '\0')
        printf("  %s\n", about);
    if (sl_form_is(field, "dropdown"))
        show_choices(field);
    else if (sl_form_is(field, "upload"))
        show_files(field);
}

/* What Enter means, as the question shows it; "" for nothing. */
static void
show_kept(const json_t *field, const char *kept, bool stored, char *out, size_t size)
{
    const char *example = sl_form_text(field, "placeholder");

    if (sl_form_is(field, "toggle"))
        snprintf(out, size, " (y/n) [%s]", strcasecmp(kept, "true") == 0 ? "y" : "n");
    else if (*kept != '\0' && (is_secret(field) || sl_form_is(field, "upload")))
        snprintf(out, size, stored ? " [keep the stored value]" : " [default]");
    else if (*kept != '\0')
        snprintf(out, size, " [%.200s]", kept);
    else if (*example != '\0')
        snprintf(out, size, " (e.g. %.200s)", example);
    else
        out[0] = '\0';
}

static char *
make_prompt(const json_t *field, const char *kept, bool stored)
{
    static const struct {
        const char *kind, *word;
    } words[] = { { "dropdown", "number or value" }, { "upload", "path of the file" } };
    const char *word = sl_form_text(field, "name");
    char shown[256];

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (sl_form_is(field, words[i].kind))
            word = words[i].word;
    show_kept(field, kept, stored, shown, sizeof shown);
    return sl_sprintf("  %s%s: ", word, shown);
}

/* ---- the answer ---- */

/* The value that "2" or a value itself or a label stands for; otherwise what was typed. */
static char *
choice(const json_t *field, const char *typed)
{
    json_t *options = json_object_get(field, "options"), *option;
    int64_t number;
    size_t i;

    json_array_foreach(options, i, option)
    {
        if (strcmp(sl_form_text(option, "value"), typed) == 0)
            return sl_strdup(typed);
    }
    if (sl_parse_i64(typed, 1, (int64_t)json_array_size(options), &number))
        return sl_strdup(sl_form_text(json_array_get(options, (size_t)number - 1), "value"));
    json_array_foreach(options, i, option)
    {
        if (strcasecmp(sl_form_text(option, "label"), typed) == 0)
            return sl_strdup(sl_form_text(option, "value"));
    }
    return sl_strdup(typed);
}

static char *
switched(const char *typed)
{
    static const struct {
        const char *word, *value;
    } words[] = { { "y", "true" },  { "yes", "true" }, { "on", "true" },   { "true", "true" },
                  { "n", "false" }, { "no", "false" }, { "off", "false" }, { "false", "false" } };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(typed, words[i].word) == 0)
            return sl_strdup(words[i].value);
    return sl_strdup(typed);
}

static sl_rc
file_value(const char *path, char **value, struct sl_err *err)
{
    struct sl_buf bytes;
    size_t size;
    sl_rc rc;

    *value = NULL;
    sl_buf_init(&bytes, FILE_MAX);
    rc = sl_file_read(path, &bytes, err);
    if (rc == SL_OK) {
        size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
        *value = sl_alloc(size);
        sodium_bin2base64(*value, size, (const unsigned char *)(bytes.ptr ? bytes.ptr : ""),
                          bytes.len, sodium_base64_VARIANT_ORIGINAL);
    }
    sl_buf_free(&bytes);
    return rc;
}

static sl_rc
understand(const json_t *field, const char *typed, char **value, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    if (sl_form_is(field, "dropdown"))
        *value = choice(field, typed);
    else if (sl_form_is(field, "toggle"))
        *value = switched(typed);
    else if (sl_form_is(field, "upload"))
        rc = file_value(typed, value, err);
    else
        *value = sl_strdup(typed);
    return rc ? rc : sl_form_check_value(field, *value, err);
}

/* One answer. True when it can stay; *value NULL: there is none. */
static bool
accept(const json_t *field, const char *typed, const char *kept, char **value)
{
    bool required = json_is_true(json_object_get(field, "required")) &&
                    !sl_form_is(field, "toggle");
    struct sl_err err = { 0 };

    *value = NULL;
    if (*typed == '\0')
        *value = *kept ? sl_strdup(kept) : sl_form_is(field, "toggle") ? sl_strdup("false") : NULL;
    else if (strcmp(typed, CLEAR) != 0 || *kept == '\0') {
        if (understand(field, typed, value, &err)) {
            printf("  %s\n", err.text);
            free(*value);
            *value = NULL;
            return false;
        }
    }
    if (*value == NULL && required)
        printf("  a value is required\n");
    return *value != NULL || !required;
}

static sl_rc
ask_field(const json_t *field, json_t *values, struct sl_err *err)
{
    const char *name = sl_form_text(field, "name"), *stored = sl_form_text(values, name);
    struct sl_err unfit = { 0 };
    const char *kept = *stored ? stored : sl_form_text(field, "default");
    char *prompt, *typed, *value = NULL;
    bool done = false;
    sl_rc rc = SL_OK;

    /* A choice that is none any more is not offered again. */
    if (sl_form_check_value(field, kept, &unfit))
        kept = "";
    show_field(field);
    prompt = make_prompt(field, kept, *stored != '\0');
    while (rc == SL_OK && !done) {
        rc = sl_ask_line(prompt, is_secret(field), &typed, err);
        if (rc)
            break;
        done = accept(field, typed, kept, &value);
        sodium_memzero(typed, strlen(typed));
        free(typed);
    }
    if (done && value != NULL)
        json_object_set_new(values, name, json_string(value));
    else if (done)
        json_object_del(values, name);
    /* What a terminal gives may be no UTF-8. */
    if (done && value != NULL && json_object_get(values, name) == NULL)
        rc = sl_fail(err, SL_E_USAGE, "the value of %s is not UTF-8 text", name);
    free(value);
    free(prompt);
    return rc;
}

sl_rc
sl_questions_ask(const json_t *form, json_t *values, struct sl_err *err)
{
    json_t *field;
    sl_rc rc = SL_OK;
    size_t i;

    json_array_foreach(json_object_get(form, "fields"), i, field)
    {
        if (rc == SL_OK && sl_form_shown(field, values))
            rc = ask_field(field, values, err);
    }
    return rc;
}

void
sl_questions_list(const json_t *form)
{
    json_t *field, *option;
    size_t i, j;

    json_array_foreach(json_object_get(form, "fields"), i, field)
    {
        printf("  %-20s %s", sl_form_text(field, "name"), sl_form_text(field, "label"));
        if (sl_form_is(field, "toggle"))
            printf(": true or false");
        json_array_foreach(json_object_get(field, "options"), j, option)
            printf("%s%s", j == 0 ? ": " : ", ", sl_form_text(option, "value"));
        printf("%s\n", json_is_true(json_object_get(field, "required")) ? " (required)" : "");
    }
}
