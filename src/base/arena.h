/* arena.h - memory that ends together: everything of one batch, request or command.
 *
 * Ownership: the caller's struct; sl_arena_free() ends all of it, sl_arena_reset() keeps the first block for the next round.
 * Freed and reset memory is poisoned in sanitizer builds.
 */
#ifndef SL_BASE_ARENA_H
#define SL_BASE_ARENA_H

#include <stddef.h>

struct sl_arena_block;

struct sl_arena {
    struct sl_arena_block *head; /* newest first */
    size_t used;                 /* in the newest block */
    size_t total;                /* bytes of all blocks */
};

/* Never NULL for sizes of ours; NULL for `size` from data when there is no memory. Aligned to 16. */
void *sl_arena_get(struct sl_arena *arena, size_t size);
char *sl_arena_dup(struct sl_arena *arena, const void *ptr,
                   size_t len); /* adds a NUL; NULL without memory */
void sl_arena_reset(struct sl_arena *arena);
void sl_arena_free(struct sl_arena *arena);

#endif
