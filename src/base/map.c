#include "base/map.h"

#include "base/buf.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static struct sl_map_slot *
find(const struct sl_map *map, const void *key, size_t len, uint64_t hash)
{
    size_t i = hash & (map->cap - 1);

    for (;; i = (i + 1) & (map->cap - 1)) {
        struct sl_map_slot *s = &map->slots[i];

        if (s->key == NULL || (s->hash == hash && s->len == len && memcmp(s->key, key, len) == 0))
            return s;
    }
}

bool
sl_map_get(const struct sl_map *map, const void *key, size_t len, uint32_t *value)
{
    struct sl_map_slot *s;

    if (map->cap == 0)
        return false;
    s = find(map, key, len, XXH3_64bits(key, len));
    if (s->key == NULL)
        return false;
    *value = s->value;
    return true;
}

static void
grow(struct sl_map *map)
{
    struct sl_map old = *map;

    map->cap = old.cap ? old.cap * 2 : 16;
    map->slots = sl_zalloc(map->cap, sizeof *map->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key != NULL)
            *find(map, old.slots[i].key, old.slots[i].len, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void
sl_map_put(struct sl_map *map, const void *key, size_t len, uint32_t value)
{
    struct sl_map_slot *s;
    uint64_t hash = XXH3_64bits(key, len);

    if (map->cap == 0 || map->count * 4 >= map->cap * 3)
        grow(map);
    s = find(map, key, len, hash);
    if (s->key == NULL) {
        *s = (struct sl_map_slot){ sl_memdup(key, len), len, hash, value };
        map->count++;
    }
    s->value = value;
}

void
sl_map_free(struct sl_map *map)
{
    for (size_t i = 0; i < map->cap; i++)
        free(map->slots[i].key);
    free(map->slots);
    *map = (struct sl_map){ 0 };
}
