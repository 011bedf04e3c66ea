#include "wire/form_pb.h"

#include "base/text.h"
#include "model/form.h"

#include <string.h>

/* Wire types. */
enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

/* Field numbers of the messages. */
enum { FORM_FIELDS = 3, FORM_TESTS = 4 };
enum { TEST_NAME = 1, TEST_LABEL = 2 };
enum {
    FIELD_NAME = 1,
    FIELD_LABEL = 2,
    FIELD_REQUIRED = 3,
    FIELD_DESCRIPTION = 4,
    FIELD_TEXT = 5,
    FIELD_DROPDOWN = 6,
    FIELD_TOGGLE = 7,
    FIELD_DEFAULT = 8,
    FIELD_PLACEHOLDER = 9,
    FIELD_CONDITIONAL = 10,
    FIELD_UPLOAD = 11,
    FIELD_CHOICES = 12
};
enum { CHOICE_VALUE = 1, CHOICE_LABEL = 2, CHOICE_DESCRIPTION = 3 };
enum { UPLOAD_ALLOWED = 1, UPLOAD_MAX = 2 };
enum { CONDITIONAL_CONDITION = 1, CONDITIONAL_FIELDS = 2 };
enum { CONDITION_FIELD = 1, CONDITION_BOOL = 2, CONDITION_STRING = 3, CONDITION_EMPTY = 4 };

/* By the number of TextField. */
static const char *const text_kinds[] = { "text", "password", "hidden" };

/* ---- reading ---- */

struct item {
    unsigned number;
    int type;
    uint64_t value;        /* of a VARINT */
    struct sl_bytes bytes; /* of BYTES */
};

static bool
read_varint(struct sl_bytes *in, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && in->len > 0; shift += 7) {
        unsigned char byte = (unsigned char)*in->ptr++;

        in->len--;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* The next item; false at the end and for what is no protobuf (then in->ptr is NULL). */
static bool
next(struct sl_bytes *in, struct item *it)
{
    uint64_t key, size;

    if (in->len == 0)
        return false;
    if (!read_varint(in, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        goto bad;
    *it = (struct item){ .number = (unsigned)(key >> 3), .type = (int)(key & 7) };
    if (it->type == VARINT) {
        if (!read_varint(in, &it->value))
            goto bad;
        return true;
    }
    size = it->type == FIXED64 ? 8 : it->type == FIXED32 ? 4 : 0;
    if (it->type == BYTES ? !read_varint(in, &size) : size == 0)
        goto bad;
    if (size > in->len)
        goto bad;
    it->bytes = (struct sl_bytes){ in->ptr, (size_t)size };
    in->ptr += size;
    in->len -= (size_t)size;
    return true;
bad:
    *in = (struct sl_bytes){ 0 };
    return false;
}

static bool
is(const struct item *it, unsigned number, int type)
{
    return it->number == number && it->type == type;
}

static sl_rc
damaged(struct sl_err *err)
{
    return sl_fail(err, SL_E_CONFIG, SL_FORM_FILE " is damaged");
}

/* Whether the last next() ended at the end. */
static sl_rc
ended(const struct sl_bytes *in, struct sl_err *err)
{
    return in->ptr == NULL ? damaged(err) : SL_OK;
}

static sl_rc
put_text(json_t *to, const char *member, struct sl_bytes text, struct sl_err *err)
{
    json_t *v = json_stringn(text.ptr, text.len);

    if (v == NULL)
        return damaged(err); /* no UTF-8 */
    json_object_set_new(to, member, v);
    return SL_OK;
}

/* A message of texts only: number i + 1 is names[i]. */
static sl_rc
read_texts(struct sl_bytes in, const char *const *names, unsigned nnames, json_t *to,
           struct sl_err *err)
{
    struct item it;
    sl_rc rc = SL_OK;

    while (rc == SL_OK && next(&in, &it))
        if (it.type == BYTES && it.number <= nnames)
            rc = put_text(to, names[it.number - 1], it.bytes, err);
    return rc ? rc : ended(&in, err);
}

static sl_rc
read_choices(struct sl_bytes in, bool described, json_t *field, struct sl_err *err)
{
    static const char *const names[] = { "value", "label", "description" };
    json_t *options = json_array();
    struct item it;
    sl_rc rc = SL_OK;

    json_object_set_new(field, "kind", json_string("dropdown"));
    json_object_set_new(field, "options", options);
    while (rc == SL_OK && next(&in, &it)) {
        json_t *option = json_object();

        /* A text of no bytes is not on the wire. */
        json_object_set_new(option, "value", json_string(""));
        json_array_append_new(options, option);
        if (!is(&it, 1, BYTES))
            json_array_remove(options, json_array_size(options) - 1);
        else if (described)
            rc = read_texts(it.bytes, names, 3, option, err);
        else
            rc = put_text(option, "value", it.bytes, err);
        if (json_array_size(options) > SL_FORM_OPTIONS)
            break; /* sl_form_check() says so */
    }
    return rc ? rc : ended(&in, err);
}

static sl_rc
read_upload(struct sl_bytes in, json_t *field, struct sl_err *err)
{
    json_t *allowed = json_array(), *v;
    struct item it;
    sl_rc rc = SL_OK;

    json_object_set_new(field, "kind", json_string("upload"));
    json_object_set_new(field, "allowed", allowed);
    while (rc == SL_OK && next(&in, &it)) {
        if (is(&it, UPLOAD_ALLOWED, BYTES)) {
            v = json_stringn(it.bytes.ptr, it.bytes.len);
            rc = v != NULL ? SL_OK : damaged(err);
            json_array_append_new(allowed, v);
        } else if (is(&it, UPLOAD_MAX, VARINT)) {
            json_object_set_new(field, "max_bytes", json_integer((json_int_t)(int32_t)it.value));
        }
    }
    return rc ? rc : ended(&in, err);
}

static sl_rc
read_condition(struct sl_bytes in, json_t *condition, struct sl_err *err)
{
    struct item it;
    sl_rc rc = SL_OK;

    while (rc == SL_OK && next(&in, &it)) {
        if (is(&it, CONDITION_FIELD, BYTES))
            rc = put_text(condition, "field", it.bytes, err);
        else if (is(&it, CONDITION_STRING, BYTES))
            rc = put_text(condition, "is", it.bytes, err);
        else if (is(&it, CONDITION_BOOL, VARINT))
            json_object_set_new(condition, "is", json_boolean(it.value != 0));
        else if (is(&it, CONDITION_EMPTY, VARINT))
            json_object_set_new(condition, "empty", json_boolean(it.value != 0));
    }
    return rc ? rc : ended(&in, err);
}

static sl_rc read_field(struct sl_bytes in, const json_t *when, json_t *fields, struct sl_err *err);

/* Its fields, each with one condition more. */
static sl_rc
read_conditional(struct sl_bytes in, const json_t *when, json_t *fields, struct sl_err *err)
{
    json_t *condition = json_object(), *whole = json_copy((json_t *)(uintptr_t)when);
    struct sl_bytes again = in;
    struct item it;
    sl_rc rc = SL_OK;

    json_array_append(whole, condition);
    if (json_array_size(whole) > SL_FORM_CONDITIONS)
        rc = sl_fail(err, SL_E_CONFIG, "a form whose conditions are nested more than %d deep",
                     SL_FORM_CONDITIONS);
    while (rc == SL_OK && next(&in, &it))
        if (is(&it, CONDITIONAL_CONDITION, BYTES))
            rc = read_condition(it.bytes, condition, err);
    if (rc == SL_OK)
        rc = ended(&in, err);
    while (rc == SL_OK && next(&again, &it))
        if (is(&it, CONDITIONAL_FIELDS, BYTES))
            rc = read_field(it.bytes, whole, fields, err);
    json_decref(condition);
    json_decref(whole);
    return rc;
}

static sl_rc
read_item(const struct item *it, const json_t *when, json_t *field, json_t *fields,
          struct sl_err *err)
{
    static const struct {
        unsigned number;
        const char *member;
    } texts[] = {
        { FIELD_NAME, "name" },
        { FIELD_LABEL, "label" },
        { FIELD_DEFAULT, "default" },
        { FIELD_DESCRIPTION, "description" },
        { FIELD_PLACEHOLDER, "placeholder" },
    };

    if (is(it, FIELD_REQUIRED, VARINT))
        json_object_set_new(field, "required", json_boolean(it->value != 0));
    else if (is(it, FIELD_TEXT, VARINT))
        json_object_set_new(field, "kind", json_string(text_kinds[it->value < 3 ? it->value : 0]));
    if (it->type != BYTES)
        return SL_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (it->number == texts[i].number)
            return put_text(field, texts[i].member, it->bytes, err);
    switch (it->number) {
    case FIELD_DROPDOWN:
    case FIELD_CHOICES:
        return read_choices(it->bytes, it->number == FIELD_CHOICES, field, err);
    case FIELD_TOGGLE:
        json_object_set_new(field, "kind", json_string("toggle"));
        return SL_OK;
    case FIELD_UPLOAD:
        return read_upload(it->bytes, field, err);
    case FIELD_CONDITIONAL:
        json_object_set_new(field, "kind", json_string("conditional"));
        return read_conditional(it->bytes, when, fields, err);
    default:
        return SL_OK;
    }
}

static sl_rc
read_field(struct sl_bytes in, const json_t *when, json_t *fields, struct sl_err *err)
{
    json_t *field = json_object();
    struct item it;
    sl_rc rc = SL_OK;

    /* Zero is not on the wire: without a kind it is a plain text. */
    json_object_set_new(field, "kind", json_string("text"));
    json_object_set(field, "when", (json_t *)(uintptr_t)when);
    while (rc == SL_OK && next(&in, &it))
        rc = read_item(&it, when, field, fields, err);
    if (rc == SL_OK)
        rc = ended(&in, err);
    if (rc == SL_OK && json_array_size(fields) > SL_FORM_FIELDS)
        rc = sl_fail(err, SL_E_CONFIG, "a form with more than %d fields", SL_FORM_FIELDS);
    if (rc == SL_OK &&
        strcmp(json_string_value(json_object_get(field, "kind")), "conditional") != 0)
        json_array_append(fields, field);
    json_decref(field);
    return rc;
}

sl_rc
sl_form_from_pb(struct sl_bytes pb, json_t **form, struct sl_err *err)
{
    static const char *const names[] = { "name", "label" };
    json_t *fields = json_array(), *tests = json_array(), *when = json_array(), *test,
           *given = json_pack("{s:o, s:o}", "fields", fields, "tests", tests);
    struct item it;
    sl_rc rc = SL_OK;

    *form = NULL;
    if (pb.len == 0)
        pb.ptr = "";
    if (pb.len > SL_FORM_MAX)
        rc = sl_fail(err, SL_E_CONFIG, SL_FORM_FILE " is larger than %zu bytes", SL_FORM_MAX);
    while (rc == SL_OK && next(&pb, &it)) {
        if (is(&it, FORM_FIELDS, BYTES)) {
            rc = read_field(it.bytes, when, fields, err);
        } else if (is(&it, FORM_TESTS, BYTES)) {
            test = json_object();
            json_array_append_new(tests, test);
            rc = read_texts(it.bytes, names, 2, test, err);
        }
    }
    if (rc == SL_OK)
        rc = ended(&pb, err);
    if (rc == SL_OK)
        rc = sl_form_check(given, form, err);
    json_decref(when);
    json_decref(given);
    return rc;
}

/* ---- writing ---- */

static void
put_varint(struct sl_buf *out, uint64_t value)
{
    char byte;

    for (; value >= 0x80; value >>= 7) {
        byte = (char)(value | 0x80);
        sl_buf_addn(out, &byte, 1);
    }
    byte = (char)value;
    sl_buf_addn(out, &byte, 1);
}

static void
put_number(struct sl_buf *out, unsigned number, uint64_t value)
{
    put_varint(out, number << 3 | VARINT);
    put_varint(out, value);
}

static void
put_bytes(struct sl_buf *out, unsigned number, const void *ptr, size_t len)
{
    put_varint(out, number << 3 | BYTES);
    put_varint(out, len);
    if (len > 0)
        sl_buf_addn(out, ptr, len);
}

/* A member of texts; null is left out. */
static void
put_member(struct sl_buf *out, unsigned number, const json_t *from, const char *member)
{
    const json_t *v = json_object_get(from, member);

    if (json_is_string(v))
        put_bytes(out, number, json_string_value(v), json_string_length(v));
}

/* `inner` becomes a message in `out`, and is emptied. */
static void
put_message(struct sl_buf *out, unsigned number, struct sl_buf *inner)
{
    put_bytes(out, number, inner->ptr, inner->len);
    sl_buf_free(inner);
}

static void
put_choices(struct sl_buf *out, const json_t *field)
{
    struct sl_buf list, choice;
    json_t *option;
    size_t i;

    sl_buf_init(&list, SL_FORM_MAX * 8);
    json_array_foreach(json_object_get(field, "options"), i, option)
    {
        sl_buf_init(&choice, SL_FORM_MAX);
        put_member(&choice, CHOICE_VALUE, option, "value");
        put_member(&choice, CHOICE_LABEL, option, "label");
        put_member(&choice, CHOICE_DESCRIPTION, option, "description");
        put_message(&list, 1, &choice);
    }
    put_message(out, FIELD_CHOICES, &list);
}

static void
put_upload(struct sl_buf *out, const json_t *field)
{
    json_int_t most = json_integer_value(json_object_get(field, "max_bytes"));
    struct sl_buf upload;
    json_t *one;
    size_t i;

    sl_buf_init(&upload, SL_FORM_MAX);
    json_array_foreach(json_object_get(field, "allowed"), i, one)
        put_bytes(&upload, UPLOAD_ALLOWED, json_string_value(one), json_string_length(one));
    if (most > 0)
        put_number(&upload, UPLOAD_MAX, (uint64_t)most);
    put_message(out, FIELD_UPLOAD, &upload);
}

static void
put_plain_field(struct sl_buf *out, const json_t *field)
{
    const char *kind = json_string_value(json_object_get(field, "kind"));

    put_member(out, FIELD_NAME, field, "name");
    put_member(out, FIELD_LABEL, field, "label");
    put_number(out, FIELD_REQUIRED, json_is_true(json_object_get(field, "required")));
    put_member(out, FIELD_DESCRIPTION, field, "description");
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(kind, text_kinds[i]) == 0)
            put_number(out, FIELD_TEXT, i);
    if (strcmp(kind, "toggle") == 0)
        put_bytes(out, FIELD_TOGGLE, "", 0);
    put_member(out, FIELD_DEFAULT, field, "default");
    put_member(out, FIELD_PLACEHOLDER, field, "placeholder");
    if (strcmp(kind, "upload") == 0)
        put_upload(out, field);
    else if (strcmp(kind, "dropdown") == 0)
        put_choices(out, field);
}

static void
put_condition(struct sl_buf *out, const json_t *condition)
{
    const json_t *is_value = json_object_get(condition, "is"),
                 *empty = json_object_get(condition, "empty");
    struct sl_buf inner;

    sl_buf_init(&inner, SL_FORM_MAX);
    put_member(&inner, CONDITION_FIELD, condition, "field");
    if (json_is_boolean(empty))
        put_number(&inner, CONDITION_EMPTY, json_is_true(empty));
    else if (json_is_boolean(is_value))
        put_number(&inner, CONDITION_BOOL, json_is_true(is_value));
    else
        put_member(&inner, CONDITION_STRING, condition, "is");
    put_message(out, CONDITIONAL_CONDITION, &inner);
}

/* Wrapped into as many conditional fields as it has conditions, the last one innermost. */
static void
put_field(struct sl_buf *out, const json_t *field)
{
    json_t *when = json_object_get(field, "when");
    struct sl_buf inner, conditional, outer;

    sl_buf_init(&inner, SL_FORM_MAX * 16);
    put_plain_field(&inner, field);
    for (size_t i = json_array_size(when); i > 0; i--) {
        sl_buf_init(&conditional, SL_FORM_MAX * 16);
        put_condition(&conditional, json_array_get(when, i - 1));
        put_message(&conditional, CONDITIONAL_FIELDS, &inner);
        sl_buf_init(&outer, SL_FORM_MAX * 16);
        put_message(&outer, FIELD_CONDITIONAL, &conditional);
        inner = outer;
    }
    put_message(out, FORM_FIELDS, &inner);
}

void
sl_form_to_pb(const json_t *form, struct sl_buf *out)
{
    struct sl_buf inner;
    json_t *one;
    size_t i;

    json_array_foreach(json_object_get(form, "fields"), i, one) put_field(out, one);
    json_array_foreach(json_object_get(form, "tests"), i, one)
    {
        sl_buf_init(&inner, SL_FORM_MAX);
        put_member(&inner, TEST_NAME, one, "name");
        put_member(&inner, TEST_LABEL, one, "label");
        put_message(out, FORM_TESTS, &inner);
    }
}
