/* setup_form.c - the configuration: the connector's own form, or the keys it has.
 *
 * web/setup.js sends it: a value that is stored and not typed again is kept (null in secrets_list), so secrets never come here. What the
 * API refuses is told at the field it names.
 */
#include "dashboard/setup.h"

#include <stdlib.h>

static bool
is_kind(const json_t *field, const char *kind)
{
    return strcmp(sl_at_text(field, "kind"), kind) == 0;
}

/* ---- inputs ---- */

/* What every input of a field has. */
static void
view_attributes(struct sl_view *v, const json_t *field, bool wanted)
{
    const char *name = sl_at_text(field, "name");

    sl_html(v->h, " name=\"%s\" aria-describedby=\"about-%s\"%s", name, name,
            wanted && sl_at_true(field, "required") ? " required" : "");
}

static void
view_dropdown(struct sl_view *v, const json_t *field)
{
    const char *value = sl_at_text(field, "value");
    const json_t *option;
    size_t i;

    if (value[0] == '\0')
        value = sl_at_text(field, "default");
    sl_html(v->h, "<select");
    view_attributes(v, field, true);
    sl_html(v->h, "><option value=\"\">Choose…</option>");
    json_array_foreach(sl_at(field, "options"), i, option)
        sl_html(v->h, "<option value=\"%s\"%s>%s</option>", sl_at_text(option, "value"),
                strcmp(sl_at_text(option, "value"), value) == 0 ? " selected" : "",
                sl_at_text(option, "label"));
    sl_html(v->h, "</select>");
}

/* The stored value is not given out; an empty input keeps it. */
static void
view_secret(struct sl_view *v, const json_t *field)
{
    bool stored = sl_at_true(field, "has_value");

    sl_html(v->h,
            "<input type=\"password\" autocomplete=\"new-password\" spellcheck=\"false\" "
            "placeholder=\"%s\"",
            stored ? "•••••••• stored; type to replace it" : sl_at_text(field, "placeholder"));
    view_attributes(v, field, !stored);
    sl_html(v->h, "%s>", stored ? " data-stored" : "");
}

static void
view_upload(struct sl_view *v, const json_t *field)
{
    bool stored = sl_at_true(field, "has_value");
    const json_t *ending;
    size_t i;

    sl_html(v->h, "<input type=\"file\" data-max=\"%lld\" accept=\"",
            (long long)sl_at_int(field, "max_bytes"));
    json_array_foreach(sl_at(field, "allowed"), i, ending)
    {
        const char *text = json_string_value(ending);

        sl_html(v->h, "%s%s%s", i > 0 ? "," : "", text[0] == '.' ? "" : ".", text);
    }
    sl_html(v->h, "\"");
    view_attributes(v, field, !stored);
    sl_html(v->h, "%s>", stored ? " data-stored" : "");
}

static void
view_text(struct sl_view *v, const json_t *field)
{
    const char *value = sl_at_text(field, "value");

    sl_html(v->h,
            "<input type=\"text\" autocomplete=\"off\" spellcheck=\"false\" value=\"%s\" "
            "placeholder=\"%s\"",
            sl_at_true(field, "has_value") ? value : sl_at_text(field, "default"),
            sl_at_text(field, "placeholder"));
    view_attributes(v, field, true);
    sl_html(v->h, ">");
}

static void
view_toggle(struct sl_view *v, const json_t *field)
{
    const char *value = sl_at_text(field, sl_at_true(field, "has_value") ? "value" : "default");

    sl_html(v->h, "<label class=\"inline\"><input type=\"checkbox\"%s",
            strcmp(value, "true") == 0 ? " checked" : "");
    view_attributes(v, field, false);
    sl_html(v->h, "> %s</label>", sl_at_text(field, "label"));
}

static void
view_input(struct sl_view *v, const json_t *field)
{
    if (is_kind(field, "upload"))
        view_upload(v, field);
    else if (sl_at_true(field, "secret"))
        view_secret(v, field);
    else if (is_kind(field, "dropdown"))
        view_dropdown(v, field);
    else
        view_text(v, field);
}

/* Below an input: what it is, and the place for what is wrong with it. */
static void
view_about(struct sl_view *v, const json_t *field)
{
    const char *name = sl_at_text(field, "name"), *about = sl_at_text(field, "description");

    sl_html(v->h,
            "<span class=\"about\" id=\"about-%s\"><span class=\"dim\">%s</span>"
            "<b class=\"bad\" data-problem></b></span>",
            name, about);
    if (sl_at_true(field, "has_value") && !sl_at_true(field, "required") &&
        (sl_at_true(field, "secret") || is_kind(field, "upload")))
        sl_html(v->h,
                "<label class=\"inline\"><input type=\"checkbox\" data-remove=\"%s\"> Remove the "
                "stored value</label>",
                name);
}

static void
view_field(struct sl_view *v, const json_t *field)
{
    char *when = json_dumps(sl_at(field, "when"), JSON_COMPACT);

    sl_html(v->h, "<div class=\"field\" data-field=\"%s\" data-kind=\"%s\" data-when=\"%s\"%s>",
            sl_at_text(field, "name"), sl_at_text(field, "kind"), when,
            sl_at_true(field, "shown") ? "" : " hidden");
    free(when);
    if (is_kind(field, "toggle")) {
        view_toggle(v, field);
    } else {
        sl_html(v->h, "<label>%s", sl_at_text(field, "label"));
        if (!sl_at_true(field, "required"))
            sl_html(v->h, " <span class=\"dim\">optional</span>");
        view_input(v, field);
        sl_html(v->h, "</label>");
    }
    view_about(v, field);
    sl_html(v->h, "</div>");
}

/* ---- keys without a form ---- */

static void
view_key(struct sl_view *v, const char *key)
{
    sl_html(v->h,
            "<div class=\"field\" data-field=\"%s\" data-kind=\"key\"><label>%s<input "
            "type=\"password\" autocomplete=\"new-password\" spellcheck=\"false\" data-stored "
            "name=\"%s\" placeholder=\"•••••••• stored; type to replace it\" "
            "aria-describedby=\"about-%s\"></label><span class=\"about\" id=\"about-%s\">"
            "<b class=\"bad\" data-problem></b></span>"
            "<label class=\"inline\"><input type=\"checkbox\" data-remove=\"%s\"> Remove it</label>"
            "</div>",
            key, key, key, key, key, key);
}

static void
view_keys(struct sl_view *v)
{
    const json_t *key;
    size_t i;

    json_array_foreach(sl_at(v->m, "tab.form.other_keys"), i, key)
        view_key(v, json_string_value(key));
    if (!sl_at_true(v->m, "tab.form.may_add_keys"))
        return;
    sl_html(v->h, "<div id=\"new-keys\"></div><p><button type=\"button\" class=\"quiet\" "
                  "data-add-key>Add a key</button></p>");
}

/* ---- the whole ---- */

static void
view_intro(struct sl_view *v)
{
    size_t fields = json_array_size(sl_at(v->m, "tab.form.fields")),
           keys = json_array_size(sl_at(v->m, "tab.form.other_keys"));

    if (fields > 0)
        return;
    sl_html(v->h, "<p class=\"dim\">%s</p>",
            keys > 0
                ? "The connector has no form of its own. These are the keys of its configuration; "
                  "their values are write-only."
                : "The connector has no form of its own, and no key of its configuration has a "
                  "value.");
}

/* For those who may not change it: what there is. */
static void
view_read_only(struct sl_view *v)
{
    const json_t *one;
    size_t i;

    sl_html(v->h, "<dl class=\"facts\">");
    json_array_foreach(sl_at(v->m, "tab.form.fields"), i, one)
        sl_html(v->h, "<div><dt>%s</dt><dd>%s</dd></div>", sl_at_text(one, "label"),
                sl_at_true(one, "has_value") ? "stored" : "no value");
    json_array_foreach(sl_at(v->m, "tab.form.other_keys"), i, one)
        sl_html(v->h, "<div><dt>%s</dt><dd>stored</dd></div>", json_string_value(one));
    sl_html(v->h, "</dl>");
}

/* The form's own tests, with the values as they stand in it. */
static void
view_tests(struct sl_view *v)
{
    const json_t *tests = sl_at(v->m, "tab.form.tests"), *test;
    size_t i;

    if (json_array_size(tests) == 0 || !sl_may(v, SL_ROLE_OPERATOR))
        return;
    sl_html(v->h,
            "<h3>Tests of the connector</h3><p class=\"dim\">They run with the values as they "
            "stand above, saved or not.</p><div class=\"buttons\">");
    json_array_foreach(tests, i, test)
        sl_html(v->h, "<button type=\"button\" class=\"quiet\" data-test=\"/%s\">%s</button>",
                sl_url(&v->c->arena, sl_at_text(test, "name")), sl_at_text(test, "label"));
    if (i > 1)
        sl_html(v->h,
                "<button type=\"button\" class=\"quiet\" data-test=\"\">All of them</button>");
    sl_html(v->h, "</div><ul class=\"results\" id=\"test-results\" role=\"status\"></ul>");
}

void
sl_setup_form_view(struct sl_view *v)
{
    const json_t *field;
    size_t i;

    sl_html(v->h, "<section class=\"card\" id=\"configuration\"><h2>Configuration</h2>");
    view_intro(v);
    if (!sl_may(v, SL_ROLE_ADMIN)) {
        view_read_only(v);
        view_tests(v);
        sl_html(v->h, "</section>");
        return;
    }
    sl_html(v->h, "<form class=\"fields\" id=\"configuration-form\">");
    json_array_foreach(sl_at(v->m, "tab.form.fields"), i, field) view_field(v, field);
    view_keys(v);
    view_tests(v);
    sl_html(v->h,
            "<div class=\"buttons\"><button class=\"primary\">Save and test</button>"
            "<span class=\"dim\" id=\"saving\" role=\"status\"></span></div></form></section>");
}
