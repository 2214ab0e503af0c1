/* tests/support/archive_fixture.h -- a data folder in memory-backed storage, a stream, events by number, and a writer.
 * Thread: belongs to one test. */
#ifndef TLY_TESTS_ARCHIVE_FIXTURE_H
#define TLY_TESTS_ARCHIVE_FIXTURE_H

#include "batch_layer/archive_writer.h"
#include "common/event/decoder.h"

struct archive_fixture {
  char directory[64];
  struct tly_project *project;
  const struct tly_stream *stream;
  tly_decoder *decoder;
  struct tly_event_batch batch;
  struct tly_buffer lines;
  tly_archive_writer *writer; /* or NULL */
};

extern const char archive_fixture_definition[];

void archive_fixture_init(struct archive_fixture *fixture, const char *definition);
/* Closes the writer and removes the folder. */
void archive_fixture_free(struct archive_fixture *fixture);
void archive_fixture_open(struct archive_fixture *fixture);
void archive_fixture_close(struct archive_fixture *fixture);

/* The payload of event `number`: mostly one layout, some odd ones. The buffer is replaced. */
void archive_fixture_event(uint64_t number, struct tly_buffer *out);
/* Decode the events first .. first + count - 1 into fixture->batch. */
void archive_fixture_decode(struct archive_fixture *fixture, uint64_t first, uint32_t count);
/* One group with these events in `partition`. */
enum tly_status archive_fixture_append(struct archive_fixture *fixture, uint32_t partition, uint64_t first,
                                       uint32_t count, struct tly_error *error);
/* Seal all files that wait; with `rotate` the active one too. Fails the test when that fails. */
void archive_fixture_seal(struct archive_fixture *fixture, bool rotate);
/* Read partition `partition` from the archive and check that its events are those numbered 0, 1, ..., with values
 * decoded anew; returns how many there are. */
uint64_t archive_fixture_check(struct archive_fixture *fixture, uint32_t partition);
/* The number of damages that verify finds; fails the test when verify itself fails. */
uint32_t archive_fixture_verify(struct archive_fixture *fixture);

#endif
