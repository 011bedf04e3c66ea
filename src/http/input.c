#include "http/input.h"

#include "base/json.h"
#include "runtime/file.h"

#include <stdlib.h>

static const char *
type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static bool
wrong_type(struct sl_call *c, const struct sl_input *in, const char *where, const char *want,
           const json_t *v)
{
    sl_refuse_input(c, "%s%s must be %s, not %s", where, in->name, want, type_name(v));
    return false;
}

static bool
check_text(struct sl_call *c, const struct sl_input *in, const char *where, const json_t *v)
{
    size_t max = in->max ? (size_t)in->max : 255, n;

    if (!json_is_string(v))
        return wrong_type(c, in, where, "text", v);
    n = json_string_length(v);
    if (n < (size_t)in->min) {
        sl_refuse_input(c, "%s%s must not be empty", where, in->name);
        return false;
    }
    if (n > max) {
        sl_refuse_input(c, "%s%s is longer than %zu bytes", where, in->name, max);
        return false;
    }
    for (const char *p = json_string_value(v); *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            sl_refuse_input(c, "%s%s contains a control character", where, in->name);
            return false;
        }
    }
    return true;
}

static bool
check_word(struct sl_call *c, const struct sl_input *in, const char *where, const json_t *v)
{
    if (!json_is_string(v))
        return wrong_type(c, in, where, "text", v);
    if (sl_word_in(in->words, json_string_value(v)))
        return true;
    sl_refuse_input(c, "%s%s must be one of %s, not '%.40s'", where, in->name, in->words,
                    json_string_value(v));
    return false;
}

static bool
check_int(struct sl_call *c, json_t *o, const struct sl_input *in, const char *where,
          const json_t *v)
{
    const char *text = json_string_value(v);
    int64_t n = 0;
    bool whole = json_is_integer(v);

    if (whole)
        n = json_integer_value(v);
    else if (text != NULL) /* "+3" as clients write an offset */
        whole = sl_parse_i64(text + (text[0] == '+' && text[1] != '-'), INT64_MIN, INT64_MAX, &n);
    else if (!json_is_number(v))
        return wrong_type(c, in, where, "a whole number", v);
    if (!whole || n < in->min || n > in->max) {
        sl_refuse_input(c, "%s%s must be a whole number from %lld to %lld", where, in->name,
                        (long long)in->min, (long long)in->max);
        return false;
    }
    json_object_set_new(o, in->name, json_integer(n));
    return true;
}

static bool
check_bool(struct sl_call *c, json_t *o, const struct sl_input *in, const char *where,
           const json_t *v)
{
    const char *text = json_string_value(v);

    if (json_is_boolean(v))
        return true;
    if (text != NULL && sl_word_in("true|false|True|False", text)) {
        json_object_set_new(o, in->name, json_boolean((text[0] | 0x20) == 't'));
        return true;
    }
    return wrong_type(c, in, where, "true or false", v);
}

static bool
check_one(struct sl_call *c, json_t *o, const struct sl_input *in, const char *where)
{
    json_t *v = json_object_get(o, in->name);

    if (json_is_null(v) && !(in->flags & SL_IN_NULL)) {
        json_object_del(o, in->name);
        v = NULL;
    }
    if (v == NULL && (in->flags & SL_IN_MUST)) {
        sl_refuse_input(c, "%s%s is missing", where, in->name);
        return false;
    }
    if (v == NULL || json_is_null(v))
        return true;
    switch (in->type) {
    case SL_IN_TEXT:
        return check_text(c, in, where, v);
    case SL_IN_WORD:
        return check_word(c, in, where, v);
    case SL_IN_INT:
        return check_int(c, o, in, where, v);
    case SL_IN_BOOL:
        return check_bool(c, o, in, where, v);
    case SL_IN_OBJECT:
        return json_is_object(v) || wrong_type(c, in, where, "an object", v);
    case SL_IN_ARRAY:
        return json_is_array(v) || wrong_type(c, in, where, "an array", v);
    case SL_IN_ANY:
        break;
    }
    return true;
}

bool
sl_input_check(struct sl_call *c, json_t *object, const struct sl_input *inputs, const char *where)
{
    for (const struct sl_input *in = inputs; in->name != NULL; in++)
        if (!check_one(c, object, in, where))
            return false;
    return true;
}

bool
sl_input_any(const json_t *object, const struct sl_input *inputs)
{
    for (const struct sl_input *in = inputs; in->name != NULL; in++)
        if (json_object_get(object, in->name) != NULL)
            return true;
    return false;
}

const char *
sl_in_text(const json_t *o, const char *name, const char *otherwise)
{
    const json_t *v = json_object_get(o, name);

    return json_is_string(v) ? json_string_value(v) : otherwise;
}

int64_t
sl_in_int(const json_t *o, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(o, name);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool
sl_in_bool(const json_t *o, const char *name, bool otherwise)
{
    const json_t *v = json_object_get(o, name);

    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

/* ---- raw text ---- */

static const char *
blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* The end of the value that begins at p. The text is known to be valid. */
static const char *
value_end(const char *p, const char *end)
{
    int depth = 0;

    for (; p < end; p++) {
        if (*p == '"') {
            p = sl_json_string_end(p, end) - 1;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p; /* of the object around it */
            depth--;
        } else if (depth == 0 && *p == ',') {
            return p;
        }
    }
    return end;
}

static bool
key_is(const char *p, size_t len, const char *name)
{
    json_t *s = json_loadb(p, len, JSON_DECODE_ANY, NULL);
    bool same = s != NULL && strcmp(json_string_value(s), name) == 0;

    json_decref(s);
    return same;
}

bool
sl_raw_member(struct sl_bytes text, const char *name, struct sl_bytes *out)
{
    const char *p = text.ptr, *end = text.ptr + text.len, *key;
    bool found = false;

    p = blanks(p, end);
    if (p == end || *p != '{')
        return false;
    for (p = blanks(p + 1, end); p < end && *p == '"';) {
        size_t key_len;

        key = p;
        p = sl_json_string_end(p, end);
        key_len = (size_t)(p - key);
        p = blanks(p, end);
        p = blanks(p + 1, end); /* the colon */
        if (key_is(key, key_len, name)) {
            const char *stop = value_end(p, end);

            while (stop > p && strchr(" \n\t\r", stop[-1]) != NULL)
                stop--;
            *out = (struct sl_bytes){ p, (size_t)(stop - p) };
            found = true; /* the last one of several counts, as everywhere */
        }
        p = value_end(p, end);
        if (p < end && *p == ',')
            p = blanks(p + 1, end);
    }
    return found;
}
