/* cli/chunk_reader.h -- cut an input file into bulks of whole events.
 *
 * JSON: at line ends. CSV: at record ends (a quoted field may hold line ends), and every bulk begins with the header.
 * Thread: main. */
#ifndef TLY_CLI_CHUNK_READER_H
#define TLY_CLI_CHUNK_READER_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

struct tly_chunk_reader {
  int fd;
  const char *name;
  bool is_csv, at_end;
  struct tly_buffer header;  /* CSV: the first record with its line end */
  struct tly_buffer pending; /* read, not yet handed out */
  uint64_t lines;            /* lines handed out so far, headers that were repeated not counted */
};

struct tly_chunk {
  struct tly_buffer bytes;
  uint64_t first_line; /* lines of the file before the bytes' first line; the repeated header counts as one of them */
};

void tly_chunk_reader_init(struct tly_chunk_reader *reader, int fd, const char *name, bool is_csv);
void tly_chunk_reader_free(struct tly_chunk_reader *reader);
/* The next bulk, about a MiB; empty at the end. An event longer than a bulk may be is TLY_E_TOO_LARGE. */
TLY_CHECK enum tly_status tly_chunk_reader_next(struct tly_chunk_reader *reader, struct tly_chunk *out,
                                                struct tly_error *error);

#endif
