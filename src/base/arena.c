#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Large enough that a batch of rows makes few blocks, small enough that one per table of thousands stays cheap. */
#define BLOCK_SIZE ((size_t)64 << 10)

struct sl_arena_block {
    struct sl_arena_block *next;
    size_t size;
    _Alignas(16) char data[];
};

void *
sl_arena_get(struct sl_arena *arena, size_t size)
{
    struct sl_arena_block *b = arena->head;
    size_t want;
    void *p;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 15) & ~(size_t)15;
    if (b == NULL || b->size - arena->used < size) {
        want = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        b = malloc(sizeof *b + want);
        if (b == NULL)
            return NULL;
        b->size = want;
        b->next = arena->head;
        arena->head = b;
        arena->used = 0;
        arena->total += want;
    }
    p = b->data + arena->used;
    arena->used += size;
    return p;
}

char *
sl_arena_dup(struct sl_arena *arena, const void *ptr, size_t len)
{
    char *p = sl_arena_get(arena, len + 1);

    if (p == NULL)
        return NULL;
    if (len)
        memcpy(p, ptr, len);
    p[len] = '\0';
    return p;
}

void
sl_arena_reset(struct sl_arena *arena)
{
    struct sl_arena_block *b = arena->head, *next;

    if (b == NULL)
        return;
    /* The oldest block stays if it is of the ordinary size; the big ones go back at once. */
    for (; b->next != NULL; b = next) {
        next = b->next;
        arena->total -= b->size;
        free(b);
    }
    if (b->size > BLOCK_SIZE) {
        free(b);
        *arena = (struct sl_arena){ 0 };
        return;
    }
#ifdef __SANITIZE_ADDRESS__
    memset(b->data, 0xA5, b->size);
#endif
    arena->head = b;
    arena->used = 0;
}

void
sl_arena_free(struct sl_arena *arena)
{
    struct sl_arena_block *b, *next;

    for (b = arena->head; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    *arena = (struct sl_arena){ 0 };
}
