/* cli/chunk_reader.h -- cut an input file into bulks of whole events.
 *
 * JSON: at line ends. CSV: at record ends (a quoted field may hold line ends), and every bulk begins with the header.
 *
 * A bulk of JSON from a regular file is a range of the file: only its end is looked at, its bytes are read when they
 * are sent, and once more if they have to be sent again. Everything else, compressed input above all, is read into the
 * bulk. Of an input that breaks in the middle all whole events before the break are handed out. Thread: main. */
#ifndef TLY_CLI_CHUNK_READER_H
#define TLY_CLI_CHUNK_READER_H

#include <stdbool.h>

#include "cli/input_stream.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

struct tly_chunk_reader {
  int fd;
  const char *name;
  bool is_csv, is_regular, at_end;
  bool is_exact;        /* what breaks the input is found out here, not by the server */
  size_t bytes_max;     /* of a bulk, but for a longer event */
  struct tly_error end; /* what is wrong behind what can still be handed out; status TLY_OK: nothing */
  struct tly_input_stream *input;
  struct tly_buffer header;    /* CSV: the first record with its line end */
  struct tly_buffer pending;   /* read, not yet handed out */
  uint64_t lines;              /* lines handed out so far, headers that were repeated not counted */
  int64_t position;            /* bytes handed out so far, as they were before compression, likewise */
  int64_t begin, next;         /* ranges: where the input begins in the file, and what is handed out next */
  struct tly_buffer scan_room; /* ranges: the bytes a line end is looked for in */
};

/* Either `bytes`, or a range of a file, of which the chunk holds a descriptor of its own. */
struct tly_chunk {
  struct tly_buffer bytes;
  size_t header_size;  /* of the header that is repeated before them */
  uint64_t first_line; /* lines of the file before the bytes' first line; the repeated header counts as one of them */
  int fd;              /* -1: no range */
  int64_t begin, start, size;
};

void tly_chunk_reader_init(struct tly_chunk_reader *reader, int fd, const char *name, bool is_csv);
/* The same for input that is to be read again one day: never ranges; bulks of at most bytes_max (which may be changed
 * between two calls), cut at the same places whenever the same bytes are read from the same place on; and a line that
 * is no UTF-8 ends the input with TLY_E_CHARACTER_NOT_IN_REPERTOIRE. */
void tly_chunk_reader_init_exact(struct tly_chunk_reader *reader, int fd, const char *name, bool is_csv,
                                 size_t bytes_max);
void tly_chunk_reader_free(struct tly_chunk_reader *reader);
/* The next bulk, some MiB, into `out`, which is empty (tly_chunk_init, tly_chunk_clear); it stays empty at the end. An
 * event longer than a bulk may be is TLY_E_TOO_LARGE. */
TLY_CHECK enum tly_status tly_chunk_reader_next(struct tly_chunk_reader *reader, struct tly_chunk *out,
                                                struct tly_error *error);

void tly_chunk_init(struct tly_chunk *chunk);
/* Empty again; memory is kept. */
void tly_chunk_clear(struct tly_chunk *chunk);
void tly_chunk_free(struct tly_chunk *chunk);
int64_t tly_chunk_size(const struct tly_chunk *chunk);
/* Bytes of the chunk from `done` on, at most `room` of them, read into `into` when they are in a file. *bytes is where
 * they are. `name` is the file's, for words. */
TLY_CHECK enum tly_status tly_chunk_read(const struct tly_chunk *chunk, const char *name, int64_t done, uint8_t *into,
                                         size_t room, const uint8_t **bytes, size_t *size, struct tly_error *error);
/* As first_line; for a range the file is read from its beginning. */
uint64_t tly_chunk_first_line(const struct tly_chunk *chunk);

#endif
