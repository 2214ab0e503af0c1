/* common/event/decoder.h -- bytes of one stream's format into event batches: JSON lines or CSV.
 *
 * Path of an event: socket bytes -> [decoder] -> event batch -> archive writer.
 *
 * JSON goes first to a scanner that has learned the layout of the lines before (learned_layout.h), then, for lines that
 * do not fit it, to a strict RFC 8259 scanner (scan_json.h); both give identical results on every input. The table of
 * JSON value x column type is in docs/SQL.md.
 * Thread: a decoder belongs to one thread at a time. */
#ifndef TLY_EVENT_DECODER_H
#define TLY_EVENT_DECODER_H

#include "common/event/event_batch.h"

typedef struct tly_decoder tly_decoder;

tly_decoder *tly_decoder_new(const struct tly_stream *stream, enum tly_format format);
void tly_decoder_free(tly_decoder *decoder);

/* Decode whole lines from `bytes` into `batch` (which is reset first) until the bytes or the batch's room for events
 * ends. *consumed is how far it came (after a line end, or the end of the input, which ends the last line). An event
 * that does not decode is a rejection, the others go in; blank lines are skipped (they count as lines). `batch` borrows
 * `bytes` (raw points into it). For CSV the first line ever given to this decoder is the header; when a header lacks a
 * NOT NULL column or names one twice the call itself fails.
 * `line_base` is the number of lines before `bytes`, for the rejections. Never fails for JSON. */
TLY_CHECK enum tly_status tly_decoder_decode(tly_decoder *decoder, const char *bytes, size_t size, uint64_t line_base,
                                             struct tly_event_batch *batch, size_t *consumed, uint64_t *lines,
                                             struct tly_error *error);

/* Decode one event again from its raw payload (schema change, verify): the batch gets one row or one rejection. A CSV
 * payload is a record; its header is given once by tly_decoder_set_header. */
TLY_CHECK enum tly_status tly_decoder_set_header(tly_decoder *decoder, const char *header, size_t size,
                                                 struct tly_error *error);
/* The header line in force, or NULL (JSON, or none yet): the archive keeps it with CSV events. */
const char *tly_decoder_header(const tly_decoder *decoder, size_t *size);

/* For tests and the fuzzer: switch the learned layout off. */
void tly_decoder_use_learned_layout(tly_decoder *decoder, bool use);

#endif
