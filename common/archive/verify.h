/* common/archive/verify.h -- re-read the whole archive: every checksum, chain, dictionary and raw byte.
 * Thread: belongs to one thread. */
#ifndef TLY_ARCHIVE_VERIFY_H
#define TLY_ARCHIVE_VERIFY_H

#include "common/archive/archive_reader.h"

struct tly_damage {
  const char *file;
  int64_t block; /* 0: the file as a whole */
  const char *message;
};

struct tly_verify_report {
  uint64_t files, blocks, events, raw_bytes, stored_bytes;
  struct tly_damage *damages; /* in the arena */
  uint32_t damage_count;
};

/* `progress` (may be NULL) is told blocks done and in all. TLY_OK also when damage was found: see the report. */
TLY_CHECK enum tly_status tly_archive_verify(const char *directory, const struct tly_project *project,
                                             void (*progress)(void *context, uint64_t done, uint64_t all),
                                             void *context, struct tly_arena *arena, struct tly_verify_report *report,
                                             struct tly_error *error);

struct tly_archive_stat {
  const char *stream;
  int64_t segment;
  const char *state; /* "active", "sealed" */
  uint64_t blocks, events, raw_bytes /* as received */, stored_raw_bytes, stored_column_bytes, file_bytes;
  int64_t generation_first, generation_last;
};
TLY_CHECK enum tly_status tly_archive_stat_read(const char *directory, const struct tly_project *project,
                                                struct tly_arena *arena, struct tly_archive_stat **out, uint32_t *count,
                                                struct tly_error *error);

#endif
