#include "platform/vault.h"

#include "base/fault.h"
#include "base/text.h"
#include "platform/fields.h"
#include "runtime/file.h"
#include "runtime/proc.h"

#include <ctype.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define KEY_BYTES crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
/* First byte of what is sealed: which way it was done. */
#define WAY 1
#define BASE64 sodium_base64_VARIANT_ORIGINAL
/* While a rotation is under way a key file holds two. */
#define KEYS_MAX 2
/* The known value whose opening tells that a key is the right one. */
#define CHECK "vault_check"
#define CHECK_OWNER "vault:check"
#define CHECK_TEXT "sluice"
/* Of a command that asks a key service. */
#define COMMAND_US (30 * INT64_C(1000000))

struct sl_vault {
    struct sl_store *st;
    char *file, *command; /* where the key comes from; command NULL: the file */
    unsigned char *key;   /* the one in use, in locked memory */
    unsigned char *all;   /* KEYS_MAX keys as they were read */
    int nkeys;
};

/* ---- sealing ---- */

static sl_rc
seal_with(const unsigned char *key, const char *owner, struct sl_bytes plain, char **sealed,
          struct sl_err *err)
{
    size_t size = 1 + NONCE_BYTES + plain.len + TAG_BYTES,
           room = sodium_base64_ENCODED_LEN(size, BASE64);
    unsigned char *box = sl_try_realloc(NULL, size, 1);
    char *text = sl_try_realloc(NULL, room, 1);

    *sealed = NULL;
    if (box == NULL || text == NULL) {
        free(box);
        free(text);
        return sl_fail(err, SL_E_NOMEM, "no memory to seal %zu bytes", plain.len);
    }
    box[0] = WAY;
    randombytes_buf(box + 1, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        box + 1 + NONCE_BYTES, NULL, (const unsigned char *)plain.ptr, plain.len,
        (const unsigned char *)owner, strlen(owner), NULL, box + 1, key);
    sodium_bin2base64(text, room, box, size, BASE64);
    free(box);
    *sealed = text;
    return SL_OK;
}

static sl_rc
unseal_with(const unsigned char *key, const char *owner, const char *sealed, char **plain,
            size_t *len, struct sl_err *err)
{
    size_t room = strlen(sealed), size = 0;
    unsigned char *box = sl_try_realloc(NULL, room + 1, 1);
    char *text = NULL;
    sl_rc rc = SL_E_DATA;

    *plain = NULL;
    *len = 0;
    if (box == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory to open %zu bytes", room);
    if (sodium_base642bin(box, room, sealed, room, NULL, &size, NULL, BASE64) == 0 &&
        size >= 1 + NONCE_BYTES + TAG_BYTES && box[0] == WAY) {
        *len = size - 1 - NONCE_BYTES - TAG_BYTES;
        text = sl_try_realloc(NULL, *len + 1, 1);
        if (text == NULL)
            rc = SL_E_NOMEM;
        else if (crypto_aead_xchacha20poly1305_ietf_decrypt(
                     (unsigned char *)text, NULL, NULL, box + 1 + NONCE_BYTES,
                     size - 1 - NONCE_BYTES, (const unsigned char *)owner, strlen(owner), box + 1,
                     key) == 0)
            rc = SL_OK;
    }
    free(box);
    if (rc == SL_OK) {
        text[*len] = '\0';
        *plain = text;
        return SL_OK;
    }
    free(text);
    sl_fail(err, rc, "the sealed value of %s does not open: it was damaged, or belongs elsewhere",
            owner);
    sl_err_hint(err, "set the secret again, or restore a backup");
    return rc;
}

sl_rc
sl_vault_seal(struct sl_vault *v, const char *owner, struct sl_bytes plain, char **sealed,
              struct sl_err *err)
{
    return seal_with(v->key, owner, plain, sealed, err);
}

sl_rc
sl_vault_unseal(struct sl_vault *v, const char *owner, const char *sealed, char **plain,
                size_t *len, struct sl_err *err)
{
    return unseal_with(v->key, owner, sealed, plain, len, err);
}

void
sl_vault_wipe(char *plain, size_t len)
{
    if (plain == NULL)
        return;
    sodium_memzero(plain, len);
    free(plain);
}

/* ---- where the key comes from ---- */

static sl_rc
fail_keys(const struct sl_vault *v, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_CONFIG, "%s does not hold a master key: one line of 64 hex digits",
                       v->command ? "the output of the key command" : v->file);

    sl_err_hint(err, "put back the file that belongs to this data directory");
    return rc;
}

/* Up to KEYS_MAX lines of 64 hex digits. */
static sl_rc
parse_keys(struct sl_vault *v, const struct sl_buf *text, struct sl_err *err)
{
    const char *p = text->ptr, *end = p + text->len;

    v->nkeys = 0;
    while (p < end) {
        const char *stop;
        size_t n;

        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        if (v->nkeys == KEYS_MAX || (size_t)(end - p) < 2 * KEY_BYTES ||
            sodium_hex2bin(v->all + v->nkeys * KEY_BYTES, KEY_BYTES, p, 2 * KEY_BYTES, NULL, &n,
                           &stop) != 0 ||
            n != KEY_BYTES)
            return fail_keys(v, err);
        p += 2 * KEY_BYTES;
        if (p < end && !isspace((unsigned char)*p))
            return fail_keys(v, err);
        v->nkeys++;
    }
    return v->nkeys ? SL_OK : fail_keys(v, err);
}

static sl_rc
run_command(struct sl_vault *v, struct sl_buf *text, struct sl_err *err)
{
    char *line = sl_sprintf("{ %s\n} 2>/dev/null", v->command); /* only what it prints is a key */
    const char *argv[] = { "/bin/sh", "-c", line, NULL };
    struct sl_run run = { .argv = argv, .log_fd = -1, .timeout_us = COMMAND_US };
    int status = 0;
    sl_rc rc = sl_run(&run, text, &status, err);

    free(line);
    if (rc == SL_OK && status != 0)
        /* Its output may hold half a key: not shown. */
        rc = sl_fail(err, SL_E_CONFIG, "the key command ended with status %d", status);
    if (rc)
        sl_err_hint(err, "run the command given with --key-command by hand");
    return rc;
}

/* SL_E_NOT_FOUND when there is no key file. */
static sl_rc
read_keys(struct sl_vault *v, struct sl_err *err)
{
    struct sl_buf text;
    sl_rc rc;

    sl_buf_init(&text, 4096);
    /* sl_file_read reads in steps of 64 KiB. */
    text.max = 1u << 17;
    rc = v->command ? run_command(v, &text, err) : sl_file_read(v->file, &text, err);
    if (rc == SL_OK)
        rc = parse_keys(v, &text, err);
    if (text.ptr != NULL)
        sodium_memzero(text.ptr, text.cap);
    sl_buf_free(&text);
    return rc;
}

static sl_rc
write_keys(struct sl_vault *v, const unsigned char *keys, int nkeys, struct sl_err *err)
{
    char text[KEYS_MAX * (2 * KEY_BYTES + 1) + 1];
    size_t n = 0;
    sl_rc rc;

    for (int i = 0; i < nkeys; i++) {
        sl_hex(keys + (size_t)i * KEY_BYTES, KEY_BYTES, text + n);
        n += 2 * KEY_BYTES;
        text[n++] = '\n';
    }
    rc = sl_file_write_private(v->file, (struct sl_bytes){ text, n }, err);
    sodium_memzero(text, sizeof text);
    return rc;
}

/* ---- which key is the right one ---- */

static sl_rc
fail_no_key(const struct sl_vault *v, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_CONFIG,
                       "the master key of this data directory is missing: there is no %s", v->file);

    sl_err_path(err, "%s", v->file);
    sl_err_hint(err, "put back secret.key from where you keep it (a backup has it only when made "
                     "with --with-key), "
                     "or give --key-command; without it the secrets in the store cannot be opened");
    return rc;
}

static bool
opens(const unsigned char *key, const char *check)
{
    char *plain;
    size_t len;
    bool yes = unseal_with(key, CHECK_OWNER, check, &plain, &len, NULL) == SL_OK;

    sl_vault_wipe(plain, len);
    return yes;
}

static sl_rc
choose(struct sl_vault *v, const char *check, struct sl_err *err)
{
    sl_rc rc;

    for (int i = 0; i < v->nkeys; i++)
        if (opens(v->all + (size_t)i * KEY_BYTES, check)) {
            memcpy(v->key, v->all + (size_t)i * KEY_BYTES, KEY_BYTES);
            return SL_OK;
        }
    rc = sl_fail(err, SL_E_CONFIG, "the master key %s%s is not the one of this data directory",
                 v->command ? "of the key command" : "in ", v->command ? "" : v->file);
    sl_err_hint(err, "put back the key that the secrets were sealed with; nothing was changed");
    return rc;
}

static sl_rc
put_check(struct sl_vault *v, const unsigned char *key, struct sl_err *err)
{
    char *check;
    sl_rc rc = seal_with(key, CHECK_OWNER, SL_LIT(CHECK_TEXT), &check, err);

    if (rc == SL_OK)
        rc = sl_store_set_meta(v->st, CHECK, check, err);
    free(check);
    return rc;
}

/* The first start: a key is made unless there is one, then the store remembers its check value. A kill between the two
 * leaves a key that nothing is sealed with yet; the next start takes it. */
static sl_rc
first_key(struct sl_vault *v, struct sl_err *err)
{
    sl_rc rc = read_keys(v, err);

    if (rc == SL_E_NOT_FOUND && v->command == NULL) {
        randombytes_buf(v->all, KEY_BYTES);
        rc = write_keys(v, v->all, 1, err);
    }
    if (rc)
        return rc;
    memcpy(v->key, v->all, KEY_BYTES);
    rc = sl_store_begin(v->st, err);
    if (rc == SL_OK)
        rc = put_check(v, v->key, err);
    if (rc == SL_OK)
        return sl_store_commit(v->st, err);
    sl_store_rollback(v->st);
    return rc;
}

/* A rotation that was killed left two keys: the one not in use goes. In a write transaction, which a rotation under way
 * elsewhere holds until its key is the one in use. */
static sl_rc
drop_second(struct sl_vault *v, struct sl_err *err)
{
    char *check = NULL;
    sl_rc rc = sl_store_begin(v->st, err);

    if (rc)
        return rc;
    rc = sl_store_meta(v->st, CHECK, &check, err);
    if (rc == SL_OK)
        rc = read_keys(v, err);
    if (rc == SL_OK)
        rc = choose(v, check, err);
    if (rc == SL_OK && v->nkeys > 1)
        rc = write_keys(v, v->key, 1, err);
    free(check);
    sl_store_rollback(v->st);
    return rc;
}

sl_rc
sl_vault_open(struct sl_vault **out, struct sl_store *st, const char *dir, const char *command,
              struct sl_err *err)
{
    struct sl_vault *v = sl_zalloc(1, sizeof *v);
    char *check = NULL;
    sl_rc rc = SL_OK;

    *out = NULL;
    v->st = st;
    v->file = sl_path_join(dir, "secret.key");
    v->command = sl_strdup_null(command);
    v->key = sodium_malloc(KEY_BYTES);
    v->all = sodium_malloc(KEYS_MAX * KEY_BYTES);
    if (v->key == NULL || v->all == NULL)
        rc = sl_fail(err, SL_E_NOMEM, "no memory for the master key");
    if (rc == SL_OK)
        rc = sl_store_meta(st, CHECK, &check, err);
    if (rc == SL_OK && check == NULL) {
        rc = first_key(v, err);
    } else if (rc == SL_OK) {
        rc = read_keys(v, err);
        if (rc == SL_E_NOT_FOUND && command == NULL)
            rc = fail_no_key(v, err);
        if (rc == SL_OK)
            rc = choose(v, check, err);
        if (rc == SL_OK && v->nkeys > 1 && command == NULL)
            rc = drop_second(v, err);
    }
    free(check);
    if (rc) {
        sl_vault_close(v);
        return rc;
    }
    *out = v;
    return SL_OK;
}

void
sl_vault_close(struct sl_vault *v)
{
    if (v == NULL)
        return;
    sodium_free(v->key);
    sodium_free(v->all);
    free(v->file);
    free(v->command);
    free(v);
}

/* ---- a new key ---- */

static sl_rc
reseal(struct sl_vault *v, const unsigned char *next, const char *owner, const char *old,
       char **sealed, struct sl_err *err)
{
    char *plain;
    size_t len;
    sl_rc rc = unseal_with(v->key, owner, old, &plain, &len, err);

    if (rc == SL_OK)
        rc = seal_with(next, owner, (struct sl_bytes){ plain, len }, sealed, err);
    sl_vault_wipe(plain, len);
    return rc;
}

static sl_rc
reseal_record(struct sl_vault *v, const unsigned char *next, enum sl_kind kind, const char *id,
              struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(kind);
    char *owner = sl_sprintf("%s:%s", def->name, id);
    void *rec = sl_zalloc(1, def->size);
    sl_rc rc = sl_store_get(v->st, kind, id, rec, err);

    for (int i = 0; i < def->nfields && rc == SL_OK; i++) {
        char **text = sl_field_text(&def->fields[i], rec), *sealed;

        if (!(def->fields[i].flags & SL_FIELD_SEALED) || *text == NULL)
            continue;
        rc = reseal(v, next, owner, *text, &sealed, err);
        if (rc == SL_OK) {
            free(*text);
            *text = sealed;
        }
    }
    if (rc == SL_OK)
        rc = sl_store_put(v->st, kind, rec, err);
    sl_record_free(kind, rec);
    free(rec);
    free(owner);
    return rc;
}

static sl_rc
reseal_kind(struct sl_vault *v, const unsigned char *next, enum sl_kind kind, struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(kind);
    struct sl_query q = { .kind = kind, .light = true };
    struct sl_list list = { .kind = kind };
    bool any = false;
    sl_rc rc = SL_OK;

    for (int i = 0; i < def->nfields; i++)
        any |= (def->fields[i].flags & SL_FIELD_SEALED) != 0;
    if (any)
        rc = sl_store_list(v->st, &q, &list, err);
    for (size_t i = 0; i < list.count && rc == SL_OK; i++) {
        struct sl_record *head = (struct sl_record *)((char *)list.items + i * def->size);

        rc = reseal_record(v, next, kind, head->id, err);
    }
    sl_list_free(&list);
    return rc;
}

static sl_rc
reseal_values(struct sl_vault *v, const unsigned char *next, struct sl_err *err)
{
    char **names;
    sl_rc rc = sl_store_meta_names(v->st, "sealed.", &names, err);

    for (int i = 0; rc == SL_OK && names[i] != NULL; i++) {
        char *owner = sl_sprintf("meta:%s", names[i]), *old = NULL, *sealed = NULL;

        rc = sl_store_meta(v->st, names[i], &old, err);
        if (rc == SL_OK && old != NULL)
            rc = reseal(v, next, owner, old, &sealed, err);
        if (rc == SL_OK && sealed != NULL)
            rc = sl_store_set_meta(v->st, names[i], sealed, err);
        free(owner);
        free(old);
        free(sealed);
    }
    sl_names_free(names);
    return rc;
}

/* The key to change to: a new one, added to the file; or the first that the command prints. */
static sl_rc
next_key(struct sl_vault *v, unsigned char *next, struct sl_err *err)
{
    unsigned char *both;
    sl_rc rc;

    if (v->command == NULL) {
        both = sodium_malloc(2 * KEY_BYTES);
        if (both == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory for the master key");
        randombytes_buf(next, KEY_BYTES);
        memcpy(both, v->key, KEY_BYTES);
        memcpy(both + KEY_BYTES, next, KEY_BYTES);
        rc = write_keys(v, both, 2, err);
        sodium_free(both);
        return rc;
    }
    if (v->nkeys < 2 || sodium_memcmp(v->all, v->key, KEY_BYTES) == 0) {
        rc = sl_fail(err, SL_E_CONFIG, "the key command prints no new key");
        sl_err_hint(err, "let it print the new key on its first line and the present one on the "
                         "second; after this "
                         "command only the new one");
        return rc;
    }
    memcpy(next, v->all, KEY_BYTES);
    return SL_OK;
}

static sl_rc
rotate_all(struct sl_vault *v, unsigned char *next, struct sl_err *err)
{
    sl_rc rc = next_key(v, next, err);

    if (rc == SL_OK)
        rc = SL_FAULT_POINT(vault_rotate_both, err);
    for (int kind = 0; kind < SL_K_COUNT && rc == SL_OK; kind++)
        rc = reseal_kind(v, next, kind, err);
    if (rc == SL_OK)
        rc = reseal_values(v, next, err);
    if (rc == SL_OK)
        rc = put_check(v, next, err);
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(vault_rotate_sealed, err);
    return rc;
}

sl_rc
sl_vault_rotate(struct sl_vault *v, struct sl_err *err)
{
    unsigned char *next = sodium_malloc(KEY_BYTES);
    sl_rc rc;

    if (next == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for the master key");
    rc = sl_store_begin(v->st, err);
    if (rc)
        goto out;
    rc = rotate_all(v, next, err);
    if (rc == SL_OK)
        rc = sl_store_commit(v->st, err);
    else
        sl_store_rollback(v->st);
    /* From here on the new key is the one, whatever becomes of the file: it holds both. */
    if (rc == SL_OK) {
        memcpy(v->key, next, KEY_BYTES);
        rc = SL_FAULT_POINT(vault_rotate_committed, err);
    }
    if (rc == SL_OK && v->command == NULL)
        rc = write_keys(v, next, 1, err);
out:
    sodium_free(next);
    if (rc)
        sl_err_wrap(err, "changing the master key");
    return rc;
}
