/* common/archive/export_output.h -- where an export goes: a file that appears when it is whole, or stdout; hashed, and
 * compressed if asked for.
 * Thread: an output belongs to one thread. */
#ifndef TLY_ARCHIVE_EXPORT_OUTPUT_H
#define TLY_ARCHIVE_EXPORT_OUTPUT_H

#include "common/archive/export.h"

typedef struct tly_export_output tly_export_output;

/* `path` NULL: stdout. Else the bytes go to "<path>.tmp", which no other export may be writing (TLY_E_IN_USE); what
 * stands at `path` must be a regular file or nothing. The caller ends with finish and close. */
TLY_CHECK enum tly_status tly_export_output_open(const char *path, bool is_compressed, tly_export_output **out,
                                                 struct tly_error *error);
/* Bytes to be written are appended here; drain after each event or so. */
struct tly_buffer *tly_export_output_pending(tly_export_output *output);
/* Hash, compress and write the whole chunks that are pending; less than a chunk is kept. */
TLY_CHECK enum tly_status tly_export_output_drain(tly_export_output *output, struct tly_error *error);
/* Write the rest and sync. *content is of the bytes that were appended, *file of those written. */
TLY_CHECK enum tly_status tly_export_output_finish(tly_export_output *output, struct tly_export_digest *content,
                                                   struct tly_export_digest *file, struct tly_error *error);
/* After finish: give the file its name. It is durable when the folder is synced. Nothing for stdout. */
TLY_CHECK enum tly_status tly_export_output_publish(tly_export_output *output, struct tly_error *error);
/* Free it; a file that was not published is removed. NULL is fine. */
void tly_export_output_close(tly_export_output *output);

#endif
