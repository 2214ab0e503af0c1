/* batch_layer/run_result.h -- what a recompute found: counts, hashes, drift; and its form on disk, the manifest. What a
 * thread of it has found so far, a partial result (partial.h), has the same form.
 *
 * Path of an event: recompute (a child process) -> runs/<run>/manifest.json -> scheduler -> batch.db.
 *
 * The manifest is the child's last act: files and folder are synced before it is put in its place. It describes the run
 * for ever, so that a run can be checked without batch.db.
 * Thread: pure data; belongs to one thread at a time. */
#ifndef TLY_BATCH_RUN_RESULT_H
#define TLY_BATCH_RUN_RESULT_H

#include "common/archive/archive_reader.h"

struct tly_run_file {
  const char *name; /* in the run's folder */
  uint32_t part, piece;
  uint64_t groups, bytes;
  struct tly_hash hash; /* XXH3-128 of its bytes */
};

struct tly_run_set_aside {
  uint32_t partition;
  int64_t offset;
  const char *sqlstate, *message;
};

struct tly_run_drift {
  const char *key, *live, *recomputed; /* JSON; live or recomputed NULL: the key is missing there */
  const char *explanation;             /* JSON, drift_evidence.h; NULL: not searched for */
  uint32_t part;                       /* of the view's program, and the encoded key in it: known to the process */
  struct tly_text group;               /* that compared, not in the manifest */
};

/* A control total as it was checked. */
struct tly_run_check {
  const char *text;    /* the condition, or NULL: the view has none */
  const char *verdict; /* "true": it holds; "false", "null", "error": it does not */
  const char *found;   /* the values it was computed from: "sum(debit) = 12.30, count(*) = 7"; of an error: its words */
};

/* Events first_offset .. next_offset - 1 of a partition, and the archive's running hash at both ends. */
struct tly_log_range {
  uint32_t partition;
  int64_t first_offset, next_offset;
  tly_chain chain_before, chain_after;
};

struct tly_run_view_result {
  const char *view;
  struct tly_hash definition_hash, content_hash;
  uint64_t groups, folded, filtered, set_aside;
  int64_t drift;       /* -1: nothing to compare with */
  int64_t base;        /* the run it was taken over from and added to; 0: none, all of it was folded from the archive */
  uint32_t base_count; /* runs on which it stands: the base, the base's base, ... */
  struct tly_run_file *files;
  uint32_t file_count;
  struct tly_run_set_aside *set_aside_listed;
  uint32_t set_aside_listed_count;
  struct tly_run_drift *drift_listed;
  uint32_t drift_listed_count;
  struct tly_run_check check;
};

struct tly_run_result {
  int64_t run;
  uint64_t events;        /* below the cut, of the run's streams: each once, whatever the number of views */
  uint64_t reused;        /* of them, those that no view had to fold again */
  int64_t fold_version;   /* TLY_FOLD_VERSION of the program that wrote it */
  struct tly_hash inputs; /* tly_recompute_job.inputs */
  const char *note;       /* or NULL */
  struct tly_position *positions;
  uint32_t position_count;
  struct tly_log_range *ranges; /* of a partial result: the events of its view's stream that it is made of */
  uint32_t range_count;
  struct tly_run_view_result *views;
  uint32_t view_count;
  struct tly_hash manifest; /* its hash, once it was read */
};

/* Drift over all views; -1 when none had anything to compare with. */
int64_t tly_run_result_drift(const struct tly_run_result *result);

/* Write `folder`/manifest.json, synced with its folder; *hash is XXH3-128 of its bytes. */
TLY_CHECK enum tly_status tly_manifest_write(const char *folder, const struct tly_run_result *result,
                                             struct tly_hash *hash, struct tly_error *error);
/* Read it, checking that its bytes have `hash`, and that each file it names has its size and its hash. Everything of
 * *out lives in `arena`. TLY_E_CORRUPT when something does not agree. */
TLY_CHECK enum tly_status tly_manifest_read(const char *folder, const struct tly_hash *hash, struct tly_arena *arena,
                                            struct tly_run_result *out, struct tly_error *error);
/* The same without a look at the files. */
TLY_CHECK enum tly_status tly_manifest_read_alone(const char *folder, const struct tly_hash *hash,
                                                  struct tly_arena *arena, struct tly_run_result *out,
                                                  struct tly_error *error);
/* 32 hexadecimal digits into a hash. */
bool tly_run_hash_parse(const char *text, struct tly_hash *out);

#endif
