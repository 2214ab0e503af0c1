/* common/base/file.h -- folders, whole small files, locks and syncs.
 * Thread: any; no state. */
#ifndef TLY_BASE_FILE_H
#define TLY_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/* Make `path` and the folders above it (0750). There already: ok. */
TLY_CHECK enum tly_status tly_file_make_folder(const char *path, struct tly_error *error);
/* Sync a folder, so that the names in it are durable. */
TLY_CHECK enum tly_status tly_file_sync_folder(const char *path, struct tly_error *error);
/* Open, fsync, close one file. */
TLY_CHECK enum tly_status tly_file_sync(const char *path, struct tly_error *error);
/* Append the file's bytes to *out; more than `size_max` is TLY_E_TOO_LARGE. */
TLY_CHECK enum tly_status tly_file_read(const char *path, size_t size_max, struct tly_buffer *out,
                                        struct tly_error *error);
/* Replace the file's content: temporary name, sync, rename, folder sync. */
TLY_CHECK enum tly_status tly_file_replace(const char *path, const void *bytes, size_t size, struct tly_error *error);
bool tly_file_exists(const char *path);
/* -1 when it is not there. */
int64_t tly_file_size(const char *path);
/* Remove a folder and what is in it. Not there: ok. */
TLY_CHECK enum tly_status tly_file_remove_tree(const char *path, struct tly_error *error);

/* Take an flock on `path` (made if missing, O_CLOEXEC). Held until *fd is closed. TLY_E_IN_USE when another process has
 * it in a way that excludes ours. */
TLY_CHECK enum tly_status tly_file_lock(const char *path, bool exclusive, int *fd, struct tly_error *error);

/* The names in a folder that end with `suffix`, sorted bytewise. The caller frees each name and the array. */
TLY_CHECK enum tly_status tly_file_list(const char *folder, const char *suffix, char ***names, size_t *count,
                                        struct tly_error *error);
void tly_file_list_free(char **names, size_t count);

#endif
