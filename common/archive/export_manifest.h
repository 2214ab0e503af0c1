/* common/archive/export_manifest.h -- what an export holds, as JSON beside its file.
 *
 * An export is whole when its manifest is there: the manifest is taken away before a file is replaced and written after
 * it. It holds no time of its making and no path, so the same export has the same manifest everywhere.
 * Thread: any; no state. */
#ifndef TLY_ARCHIVE_EXPORT_MANIFEST_H
#define TLY_ARCHIVE_EXPORT_MANIFEST_H

#include "common/archive/export.h"

/* "<path>.manifest.json"; the caller frees. */
char *tly_export_manifest_path(const char *path);
/* Append the manifest's text. */
void tly_export_manifest_print(const struct tly_export_request *request, const struct tly_export_summary *summary,
                               struct tly_buffer *out);

#endif
