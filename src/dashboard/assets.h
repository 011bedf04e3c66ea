/* assets.h - styles and scripts of the pages (web/), made part of the program when it is built (scripts/embed.py).
 *
 * Their addresses contain a hash of all of them: a browser keeps them for good, and asks anew after an upgrade.
 */
#ifndef SL_DASHBOARD_ASSETS_H
#define SL_DASHBOARD_ASSETS_H

#include <stddef.h>

struct sl_asset {
    const char *name, *type;
    const unsigned char *bytes;
    size_t len;
};

extern const struct sl_asset sl_assets[]; /* the name NULL ends it */
extern const char sl_assets_version[];

#endif
