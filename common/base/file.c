#include "common/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

enum { FOLDER_MODE = 0750, FILE_MODE = 0640, LOCK_ATTEMPTS_MAX = 10, READ_CHUNK_BYTES = 64 << 10 };

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

enum tly_status tly_file_make_folder(const char *path, struct tly_error *error) {
  enum tly_status status = TLY_OK;
  char *prefix = tly_strdup(path);
  for (char *place = prefix; status == TLY_OK && *place != '\0';) {
    place += strspn(place, "/");
    place += strcspn(place, "/");
    char separator = *place;
    *place = '\0';
    if (mkdir(prefix, FOLDER_MODE) != 0 && !is_folder(prefix))
      status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make folder \"%s\"", prefix);
    *place = separator;
  }
  tly_free(prefix);
  return status;
}

/* Close after a failure, keeping the errno of that failure for the words. */
static void close_keeping_errno(int fd) {
  int saved_errno = errno;
  close(fd);
  errno = saved_errno;
}

static enum tly_status sync_path(const char *path, int flags, struct tly_error *error) {
  int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open \"%s\" to sync it", path);
  if (fsync(fd) != 0) {
    close_keeping_errno(fd);
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not sync \"%s\"", path);
  }
  close(fd);
  return TLY_OK;
}

enum tly_status tly_file_sync_folder(const char *path, struct tly_error *error) {
  return sync_path(path, O_DIRECTORY, error);
}

enum tly_status tly_file_sync(const char *path, struct tly_error *error) {
  return sync_path(path, 0, error);
}

static enum tly_status read_all(int fd, const char *path, size_t size_max, struct tly_buffer *out,
                                struct tly_error *error) {
  size_t start = out->size;
  for (;;) {
    ssize_t count = read(fd, tly_buffer_reserve(out, READ_CHUNK_BYTES), READ_CHUNK_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not read \"%s\"", path);
    if (count == 0)
      return TLY_OK;
    out->size += (size_t)count;
    if (out->size - start > size_max)
      return TLY_FAIL(error, TLY_E_TOO_LARGE, "file \"%s\" is larger than %zu bytes", path, size_max);
  }
}

enum tly_status tly_file_read(const char *path, size_t size_max, struct tly_buffer *out, struct tly_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open \"%s\"", path);
  size_t start = out->size;
  enum tly_status status = read_all(fd, path, size_max, out, error);
  if (status != TLY_OK)
    out->size = start;
  close(fd);
  return status;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t count = write(fd, bytes, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    bytes += count;
    size -= (size_t)count;
  }
  return true;
}

static enum tly_status write_synced(const char *path, const void *bytes, size_t size, struct tly_error *error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
  if (fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not create \"%s\"", path);
  if (!write_all(fd, bytes, size) || fsync(fd) != 0) {
    close_keeping_errno(fd);
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not write \"%s\"", path);
  }
  if (close(fd) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not close \"%s\"", path);
  return TLY_OK;
}

static enum tly_status sync_folder_of(const char *path, struct tly_error *error) {
  char *folder = tly_strdup(path);
  char *slash = strrchr(folder, '/');
  if (slash != NULL)
    slash[slash == folder] = '\0'; /* "/name" stands in "/" */
  enum tly_status status = tly_file_sync_folder(slash == NULL ? "." : folder, error);
  tly_free(folder);
  return status;
}

enum tly_status tly_file_replace(const char *path, const void *bytes, size_t size, struct tly_error *error) {
  struct tly_buffer name = {0};
  tly_buffer_print(&name, "%s.tmp", path);
  const char *temporary = tly_buffer_text(&name);
  enum tly_status status = write_synced(temporary, bytes, size, error);
  if (status == TLY_OK && rename(temporary, path) != 0)
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not rename \"%s\" to \"%s\"", temporary, path);
  if (status == TLY_OK)
    status = sync_folder_of(path, error);
  else
    unlink(temporary);
  tly_buffer_free(&name);
  return status;
}

bool tly_file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

int64_t tly_file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
  (void)status;
  (void)kind;
  (void)walk;
  return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

enum tly_status tly_file_remove_tree(const char *path, struct tly_error *error) {
  enum { OPEN_FOLDERS_MAX = 16 };
  if (nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not remove \"%s\"", path);
  return TLY_OK;
}

static int lock_descriptor(int fd, bool exclusive) {
  int result;
  do
    result = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  while (result != 0 && errno == EINTR);
  return result;
}

/* Whether the file was removed between open and lock: such a lock excludes nobody. */
static bool is_unlinked(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

enum tly_status tly_file_lock(const char *path, bool exclusive, int *fd, struct tly_error *error) {
  *fd = -1;
  for (int attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt++) {
    int opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (opened < 0)
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open \"%s\" to lock it", path);
    if (lock_descriptor(opened, exclusive) != 0) {
      close_keeping_errno(opened);
      if (errno == EWOULDBLOCK)
        return TLY_FAIL(error, TLY_E_IN_USE, "\"%s\" is in use by another process", path);
      return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not lock \"%s\"", path);
    }
    if (!is_unlinked(opened)) {
      *fd = opened;
      return TLY_OK;
    }
    close(opened);
  }
  return TLY_FAIL(error, TLY_E_IN_USE, "\"%s\" is removed again and again", path);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *name, const char *suffix) {
  size_t name_size = strlen(name), suffix_size = strlen(suffix);
  return name_size >= suffix_size && strcmp(name + name_size - suffix_size, suffix) == 0;
}

enum tly_status tly_file_list(const char *folder, const char *suffix, char ***names, size_t *count,
                              struct tly_error *error) {
  *names = NULL;
  *count = 0;
  DIR *stream = opendir(folder);
  if (stream == NULL)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open folder \"%s\"", folder);
  struct dirent *entry;
  size_t capacity = 0;
  while (errno = 0, (entry = readdir(stream)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || !ends_with(entry->d_name, suffix))
      continue;
    if (*count == capacity) {
      capacity = capacity == 0 ? 16 : 2 * capacity;
      *names = tly_realloc_array(*names, capacity, sizeof **names);
    }
    (*names)[(*count)++] = tly_strdup(entry->d_name);
  }
  enum tly_status status = TLY_OK;
  if (errno != 0) {
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not read folder \"%s\"", folder);
    tly_file_list_free(*names, *count);
    *names = NULL;
    *count = 0;
  } else if (*count > 0) {
    qsort(*names, *count, sizeof **names, compare_names);
  }
  closedir(stream);
  return status;
}

void tly_file_list_free(char **names, size_t count) {
  for (size_t i = 0; i < count; i++)
    tly_free(names[i]);
  tly_free(names);
}
