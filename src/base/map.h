/* map.h - hash map from bytes to a number: names to indexes. Keys are copied. Grows without bound; the caller limits. */
#ifndef SL_BASE_MAP_H
#define SL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_map_slot {
    char *key; /* NULL: free */
    size_t len;
    uint64_t hash;
    uint32_t value;
};

struct sl_map {
    struct sl_map_slot *slots;
    size_t cap, count; /* cap is 0 or a power of two */
};

bool sl_map_get(const struct sl_map *map, const void *key, size_t len, uint32_t *value);
/* Adds or replaces. */
void sl_map_put(struct sl_map *map, const void *key, size_t len, uint32_t value);
void sl_map_free(struct sl_map *map);

#endif
