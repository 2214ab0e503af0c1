/* tests/support/speed_rig.h -- a data folder with a real archive, real runs and the speed layer's state, driven step by
 * step, and beside it the obvious answer: one fold over every event ever given.
 *
 * What is compared is the merged state of a view, run and live together, as canonical bytes.
 * Thread: one. */
#ifndef TLY_TESTS_SPEED_RIG_H
#define TLY_TESTS_SPEED_RIG_H

#include "batch_layer/archive_writer.h"
#include "common/store/speed_reader.h"
#include "speed_layer/state.h"

struct rig {
  char directory[256];
  struct tly_project *project;
  const struct tly_clock *clock; /* the real one; another may be put here before anything is started */
  struct tly_speed *speed;       /* NULL: not running */
  tly_archive_writer *writer;    /* NULL: not running */
  struct tly_buffer *given;      /* every event of a stream as JSON lines, all partitions; one a stream */
};

/* A fresh folder under /tmp and the project of `definitions`. */
void rig_open(struct rig *rig, const char *definitions);
/* Another project over the same folder; the speed layer must not be running. */
void rig_change_project(struct rig *rig, const char *definitions);
void rig_close(struct rig *rig);

/* Append JSON lines to a partition, synced. */
void rig_ingest(struct rig *rig, const char *stream, uint32_t partition, const char *lines);
/* `count` payments of made-up accounts, numbered from `first`. */
void rig_ingest_payments(struct rig *rig, uint32_t partition, int first, int count, int accounts);
/* Seal what was ingested so far: small blocks become large ones. */
void rig_seal(struct rig *rig, const char *stream);
/* Record a cut for `views` (NULL-terminated); its number. */
int64_t rig_cut(struct rig *rig, const char *const *views);
/* Recompute the views up to that cut and mark the run ready. */
void rig_run(struct rig *rig, int64_t cut, const char *const *views);
/* rig_cut and rig_run. */
int64_t rig_cut_and_run(struct rig *rig, const char *const *views);

/* Reject, for these views, all runs newer than `target`: `tally rollback`. */
void rig_roll_back(struct rig *rig, int64_t target, const char *const *views);

/* Start, stop, and go on until nothing is left to do. */
void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);
void rig_settle(struct rig *rig);
/* The writer and the speed layer's state in a child that is killed at `point`; the rig itself must run neither. True:
 * it was killed there; false: it settled without coming there. */
bool rig_dies_at(struct rig *rig, const char *point);

/* What the view shows now, and what it should show, as canonical bytes; the caller frees both. */
void rig_merged(struct rig *rig, const char *view, struct tly_buffer *out);
void rig_expected(struct rig *rig, const char *view, struct tly_buffer *out);
/* Fails the test unless they are equal, for every view of the project. */
void rig_assert_right(struct rig *rig);
struct tly_published rig_published(struct rig *rig, const char *view);
/* An integer from the live store. */
int64_t rig_store_integer(struct rig *rig, const char *sql);

#endif
