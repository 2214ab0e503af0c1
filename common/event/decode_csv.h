/* common/event/decode_csv.h -- CSV (RFC 4180) with a header line into a batch.
 *
 * Path of an event: bytes -> [decode_csv] -> batch writer. The header names columns (OPTIONS (header '...') or the
 * column's name); other fields are ignored. An empty field is NULL, "" is an empty text. Records end at \n or \r\n; a
 * quoted field may hold line ends. The payload is the record's bytes without its line end. Empty lines are skipped.
 * Thread: belongs to its decoder. */
#ifndef TLY_EVENT_DECODE_CSV_H
#define TLY_EVENT_DECODE_CSV_H

#include "common/event/batch_writer.h"

typedef struct tly_csv_decoder tly_csv_decoder;

tly_csv_decoder *tly_csv_decoder_new(const struct tly_stream *stream);
void tly_csv_decoder_free(tly_csv_decoder *decoder);
/* Use `header` (one record, with or without its line end) from now on. 23502 when a NOT NULL column is not in it, 42701
 * when one is in it twice, 22P04 when it is no record; the decoder is then as before. */
TLY_CHECK enum tly_status tly_csv_decoder_set_header(tly_csv_decoder *decoder, const char *header, size_t size,
                                                     struct tly_error *error);
/* The header in force without its line end, or NULL. */
const char *tly_csv_decoder_header(const tly_csv_decoder *decoder, size_t *size);
/* Decode until the bytes or the writer's rows end; the first record ever is the header. Fails only for a bad header. */
TLY_CHECK enum tly_status tly_csv_decoder_run(tly_csv_decoder *decoder, const char *bytes, size_t size,
                                              uint64_t line_base, struct tly_batch_writer *writer, size_t *consumed,
                                              uint64_t *lines, struct tly_error *error);

#endif
