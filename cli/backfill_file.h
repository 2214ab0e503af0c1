/* cli/backfill_file.h -- one file of a backfill, and the places in it that the archive remembers.
 *
 * A place is behind whole events: how many bytes (as they are without compression) and lines stand before it, and the
 * XXH3-128 hash of those bytes. So a place that was remembered is found again in the same file, compressed otherwise,
 * longer by now, or repaired behind it; and it is not found in a file that is different before it. Thread: main. */
#ifndef TLY_CLI_BACKFILL_FILE_H
#define TLY_CLI_BACKFILL_FILE_H

#include "cli/chunk_reader.h"

enum { TLY_HASH_TEXT_SIZE = 33, TLY_PLACE_TEXT_SIZE = 128 };

struct tly_backfill_place {
  int64_t bytes;
  uint64_t lines;
  char hash[TLY_HASH_TEXT_SIZE]; /* of the bytes before it, hexadecimal */
};

/* "1 BYTES LINES HASH", for the archive to keep; false for a text that is none. */
void tly_backfill_place_print(const struct tly_backfill_place *place, char out[TLY_PLACE_TEXT_SIZE]);
bool tly_backfill_place_parse(const char *text, struct tly_backfill_place *out);

struct tly_backfill_file {
  int fd;
  const char *name; /* as the user gave it */
  int64_t size;     /* of the file */
  char content[TLY_HASH_TEXT_SIZE];
  struct tly_chunk_reader reader;
  void *hash; /* of the bytes handed out */
  bool ends_line;
};

enum tly_backfill_found {
  TLY_BACKFILL_SAME,
  TLY_BACKFILL_SHORTER,  /* the file ends before the place */
  TLY_BACKFILL_DIFFERENT /* its bytes before the place are others */
};

/* Open a regular file and read what tells it from others: `content` is the hash of its first bytes. Borrows `name`. On
 * success the caller closes. */
TLY_CHECK enum tly_status tly_backfill_file_open(const char *name, bool is_csv, struct tly_backfill_file *out,
                                                 struct tly_error *error);
void tly_backfill_file_close(struct tly_backfill_file *file);
/* The name of its import: its path, whatever way it was given, without .gz and .zst. */
TLY_CHECK enum tly_status tly_backfill_file_import_name(const char *name, char *out, size_t size,
                                                        struct tly_error *error);
/* Read on, from the beginning, to a place that was remembered. Only after TLY_BACKFILL_SAME may the file be used
 * further. */
TLY_CHECK enum tly_status tly_backfill_file_find(struct tly_backfill_file *file, const struct tly_backfill_place *place,
                                                 enum tly_backfill_found *found, struct tly_error *error);
/* The events of the next request, as tly_chunk_reader_next; and the place behind them. */
TLY_CHECK enum tly_status tly_backfill_file_next(struct tly_backfill_file *file, struct tly_chunk *out,
                                                 struct tly_backfill_place *place, struct tly_error *error);

#endif
