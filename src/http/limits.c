#include "http/limits.h"

#include "base/buf.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 1024

/* A bucket of tokens: `rate` a second flow in, up to `size`. */
struct bucket {
    char who[80];
    double tokens;
    int64_t seen;
};

struct sl_limits {
    pthread_mutex_t lock;
    struct bucket buckets[SLOTS];
};

struct sl_limits *
sl_limits_new(void)
{
    struct sl_limits *l = sl_zalloc(1, sizeof *l);

    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void
sl_limits_free(struct sl_limits *l)
{
    if (l == NULL)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static struct bucket *
find(struct sl_limits *l, const char *who, double size, int64_t now)
{
    struct bucket *oldest = &l->buckets[0];

    for (int i = 0; i < SLOTS; i++) {
        struct bucket *b = &l->buckets[i];

        if (strcmp(b->who, who) == 0)
            return b;
        if (b->seen < oldest->seen)
            oldest = b;
        if (b->who[0] == '\0')
            break; /* slots fill from the front */
    }
    snprintf(oldest->who, sizeof oldest->who, "%s", who);
    oldest->tokens = size;
    oldest->seen = now;
    return oldest;
}

/* Tokens left after taking one; negative: there was none. */
static double
take(struct sl_limits *l, const char *who, double rate, double size, int64_t now)
{
    struct bucket *b;
    double left;

    pthread_mutex_lock(&l->lock);
    b = find(l, who, size, now);
    b->tokens += (double)(now - b->seen) / 1e6 * rate;
    if (b->tokens > size)
        b->tokens = size;
    b->seen = now;
    left = b->tokens - 1;
    if (left >= 0)
        b->tokens = left;
    pthread_mutex_unlock(&l->lock);
    return left;
}

bool
sl_limits_request(struct sl_limits *l, const char *who, int64_t now, int *left)
{
    double tokens = take(l, who, SL_REQUESTS_PER_SECOND, SL_REQUESTS_PER_SECOND, now);

    *left = tokens > 0 ? (int)tokens : 0;
    return tokens >= 0;
}

static bool
take_wrong(struct sl_limits *l, const char *what, const char *address, int64_t now, int *wait_s)
{
    char who[80];
    double tokens;

    snprintf(who, sizeof who, "%s:%s", what, address);
    tokens = take(l, who, SL_WRONG_KEYS_PER_MINUTE / 60.0, SL_WRONG_KEYS_PER_MINUTE, now);
    *wait_s = 1 + (int)(-tokens * 60 / SL_WRONG_KEYS_PER_MINUTE);
    return tokens >= 0;
}

bool
sl_limits_wrong_key(struct sl_limits *l, const char *address, int64_t now, int *wait_s)
{
    return take_wrong(l, "wrong", address, now, wait_s);
}

bool
sl_limits_login(struct sl_limits *l, const char *address, int64_t now, int *wait_s)
{
    return take_wrong(l, "login", address, now, wait_s);
}

void
sl_limits_login_right(struct sl_limits *l, const char *address, int64_t now)
{
    char who[80];

    snprintf(who, sizeof who, "login:%s", address);
    pthread_mutex_lock(&l->lock);
    find(l, who, SL_WRONG_KEYS_PER_MINUTE, now)->tokens += 1;
    pthread_mutex_unlock(&l->lock);
}
