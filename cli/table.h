/* cli/table.h -- answers on a terminal: psql-like tables, CSV, JSON, a JSON object a line.
 * Thread: main. */
#ifndef TLY_CLI_TABLE_H
#define TLY_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/options.h"

/* A table that is printed as its rows come, except in table form, where widths must be known first. */
typedef struct tly_table tly_table;

/* `columns` is the protocol's [{"name":..,"type":..}]; borrowed for the call. */
tly_table *tly_table_begin(const json_t *columns, enum tly_output_format format, FILE *out);
/* One row: an array as in the protocol. */
void tly_table_row(tly_table *table, const json_t *row);
/* Print what is left and free; a table form ends with "(n rows)". */
void tly_table_end(tly_table *table);

/* An array of objects (runs, views, ...) as a table whose columns are the members of the first one; json: as it is. In
 * table form a member that is null in all of them has no column. */
void tly_table_print_objects(const json_t *objects, enum tly_output_format format, FILE *out);

#endif
