/* box.h - a box of aligned columns, cut to the width of the terminal. */
#ifndef SL_RUNTIME_BOX_H
#define SL_RUNTIME_BOX_H

#include <stdbool.h>

struct sl_box;

struct sl_box *sl_box_new(int ncolumns);
/* `type` is what stands below the name; without any the line is left out. */
void sl_box_head(struct sl_box *t, int column, const char *name, const char *type, bool key);
void sl_box_row(struct sl_box *t, int ncells,
                const char *const *cells); /* cells are copied; NULL is NULL */
void sl_box_print(const struct sl_box *t);
void sl_box_free(struct sl_box *t);

#endif
