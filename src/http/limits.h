/* limits.h - how often: requests of a key, wrong keys of an address. Memory is bounded: who has not been seen for longest is
 * forgotten first. Threads: any. */
#ifndef SL_HTTP_LIMITS_H
#define SL_HTTP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* Semantics §7. Clients poll; 300 a second is far beyond any of them and far below what a server can do. */
#define SL_REQUESTS_PER_SECOND 300
/* Secrets cannot be guessed. This keeps a client with an old key from filling the log, and tells it to stop. */
#define SL_WRONG_KEYS_PER_MINUTE 10

struct sl_limits;

struct sl_limits *sl_limits_new(void);
void sl_limits_free(struct sl_limits *l);
/* Takes one request of `who`; *left says how many there are still. False: none left. */
bool sl_limits_request(struct sl_limits *l, const char *who, int64_t now, int *left);
/* The same budget for logins, taken before the password is looked at, so that a hundred at once are no more than ten; what was right is
 * given back. False: none left. */
bool sl_limits_login(struct sl_limits *l, const char *address, int64_t now, int *wait_s);
void sl_limits_login_right(struct sl_limits *l, const char *address, int64_t now);
/* Notes a wrong key. False: too many from there; *wait_s until the next is counted again. */
bool sl_limits_wrong_key(struct sl_limits *l, const char *address, int64_t now, int *wait_s);

#endif
