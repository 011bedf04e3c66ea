/* Which state a sync starts from. The database's own rules, unless the user says otherwise. */
#include "base/json.h"
#include "base/text.h"
#include "engine/sync.h"

#include <sodium.h>

/* Not NUL: a file full of them is what a power cut leaves, not an empty state. */
static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct sl_bytes
trimmed(struct sl_bytes b)
{
    while (b.len && is_blank(b.ptr[b.len - 1]))
        b.len--;
    while (b.len && is_blank(b.ptr[0])) {
        b.ptr++;
        b.len--;
    }
    return b;
}

void
sl_state_digest(const char *text, size_t len, char out[65])
{
    struct sl_bytes b = trimmed((struct sl_bytes){ text, len });
    unsigned char hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const unsigned char *)b.ptr, b.len);
    sl_hex(hash, sizeof hash, out);
}

static bool
is_empty(struct sl_bytes b)
{
    b = trimmed(b);
    if (b.len < 2 || b.ptr[0] != '{' || b.ptr[b.len - 1] != '}')
        return b.len == 0;
    return trimmed((struct sl_bytes){ b.ptr + 1, b.len - 2 }).len == 0;
}

sl_rc
sl_state_choose(struct sl_sync *s, struct sl_err *err)
{
    const struct sl_session_conf *conf = s->conf;
    const char *name = conf->mirror_name ? conf->mirror_name : "the state file";
    struct sl_bytes chosen = SL_LIT("{}");
    char digest[65];

    if (conf->state.ptr != NULL) {
        chosen = conf->state;
    } else if (conf->mirror.ptr == NULL) {
        if (s->saved.found)
            chosen = sl_bytes_of(s->saved.state);
    } else if (s->saved.found) {
        sl_state_digest(conf->mirror.ptr, conf->mirror.len, digest);
        chosen = sl_bytes_of(s->saved.state);
        if (s->saved.mirrors == NULL || strstr(s->saved.mirrors, digest) == NULL) {
            chosen = conf->mirror;
            sl_sync_log(s, SL_INFO, SL_FROM_ENGINE, "%s was edited: this sync starts from it",
                        name);
        }
    } else if (!is_empty(conf->mirror)) {
        sl_fail(err, SL_E_STATE,
                "%s has a state, but the warehouse has none: rows it speaks of are not there",
                name);
        sl_err_path(err, "%s", name);
        sl_err_hint(err,
                    "to start over: `fivetran reset`; to go on from that state all the same: "
                    "`fivetran debug --state %s`",
                    name);
        return SL_E_STATE;
    }
    chosen = trimmed(chosen);
    if (chosen.len == 0)
        chosen = SL_LIT("{}");
    if (chosen.ptr[0] != '{' || !sl_json_valid_python(chosen.ptr, chosen.len)) {
        sl_fail(err, SL_E_CONFIG, "%s is not a JSON object",
                conf->state.ptr ? "the state given" : name);
        sl_err_path(err, "%s", name);
        sl_err_hint(err, "a state looks like {\"cursor\": \"2024-05-01\"}; to go on from the "
                         "warehouse's own, delete the file");
        return SL_E_CONFIG;
    }
    return sl_buf_put(&s->state, chosen.ptr, chosen.len, err);
}
