/* common/archive/export.h -- give the raw events of a stream back: as they were received, or as typed JSON or CSV.
 *
 * Path of an event: archive/<stream>/<number>.db -> archive_reader -> [export] -> a file or stdout.
 * An export ends where the archive ends when it begins, or at a cut; what is appended meanwhile is not in it. Events
 * come in offset order, partition after partition. The same request over the same events gives the same bytes, however
 * the archive has cut them into blocks and files.
 * Thread: belongs to one thread. */
#ifndef TLY_ARCHIVE_EXPORT_H
#define TLY_ARCHIVE_EXPORT_H

#include "common/archive/archive_reader.h"

enum tly_export_form {
  TLY_EXPORT_RAW,    /* each payload as it was received and a line end; CSV under its header line */
  TLY_EXPORT_NDJSON, /* an object a line, values as in the protocol's JSON */
  TLY_EXPORT_CSV     /* a header line, values as psql shows them, NULL empty and an empty text "" */
};

struct tly_export_request {
  const char *directory; /* the data folder */
  const struct tly_project *project;
  const struct tly_stream *stream; /* of that project */
  enum tly_export_form form;
  const uint32_t *columns; /* numbers of the columns wanted, in this order; NULL: all. Not with raw */
  uint32_t column_count;
  bool with_positions;            /* _partition and _offset as the first two columns. Not with raw */
  bool is_compressed;             /* one zstd frame */
  int64_t partition;              /* -1: all */
  int64_t from_offset, to_offset; /* of each partition, half open; 0 and INT64_MAX: all */
  int64_t cut;                    /* 0: none; else the end is that of the cut. Not with to_offset */
  bool has_from, has_to;          /* a range of event time, half open; events without one are then left out */
  int64_t from_us, to_us;
  void (*progress)(void *context, uint64_t done, uint64_t all); /* events; may be NULL */
  void *context;
};

/* A run of bytes that was written: how many, and their XXH3-128. */
struct tly_export_digest {
  uint64_t bytes;
  struct tly_hash hash;
};

/* The offsets first_offset .. next_offset - 1 were read, `events` of them are in the time range. The chains are the
 * archive's own at both ends: they tie the export to what `tally archive verify` checks and cuts record. */
struct tly_export_partition {
  uint32_t partition;
  int64_t first_offset, next_offset;
  tly_chain chain_first, chain_next;
  uint64_t events;
};

struct tly_export_summary {
  struct tly_export_partition *partitions; /* ascending; in the caller's arena */
  uint32_t partition_count;
  uint64_t events;
  bool has_time; /* the range of event time of the events in the export */
  int64_t time_min_us, time_max_us;
  struct tly_export_digest content, file; /* the same without compression */
};

/* Export to `path`, which is replaced at the end and has a manifest beside it ("<path>.manifest.json",
 * export_manifest.h); NULL: to stdout, without one. On failure nothing stands under the final names that was not there
 * before; to stdout, the part before the failure was written. *summary lives in `arena`.
 * TLY_E_INVALID_PARAMETER: the range is none, or not in the archive. TLY_E_UNDEFINED_OBJECT: no such cut or partition.
 * TLY_E_CORRUPT: a block is damaged or missing, named with its file. TLY_E_FILE_FORMAT: raw, and the events came under
 * different headers or formats. */
TLY_CHECK enum tly_status tly_archive_export(const struct tly_export_request *request, const char *path,
                                             struct tly_arena *arena, struct tly_export_summary *summary,
                                             struct tly_error *error);

#endif
