/* common/event/decode_json.h -- JSON lines into a batch: learned layouts first, the strict scanner for the rest.
 *
 * Path of an event: bytes -> [decode_json] -> batch writer. A line ends at \n or \r\n or where the bytes end; the line
 * end is not part of the payload. Lines of nothing but blanks are skipped.
 * Thread: belongs to its decoder. */
#ifndef TLY_EVENT_DECODE_JSON_H
#define TLY_EVENT_DECODE_JSON_H

#include "common/event/batch_writer.h"

typedef struct tly_json_decoder tly_json_decoder;

tly_json_decoder *tly_json_decoder_new(const struct tly_stream *stream);
void tly_json_decoder_free(tly_json_decoder *decoder);
void tly_json_decoder_use_learned_layout(tly_json_decoder *decoder, bool use);
/* Decode until the bytes or the writer's rows end. Returns how many bytes were used; *lines is how many lines. */
size_t tly_json_decoder_run(tly_json_decoder *decoder, const char *bytes, size_t size, uint64_t line_base,
                            struct tly_batch_writer *writer, uint64_t *lines);

#endif
