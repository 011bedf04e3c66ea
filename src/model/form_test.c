#include "model/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char whole[] =
    "{'fields':[{'name':'kind','label':'Kind','kind':'dropdown','required':true,"
    "  'options':[{'value':'a','label':'A'},{'value':'b'}]},"
    " {'name':'key','label':'API "
    "key','kind':'password','required':true,'when':[{'field':'kind','is':'a'}]},"
    " {'name':'fast','kind':'toggle','required':true},"
    " {'name':'speed','label':'Speed','kind':'text','required':true,'when':[{'field':'fast','is':"
    "true}]},"
    " {'name':'why','label':'Why','kind':'text','when':[{'field':'key','empty':true}]},"
    " {'name':'pem','label':'Key file','kind':'upload','max_bytes':3,'allowed':['.pem']}],"
    " 'tests':[{'name':'connection','label':'Connection'}]}";

/* JSON with ' for ". */
static json_t *
parse(const char *text)
{
    char *copy = strdup(text);
    json_t *v;

    for (char *p = copy; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    v = json_loads(copy, 0, NULL);
    free(copy);
    assert_non_null(v);
    return v;
}

static json_t *
form(void)
{
    struct sl_err err = { 0 };
    json_t *given = parse(whole), *f = NULL;

    if (sl_form_check(given, &f, &err))
        fail_msg("%s", err.text);
    json_decref(given);
    return f;
}

static void
every_field_has_every_member(void **state)
{
    json_t *f = form(), *first = json_array_get(json_object_get(f, "fields"), 0);
    char *text = json_dumps(first, JSON_COMPACT);

    (void)state;
    assert_string_equal(
        text, "{\"name\":\"kind\",\"label\":\"Kind\",\"kind\":\"dropdown\",\"required\":true,"
              "\"description\":null,\"placeholder\":null,\"default\":null,\"options\":["
              "{\"value\":\"a\",\"label\":\"A\",\"description\":null},"
              "{\"value\":\"b\",\"label\":\"b\",\"description\":null}],\"when\":[]}");
    free(text);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(f, "fields"), 2), "label")),
                        "fast");
    assert_string_equal(sl_form_test(f, "connection"), "Connection");
    assert_null(sl_form_test(f, "other"));
    assert_true(sl_form_secret(f, "key"));
    assert_false(sl_form_secret(f, "speed"));
    assert_false(sl_form_empty(f));
    assert_true(sl_form_empty(NULL));
    json_decref(f);
}

static void
what_is_no_form(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "[]", "must be a JSON object" },
        { "{'fields':[{'label':'x','kind':'text'}]}", "\"name\" of 'a field' must be a text" },
        { "{'fields':[{'name':'','kind':'text'}]}", "must be a text that is not empty" },
        { "{'fields':[{'name':'x','kind':'slider'}]}", "unknown kind 'slider'" },
        { "{'fields':[{'name':'x'}]}", "\"kind\" of 'x' must be a text" },
        { "{'fields':[{'name':'x','kind':'text','description':5}]}", "\"description\" of 'x'" },
        { "{'fields':[{'name':'x','kind':'dropdown','options':[]}]}", "has 0 choices" },
        { "{'fields':[{'name':'x','kind':'dropdown','options':[{}]}]}", "has no value" },
        { "{'fields':[{'name':'x','kind':'text','when':[{'field':'y'}]}]}", "neither" },
        { "{'fields':[{'name':'x','kind':'text','when':[{'is':'y'}]}]}", "\"field\" of 'x'" },
        { "{'tests':[{'name':'x'}]}", "\"label\" of 'a test'" },
        { "{'fields':[{'name':'a\\u0000b','kind':'text'}]}", "has a NUL" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *copy = strdup(cases[i].text);
        struct sl_err err = { 0 };
        json_t *given, *f;

        for (char *p = copy; *p != '\0'; p++)
            if (*p == '\'')
                *p = '"';
        given = json_loads(copy, JSON_ALLOW_NUL, NULL);
        assert_non_null(given);
        assert_int_equal(sl_form_check(given, &f, &err), SL_E_CONFIG);
        assert_null(f);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].text, err.text);
        json_decref(given);
        free(copy);
    }
}

static void
values(void **state)
{
    static const struct {
        const char *values;
        bool whole;
        const char *field; /* at fault; NULL: fine */
        const char *says;
    } cases[] = {
        { "{}", true, "kind", "kind (Kind) is required and has no value" },
        { "{}", false, NULL, NULL },
        { "{'kind':'c'}", false, "kind", "'c' is none of its choices: a, b" },
        { "{'kind':'b','other':'x'}", true, NULL, NULL },
        { "{'kind':'a'}", true, "key", "key (API key) is required" },
        { "{'kind':'a','key':'k'}", true, NULL, NULL },
        { "{'kind':'b','fast':'yes'}", true, "fast", "true or false, not 'yes'" },
        { "{'kind':'b','fast':'True'}", true, "speed", "speed (Speed) is required" },
        { "{'kind':'b','fast':'false'}", true, NULL, NULL },
        { "{'kind':'b','pem':'QUJD'}", true, NULL, NULL },
        { "{'kind':'b','pem':'QUJDREVG'}", true, "pem", "larger than 3 bytes" },
    };
    json_t *f = form();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_err err = { 0 };
        json_t *v = parse(cases[i].values);
        sl_rc rc = sl_form_check_values(f, v, cases[i].whole, &err);

        if ((rc != SL_OK) != (cases[i].field != NULL) ||
            (rc &&
             (strcmp(err.path, cases[i].field) != 0 || strstr(err.text, cases[i].says) == NULL)))
            fail_msg("%s: %d %s: %s", cases[i].values, rc, err.path, err.text);
        json_decref(v);
    }
    json_decref(f);
}

static void
what_is_shown(void **state)
{
    json_t *f = form(), *fields = json_object_get(f, "fields"), *none = json_object(),
           *some = parse("{'kind':'a','fast':'true','key':'k'}");

    (void)state;
    assert_false(sl_form_shown(json_array_get(fields, 1), none));
    assert_true(sl_form_shown(json_array_get(fields, 1), some));
    assert_true(sl_form_shown(json_array_get(fields, 4), none));
    assert_false(sl_form_shown(json_array_get(fields, 4), some));
    assert_true(sl_form_shown(json_array_get(fields, 3), some));
    json_decref(f);
    json_decref(none);
    json_decref(some);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_every_member),
        cmocka_unit_test(what_is_no_form),
        cmocka_unit_test(values),
        cmocka_unit_test(what_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
