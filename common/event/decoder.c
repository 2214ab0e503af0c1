#include "common/event/decoder.h"

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/event/batch_writer.h"
#include "common/event/decode_csv.h"
#include "common/event/decode_json.h"

struct tly_decoder {
  const struct tly_stream *stream;
  struct tly_batch_writer writer;
  tly_json_decoder *json; /* one of the two */
  tly_csv_decoder *csv;
};

tly_decoder *tly_decoder_new(const struct tly_stream *stream, enum tly_format format) {
  tly_decoder *decoder = tly_calloc(1, sizeof *decoder);
  decoder->stream = stream;
  tly_batch_writer_init(&decoder->writer, stream);
  if (format == TLY_FORMAT_CSV)
    decoder->csv = tly_csv_decoder_new(stream);
  else
    decoder->json = tly_json_decoder_new(stream);
  return decoder;
}

void tly_decoder_free(tly_decoder *decoder) {
  if (decoder == NULL)
    return;
  tly_json_decoder_free(decoder->json);
  tly_csv_decoder_free(decoder->csv);
  tly_batch_writer_free(&decoder->writer);
  tly_free(decoder);
}

enum tly_status tly_decoder_decode(tly_decoder *decoder, const char *bytes, size_t size, uint64_t line_base,
                                   struct tly_event_batch *batch, size_t *consumed, uint64_t *lines,
                                   struct tly_error *error) {
  enum tly_status status = TLY_OK;
  TLY_ASSERT(batch->stream == decoder->stream && size <= UINT32_MAX);
  tly_batch_writer_begin(&decoder->writer, batch, size);
  if (decoder->csv != NULL)
    status = tly_csv_decoder_run(decoder->csv, bytes, size, line_base, &decoder->writer, consumed, lines, error);
  else
    *consumed = tly_json_decoder_run(decoder->json, bytes, size, line_base, &decoder->writer, lines);
  tly_batch_writer_finish(&decoder->writer);
  return status;
}

enum tly_status tly_decoder_set_header(tly_decoder *decoder, const char *header, size_t size, struct tly_error *error) {
  TLY_ASSERT(decoder->csv != NULL);
  return tly_csv_decoder_set_header(decoder->csv, header, size, error);
}

const char *tly_decoder_header(const tly_decoder *decoder, size_t *size) {
  *size = 0;
  return decoder->csv == NULL ? NULL : tly_csv_decoder_header(decoder->csv, size);
}

void tly_decoder_use_learned_layout(tly_decoder *decoder, bool use) {
  if (decoder->json != NULL)
    tly_json_decoder_use_learned_layout(decoder->json, use);
}
