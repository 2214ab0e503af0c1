/* One loop for all kinds: take a piece of the file, let the kind's step turn it into output, until the caller's room is
 * full. A step says when a member (gzip) or frame (zstd) has ended; the file may only end there.
 *
 * What was decompressed before a failure is given out first: the failure is kept for the next call, so that a caller
 * can use all that is whole before a break. */
#include "cli/input_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { PIECE_BYTES = 64 << 10, MAGIC_BYTES = 6, GZIP_WINDOW = 16 + MAX_WBITS };

enum kind { UNKNOWN, PLAIN, GZIP, ZSTD, FOREIGN };

struct tly_input_stream {
  int fd;
  const char *name;
  enum kind kind;
  bool file_ended, is_between; /* is_between: no member or frame is open */
  uint8_t piece[PIECE_BYTES];
  size_t piece_size, piece_next;
  int64_t taken, given;
  z_stream gzip;
  ZSTD_DCtx *zstd;
  struct tly_error failure; /* met after bytes that were given out */
};

/* ---- kinds ------------------------------------------------------------------------------------------------------- */

static bool begins_with(const uint8_t *bytes, size_t size, const char *magic, size_t magic_size) {
  return size >= magic_size && memcmp(bytes, magic, magic_size) == 0;
}

static enum kind kind_of(const uint8_t *bytes, size_t size) {
  if (begins_with(bytes, size, "\x1f\x8b", 2))
    return GZIP;
  if (begins_with(bytes, size, "\x28\xb5\x2f\xfd", 4) || /* a frame, or one that is to be skipped */
      (size >= 4 && (bytes[0] & 0xf0) == 0x50 && memcmp(bytes + 1, "\x2a\x4d\x18", 3) == 0))
    return ZSTD;
  if (begins_with(bytes, size, "\xfd\067zXZ", 5) || begins_with(bytes, size, "BZh", 3) ||
      begins_with(bytes, size, "PK\x03\x04", 4))
    return FOREIGN; /* xz, bzip2, zip */
  return PLAIN;
}

bool tly_input_is_compressed(int fd, int64_t offset) {
  uint8_t magic[MAGIC_BYTES];
  ssize_t got = pread(fd, magic, sizeof magic, offset);
  return got > 0 && kind_of(magic, (size_t)got) != PLAIN;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct tly_input_stream *tly_input_stream_new(int fd, const char *name) {
  struct tly_input_stream *input = tly_calloc(1, sizeof *input);
  input->fd = fd;
  input->name = name;
  input->is_between = true;
  return input;
}

void tly_input_stream_free(struct tly_input_stream *input) {
  if (input == NULL)
    return;
  if (input->kind == GZIP)
    inflateEnd(&input->gzip);
  ZSTD_freeDCtx(input->zstd);
  tly_free(input);
}

int64_t tly_input_stream_taken(const struct tly_input_stream *input) {
  return input->taken;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* More bytes of the file behind those of the piece. */
static enum tly_status take_more(struct tly_input_stream *input, struct tly_error *error) {
  ssize_t got;
  do
    got = read(input->fd, input->piece + input->piece_size, PIECE_BYTES - input->piece_size);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "read %s", input->name);
  input->file_ended = got == 0;
  input->piece_size += (size_t)got;
  input->taken += got;
  return TLY_OK;
}

static enum tly_status next_piece(struct tly_input_stream *input, struct tly_error *error) {
  input->piece_size = input->piece_next = 0;
  return take_more(input, error);
}

static enum tly_status begin(struct tly_input_stream *input, struct tly_error *error) {
  while (!input->file_ended && input->piece_size < MAGIC_BYTES)
    TLY_TRY(take_more(input, error));
  enum kind kind = kind_of(input->piece, input->piece_size);
  if (kind == FOREIGN)
    return TLY_FAIL(error, TLY_E_FILE_FORMAT, "%s is compressed, and not with gzip or zstd: decompress it first",
                    input->name);
  if (kind == GZIP && inflateInit2(&input->gzip, GZIP_WINDOW) != Z_OK)
    return TLY_FAIL(error, TLY_E_NO_MEMORY, "%s: no memory to decompress it", input->name);
  if (kind == ZSTD && (input->zstd = ZSTD_createDCtx()) == NULL)
    return TLY_FAIL(error, TLY_E_NO_MEMORY, "%s: no memory to decompress it", input->name);
  input->kind = kind;
  return TLY_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static enum tly_status fail_broken(const struct tly_input_stream *input, const char *format, const char *why,
                                   struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_FILE_FORMAT, "%s: the %s data is broken after %lld bytes of it, %lld decompressed: %s",
                  input->name, format, (long long)(input->taken - (int64_t)(input->piece_size - input->piece_next)),
                  (long long)input->given, why);
}

static enum tly_status gzip_step(struct tly_input_stream *input, uint8_t *into, size_t room, size_t *got,
                                 struct tly_error *error) {
  z_stream *gzip = &input->gzip;
  if (input->is_between && inflateReset(gzip) != Z_OK)
    return fail_broken(input, "gzip", "it cannot be begun", error);
  input->is_between = false;
  gzip->next_in = input->piece + input->piece_next;
  gzip->avail_in = (uInt)(input->piece_size - input->piece_next);
  gzip->next_out = into;
  gzip->avail_out = (uInt)room;
  int outcome = inflate(gzip, Z_NO_FLUSH);
  input->piece_next = input->piece_size - gzip->avail_in;
  *got = room - gzip->avail_out;
  input->is_between = outcome == Z_STREAM_END;
  if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR)
    return fail_broken(input, "gzip", gzip->msg != NULL ? gzip->msg : "it is no gzip data", error);
  return TLY_OK;
}

static enum tly_status zstd_step(struct tly_input_stream *input, uint8_t *into, size_t room, size_t *got,
                                 struct tly_error *error) {
  ZSTD_inBuffer from = {.src = input->piece, .size = input->piece_size, .pos = input->piece_next};
  ZSTD_outBuffer to = {.dst = into, .size = room};
  size_t outcome = ZSTD_decompressStream(input->zstd, &to, &from);
  input->piece_next = from.pos;
  *got = to.pos;
  if (ZSTD_isError(outcome))
    return fail_broken(input, "zstd", ZSTD_getErrorName(outcome), error);
  input->is_between = outcome == 0;
  return TLY_OK;
}

static enum tly_status plain_step(struct tly_input_stream *input, uint8_t *into, size_t room, size_t *got) {
  size_t left = input->piece_size - input->piece_next;
  *got = left < room ? left : room;
  memcpy(into, input->piece + input->piece_next, *got);
  input->piece_next += *got;
  return TLY_OK;
}

static enum tly_status step(struct tly_input_stream *input, uint8_t *into, size_t room, size_t *got,
                            struct tly_error *error) {
  switch (input->kind) {
  case GZIP: return gzip_step(input, into, room, got, error);
  case ZSTD: return zstd_step(input, into, room, got, error);
  default: return plain_step(input, into, room, got);
  }
}

/* One step's bytes; none at the end of the input. A decompressor may hold output when its input is used up, so it is
 * asked once more before the file's end is believed. */
static enum tly_status produce(struct tly_input_stream *input, uint8_t *into, size_t room, size_t *got,
                               struct tly_error *error) {
  *got = 0;
  if (input->kind == UNKNOWN)
    TLY_TRY(begin(input, error));
  while (*got == 0) {
    bool is_empty = input->piece_next == input->piece_size;
    if (!is_empty || !input->is_between)
      TLY_TRY(step(input, into, room, got, error));
    if (*got > 0 || input->piece_next < input->piece_size)
      continue;
    if (input->file_ended && !input->is_between)
      return fail_broken(input, input->kind == GZIP ? "gzip" : "zstd", "it ends too early", error);
    if (input->file_ended)
      return TLY_OK;
    TLY_TRY(next_piece(input, error));
  }
  return TLY_OK;
}

enum tly_status tly_input_stream_read(struct tly_input_stream *input, void *into, size_t room, size_t *got,
                                      struct tly_error *error) {
  size_t more = 1;
  *got = 0;
  while (*got < room && more > 0 && input->failure.status == TLY_OK) {
    enum tly_status status = produce(input, (uint8_t *)into + *got, room - *got, &more, &input->failure);
    TLY_ASSERT(status == input->failure.status);
    *got += more;
    input->given += (int64_t)more;
  }
  if (*got > 0 || input->failure.status == TLY_OK)
    return TLY_OK;
  *error = input->failure;
  return input->failure.status;
}
