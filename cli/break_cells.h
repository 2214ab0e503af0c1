/* cli/break_cells.h -- a break's values as cells of a table.
 * Thread: main. */
#ifndef TLY_CLI_BREAK_CELLS_H
#define TLY_CLI_BREAK_CELLS_H

#include <jansson.h>

/* The members of an object: a value alone as it is, several as "n 5, total 12.30", none as null. A new reference. */
json_t *tly_break_cell(const json_t *members);
/* Their names: "n, total". A new reference. */
json_t *tly_break_names_cell(const json_t *members);

#endif
