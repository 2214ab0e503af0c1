#include "batch_layer/ledger_reader.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/memory.h"
#include "common/event/decoder.h"

struct tly_ledger_reader {
  const struct tly_ledger *ledger;
  struct tly_ledger_source source;
  struct tly_ledger_facts facts;
  struct tly_stream stream; /* the ledger's columns as those of a CSV stream, for the decoder */
  tly_decoder *decoder;
  struct tly_event_batch batch;
  struct tly_buffer bytes;
  size_t done;    /* of bytes */
  uint64_t lines; /* before bytes + done */
  bool at_end, has_header;
};

static void set_stream(tly_ledger_reader *reader, bool all_not_null) {
  const struct tly_ledger *ledger = reader->ledger;
  if (reader->stream.columns == NULL)
    reader->stream.columns = tly_calloc(ledger->column_count, sizeof *reader->stream.columns);
  reader->stream.name = ledger->name;
  reader->stream.format = TLY_FORMAT_CSV;
  reader->stream.event_time = -1;
  reader->stream.column_count = ledger->column_count;
  for (uint32_t i = 0; i < ledger->column_count; i++)
    reader->stream.columns[i] = (struct tly_stream_column){.name = ledger->columns[i].name,
                                                           .type = ledger->columns[i].type,
                                                           .not_null = all_not_null || ledger->columns[i].not_null,
                                                           .header = ledger->columns[i].remote_name};
}

static enum tly_status open_source(tly_ledger_reader *reader, const char *project, struct tly_error *error) {
  switch (reader->ledger->server->wrapper) {
  case TLY_WRAPPER_POSTGRES: return tly_ledger_open_postgres(reader->ledger, &reader->facts, &reader->source, error);
  case TLY_WRAPPER_SQLITE:
    return tly_ledger_open_sqlite(reader->ledger, project, &reader->facts, &reader->source, error);
  case TLY_WRAPPER_FILE: return tly_ledger_open_file(reader->ledger, project, &reader->facts, &reader->source, error);
  case TLY_WRAPPER_EMBEDDED:
  case TLY_WRAPPER_KAFKA: break;
  }
  TLY_UNREACHABLE();
}

enum tly_status tly_ledger_reader_open(const struct tly_ledger *ledger, const char *project, tly_ledger_reader **out,
                                       struct tly_error *error) {
  tly_ledger_reader *reader = tly_calloc(1, sizeof *reader);
  reader->ledger = ledger;
  set_stream(reader, false);
  reader->decoder = tly_decoder_new(&reader->stream, TLY_FORMAT_CSV);
  tly_event_batch_init(&reader->batch, &reader->stream);
  enum tly_status status = open_source(reader, project, error);
  *out = reader;
  if (status != TLY_OK) {
    reader->source.close = NULL;
    tly_ledger_reader_close(reader);
    *out = NULL;
  }
  return status;
}

void tly_ledger_reader_close(tly_ledger_reader *reader) {
  if (reader == NULL)
    return;
  if (reader->source.close != NULL)
    reader->source.close(reader->source.context);
  tly_event_batch_free(&reader->batch);
  tly_decoder_free(reader->decoder);
  tly_buffer_free(&reader->bytes);
  tly_buffer_free(&reader->facts.place);
  tly_buffer_free(&reader->facts.as_of);
  tly_free(reader->stream.columns);
  tly_free(reader);
}

const struct tly_ledger_facts *tly_ledger_reader_facts(const tly_ledger_reader *reader) {
  return &reader->facts;
}

/* To a stream a column that the header lacks is NULL in every event. A ledger without its column is another ledger: the
 * header is tried with all columns required. */
static enum tly_status check_header(tly_ledger_reader *reader, struct tly_error *error) {
  size_t size;
  const char *header = tly_decoder_header(reader->decoder, &size);
  struct tly_error why = TLY_ERROR_NONE;
  if (header == NULL)
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "ledger \"%s\" is empty: not even a header line", reader->ledger->name);
  set_stream(reader, true);
  tly_decoder *strict = tly_decoder_new(&reader->stream, TLY_FORMAT_CSV);
  enum tly_status status = tly_decoder_set_header(strict, header, size, &why);
  tly_decoder_free(strict);
  set_stream(reader, false);
  if (status != TLY_OK)
    return TLY_FAIL(error, TLY_E_UNDEFINED_COLUMN, "ledger \"%s\": %s", reader->ledger->name, why.message);
  reader->has_header = true;
  return TLY_OK;
}

static enum tly_status refill(tly_ledger_reader *reader, struct tly_error *error) {
  tly_buffer_clear(&reader->bytes);
  reader->done = 0;
  return reader->source.read(reader->source.context, &reader->bytes, &reader->at_end, error);
}

static enum tly_status decode(tly_ledger_reader *reader, struct tly_error *error) {
  struct tly_error why = TLY_ERROR_NONE;
  size_t consumed;
  uint64_t lines;
  const char *bytes = (const char *)reader->bytes.data + reader->done;
  if (tly_decoder_decode(reader->decoder, bytes, reader->bytes.size - reader->done, reader->lines, &reader->batch,
                         &consumed, &lines, &why) != TLY_OK)
    return TLY_FAIL(error, why.status, "ledger \"%s\": %s", reader->ledger->name, why.message);
  if (reader->batch.rejection_count > 0) {
    const struct tly_rejection *first = &reader->batch.rejections[0];
    return TLY_FAIL(error, first->status, "ledger \"%s\", line %" PRIu64 ": %s", reader->ledger->name, first->line,
                    first->message);
  }
  reader->done += consumed;
  reader->lines += lines;
  return TLY_OK;
}

enum tly_status tly_ledger_reader_next(tly_ledger_reader *reader, const struct tly_event_batch **out,
                                       struct tly_error *error) {
  *out = NULL;
  for (;;) {
    if (reader->done < reader->bytes.size)
      TLY_TRY(decode(reader, error));
    else if (!reader->at_end)
      TLY_TRY(refill(reader, error));
    else
      return reader->has_header ? TLY_OK : check_header(reader, error);
    if (!reader->has_header && reader->lines > 0)
      TLY_TRY(check_header(reader, error));
    if (reader->done > 0 && reader->batch.count > 0) {
      *out = &reader->batch;
      return TLY_OK;
    }
  }
}
