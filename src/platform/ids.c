#include "platform/ids.h"

#include "base/text.h"
#include "platform/words.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* With a thousand connections one try in a thousand fails; with a million pairs taken none succeeds. */
#define TRIES 20

/* Word `n` of a list of words with one space between them. */
static struct sl_bytes
word_at(const char *list, uint32_t n)
{
    while (n-- > 0)
        list = strchr(list, ' ') + 1;
    return (struct sl_bytes){ list, strcspn(list, " ") };
}

static struct sl_bytes
draw(const char *list, uint32_t count)
{
    return word_at(list, randombytes_uniform(count));
}

char *
sl_new_words(void)
{
    struct sl_bytes a = draw(sl_adjectives, SL_ADJECTIVES), n = draw(sl_nouns, SL_NOUNS);

    return sl_sprintf("%.*s_%.*s", (int)a.len, a.ptr, (int)n.len, n.ptr);
}

sl_rc
sl_new_id(struct sl_store *st, enum sl_kind kind, char **id, struct sl_err *err)
{
    *id = NULL;
    for (int i = 0; i < 2 * TRIES; i++) {
        struct sl_query q = { .kind = kind };
        char *words = sl_new_words();
        int64_t count;
        sl_rc rc;

        *id = i < TRIES ? words : sl_sprintf("%s_%02x", words, randombytes_uniform(256));
        if (*id != words)
            free(words);
        q.where[0].field = "id";
        q.where[0].text = *id;
        rc = sl_store_count(st, &q, &count, err);
        if (rc == SL_OK && count == 0)
            return SL_OK;
        free(*id);
        *id = NULL;
        if (rc)
            return rc;
    }
    return sl_fail(err, SL_E_LIMIT, "there is no free name for another %s", sl_record_name(kind));
}

char *
sl_new_uuid(void)
{
    unsigned char b[16];
    char hex[33];

    randombytes_buf(b, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    sl_hex(b, sizeof b, hex);
    return sl_sprintf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
