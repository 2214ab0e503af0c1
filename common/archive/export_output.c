/* Bytes gather in `pending` and leave it in chunks of TLY_EXPORT_CHUNK_BYTES, the last one apart: what the compressor
 * is given, and so what it makes, does not depend on where blocks end.
 *
 * The temporary file is locked while it is written. Who gets the lock of a file that has meanwhile been given its final
 * name by the one before must not touch it: the name is looked up again after the lock. */
#include "common/archive/export_output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "common/archive/checksum.h"
#include "common/base/assert.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

enum { COMPRESSION_LEVEL = 3 };

/* Bytes that pass by. */
struct meter {
  uint64_t bytes;
  struct tly_checksum checksum;
};

struct tly_export_output {
  char *path, *temporary; /* NULL: stdout */
  int fd;
  bool is_finished;
  struct tly_buffer pending;
  struct meter content, file;
  ZSTD_CCtx *compressor; /* or NULL */
  uint8_t *compressed;
  size_t compressed_size;
};

static void meter_add(struct meter *meter, const void *bytes, size_t size) {
  meter->bytes += size;
  tly_checksum_add(&meter->checksum, bytes, size);
}

static struct tly_export_digest meter_end(struct meter *meter) {
  return (struct tly_export_digest){.bytes = meter->bytes, .hash = tly_checksum_end(&meter->checksum)};
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static bool is_named(int fd, const char *path) {
  struct stat opened, named;
  return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

static enum tly_status open_temporary(tly_export_output *output, struct tly_error *error) {
  struct stat existing;
  if (stat(output->path, &existing) == 0 && !S_ISREG(existing.st_mode)) {
    tly_error_set(error, TLY_E_INVALID_PARAMETER, __FILE__, __LINE__, "\"%s\" is not a regular file", output->path);
    tly_error_hint(error, "a pipe or a device is written by sending stdout there");
    return TLY_E_INVALID_PARAMETER;
  }
  for (;;) {
    TLY_TRY(tly_file_lock(output->temporary, true, &output->fd, error));
    if (is_named(output->fd, output->temporary))
      break;
    close(output->fd);
  }
  if (ftruncate(output->fd, 0) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not empty \"%s\"", output->temporary);
  return TLY_OK;
}

static void start_compressor(tly_export_output *output) {
  output->compressor = ZSTD_createCCtx();
  TLY_ASSERT(output->compressor != NULL); /* out of memory ends the process everywhere */
  size_t level = ZSTD_CCtx_setParameter(output->compressor, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
  size_t checked = ZSTD_CCtx_setParameter(output->compressor, ZSTD_c_checksumFlag, 1);
  TLY_ASSERT(!ZSTD_isError(level) && !ZSTD_isError(checked));
  output->compressed_size = ZSTD_CStreamOutSize();
  output->compressed = tly_malloc(output->compressed_size);
}

enum tly_status tly_export_output_open(const char *path, bool is_compressed, tly_export_output **out,
                                       struct tly_error *error) {
  tly_export_output *output = tly_calloc(1, sizeof *output);
  *out = NULL;
  output->fd = -1;
  tly_checksum_begin(&output->content.checksum);
  tly_checksum_begin(&output->file.checksum);
  if (is_compressed)
    start_compressor(output);
  if (path == NULL) {
    output->fd = STDOUT_FILENO;
  } else {
    struct tly_buffer name = {0};
    tly_buffer_print(&name, "%s.tmp", path);
    output->path = tly_strdup(path);
    output->temporary = tly_strdup(tly_buffer_text(&name));
    tly_buffer_free(&name);
    enum tly_status status = open_temporary(output, error);
    if (status != TLY_OK) {
      tly_export_output_close(output);
      return status;
    }
  }
  *out = output;
  return TLY_OK;
}

void tly_export_output_close(tly_export_output *output) {
  if (output == NULL)
    return;
  if (output->path != NULL && output->fd >= 0) {
    unlink(output->temporary); /* while the lock is held: it is ours */
    close(output->fd);
  }
  ZSTD_freeCCtx(output->compressor);
  tly_free(output->compressed);
  tly_buffer_free(&output->pending);
  tly_free(output->temporary);
  tly_free(output->path);
  tly_free(output);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static const char *name_of(const tly_export_output *output) {
  return output->path == NULL ? "stdout" : output->temporary;
}

static enum tly_status write_out(tly_export_output *output, const uint8_t *bytes, size_t size,
                                 struct tly_error *error) {
  meter_add(&output->file, bytes, size);
  while (size > 0) {
    ssize_t count = write(output->fd, bytes, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not write to %s", name_of(output));
    bytes += count;
    size -= (size_t)count;
  }
  return TLY_OK;
}

static enum tly_status compress(tly_export_output *output, const uint8_t *bytes, size_t size, bool is_last,
                                struct tly_error *error) {
  ZSTD_inBuffer in = {.src = bytes, .size = size};
  for (;;) {
    ZSTD_outBuffer out = {.dst = output->compressed, .size = output->compressed_size};
    size_t left = ZSTD_compressStream2(output->compressor, &out, &in, is_last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left))
      return TLY_FAIL(error, TLY_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
    TLY_TRY(write_out(output, output->compressed, out.pos, error));
    if (is_last ? left == 0 : in.pos == in.size)
      return TLY_OK;
  }
}

static enum tly_status put(tly_export_output *output, const uint8_t *bytes, size_t size, bool is_last,
                           struct tly_error *error) {
  meter_add(&output->content, bytes, size);
  return output->compressor == NULL ? write_out(output, bytes, size, error)
                                    : compress(output, bytes, size, is_last, error);
}

struct tly_buffer *tly_export_output_pending(tly_export_output *output) {
  return &output->pending;
}

enum tly_status tly_export_output_drain(tly_export_output *output, struct tly_error *error) {
  size_t done = 0;
  TLY_ASSERT(!output->is_finished);
  for (; output->pending.size - done >= TLY_EXPORT_CHUNK_BYTES; done += TLY_EXPORT_CHUNK_BYTES)
    TLY_TRY(put(output, output->pending.data + done, TLY_EXPORT_CHUNK_BYTES, false, error));
  tly_buffer_consume(&output->pending, done);
  return TLY_OK;
}

enum tly_status tly_export_output_finish(tly_export_output *output, struct tly_export_digest *content,
                                         struct tly_export_digest *file, struct tly_error *error) {
  TLY_TRY(tly_export_output_drain(output, error));
  TLY_TRY(put(output, output->pending.data, output->pending.size, true, error));
  tly_buffer_clear(&output->pending);
  output->is_finished = true;
  if (output->path != NULL && fsync(output->fd) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not sync \"%s\"", output->temporary);
  *content = meter_end(&output->content);
  *file = meter_end(&output->file);
  return TLY_OK;
}

enum tly_status tly_export_output_publish(tly_export_output *output, struct tly_error *error) {
  TLY_ASSERT(output->is_finished);
  if (output->path == NULL)
    return TLY_OK;
  if (rename(output->temporary, output->path) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not rename \"%s\" to \"%s\"", output->temporary, output->path);
  close(output->fd);
  output->fd = -1;
  return TLY_OK;
}
