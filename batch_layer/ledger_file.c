/* A CSV file, given on in pieces that end where a record does: a quoted field may have line ends in it. The file is
 * read once from its beginning to the size it had; one that is replaced meanwhile is read as it was, one that is
 * rewritten in place is noticed by its size and time. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch_layer/ledger_source.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/value.h"

enum { READ_BYTES = 1 << 20 };

struct file {
  const struct tly_ledger *ledger;
  char *path;
  int fd;
  struct stat opened;
  struct tly_buffer rest; /* of a record whose end has not come yet */
};

static enum tly_status open_path(struct file *file, struct tly_error *error) {
  file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd < 0 || fstat(file->fd, &file->opened) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "ledger \"%s\": %s", file->ledger->name, file->path);
  if (!S_ISREG(file->opened.st_mode))
    return TLY_FAIL(error, TLY_E_IO, "ledger \"%s\": %s is not a file", file->ledger->name, file->path);
  return TLY_OK;
}

static void print_facts(const struct file *file, struct tly_ledger_facts *facts) {
  struct tly_value written = {.type = {.id = TLY_TYPE_TIMESTAMPTZ},
                              .i64 =
                                  (int64_t)file->opened.st_mtim.tv_sec * 1000000 + file->opened.st_mtim.tv_nsec / 1000};
  tly_buffer_print(&facts->place, "file %s", file->path);
  tly_buffer_print(&facts->as_of, "%" PRId64 " bytes, last written ", (int64_t)file->opened.st_size);
  tly_value_print(&written, &facts->as_of);
}

static enum tly_status check_unchanged(const struct file *file, struct tly_error *error) {
  struct stat now;
  if (fstat(file->fd, &now) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "ledger \"%s\": %s", file->ledger->name, file->path);
  if (now.st_size == file->opened.st_size && now.st_mtim.tv_sec == file->opened.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == file->opened.st_mtim.tv_nsec)
    return TLY_OK;
  return TLY_FAIL(error, TLY_E_NOT_READY, "ledger \"%s\": %s was written to while it was read", file->ledger->name,
                  file->path);
}

/* How many bytes are whole records: up to the last line end with an even number of quotes before it. */
static size_t whole_records(const struct tly_buffer *bytes) {
  size_t end = 0;
  bool is_quoted = false;
  for (size_t i = 0; i < bytes->size; i++) {
    is_quoted ^= bytes->data[i] == '"';
    if (bytes->data[i] == '\n' && !is_quoted)
      end = i + 1;
  }
  return end;
}

static enum tly_status fill(struct file *file, size_t *count, struct tly_error *error) {
  uint8_t *space = tly_buffer_reserve(&file->rest, READ_BYTES);
  ssize_t size;
  do
    size = read(file->fd, space, READ_BYTES);
  while (size < 0 && errno == EINTR);
  if (size < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "ledger \"%s\": %s", file->ledger->name, file->path);
  file->rest.size += (size_t)size;
  *count = (size_t)size;
  return TLY_OK;
}

static enum tly_status read_file(void *context, struct tly_buffer *out, bool *at_end, struct tly_error *error) {
  struct file *file = context;
  size_t count = 0, end = 0;
  *at_end = false;
  while (end == 0 && !*at_end) {
    TLY_TRY(fill(file, &count, error));
    *at_end = count == 0;
    end = *at_end ? file->rest.size : whole_records(&file->rest);
    if (end == 0 && file->rest.size > TLY_BULK_BYTES_MAX)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "ledger \"%s\": a record of more than %d bytes in %s", file->ledger->name,
                      TLY_BULK_BYTES_MAX, file->path);
  }
  tly_buffer_append(out, file->rest.data, end);
  memmove(file->rest.data, file->rest.data + end, file->rest.size - end);
  file->rest.size -= end;
  return *at_end ? check_unchanged(file, error) : TLY_OK;
}

static void close_file(void *context) {
  struct file *file = context;
  if (file->fd >= 0)
    close(file->fd);
  tly_buffer_free(&file->rest);
  tly_free(file->path);
  tly_free(file);
}

enum tly_status tly_ledger_open_file(const struct tly_ledger *ledger, const char *project,
                                     struct tly_ledger_facts *facts, struct tly_ledger_source *out,
                                     struct tly_error *error) {
  struct file *file = tly_calloc(1, sizeof *file);
  file->ledger = ledger;
  file->path =
      tly_ledger_path(project, tly_ledger_server_option(ledger, "folder"), tly_ledger_option(ledger, "filename"));
  enum tly_status status = open_path(file, error);
  if (status == TLY_OK)
    print_facts(file, facts);
  *out = (struct tly_ledger_source){.read = read_file, .close = close_file, .context = file};
  if (status != TLY_OK)
    close_file(file);
  return status;
}
