/* cli/input_stream.h -- the bytes of an input, decompressed when it is gzip or zstd: its first bytes tell, not its
 * name.
 *
 * Memory is bounded whatever the input says: nothing is held but a piece of it and the window of the format (at most
 * 128 MiB for zstd; a frame that wants more is refused). Members and frames that follow each other are one input.
 * Thread: main. */
#ifndef TLY_CLI_INPUT_STREAM_H
#define TLY_CLI_INPUT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct tly_input_stream;

/* Reads `fd` from where it stands; borrows it and `name`, which is for words. */
struct tly_input_stream *tly_input_stream_new(int fd, const char *name);
/* NULL is fine. */
void tly_input_stream_free(struct tly_input_stream *input);
/* The next `room` bytes into `into`; fewer only at the end, or before a failure, which the next call then gives:
 * TLY_E_IO, or TLY_E_FILE_FORMAT for compressed data that is broken, ends too early, or is of a kind that is not read.
 */
TLY_CHECK enum tly_status tly_input_stream_read(struct tly_input_stream *input, void *into, size_t room, size_t *got,
                                                struct tly_error *error);
/* Bytes of the file that were taken so far. */
int64_t tly_input_stream_taken(const struct tly_input_stream *input);
/* Whether the file begins, at `offset`, as some compressed one does. */
bool tly_input_is_compressed(int fd, int64_t offset);

#endif
