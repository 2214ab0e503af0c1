#include "speed_layer/wal_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

/* Pages that are being written are waited for, dirty ones are written and waited for: one write is on its way at a
 * time.
 */
enum { WRITE_OUT = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER };
enum { PAUSE_US = 20000 };

struct tly_wal_sync {
  int fd;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t noted;
  bool is_dirty, is_stopping;
  int failure; /* errno of the first sync that failed; 0: none */
};

/* *is_dirty false: asked to stop. */
static bool wait_for_commit(struct tly_wal_sync *sync) {
  pthread_mutex_lock(&sync->mutex);
  while (!sync->is_dirty && !sync->is_stopping)
    pthread_cond_wait(&sync->noted, &sync->mutex);
  bool goes_on = !sync->is_stopping;
  sync->is_dirty = false;
  pthread_mutex_unlock(&sync->mutex);
  return goes_on;
}

static void *sync_main(void *context) {
  struct tly_wal_sync *sync = context;
  while (wait_for_commit(sync)) {
    if (sync_file_range(sync->fd, 0, 0, WRITE_OUT) != 0) {
      pthread_mutex_lock(&sync->mutex);
      sync->failure = errno;
      pthread_mutex_unlock(&sync->mutex);
      break; /* never tried again: the kernel may call a hole durable */
    }
    usleep(PAUSE_US);
  }
  return NULL;
}

enum tly_status tly_wal_sync_start(const char *path, tly_wal_sync **out, struct tly_error *error) {
  char wal_path[4200];
  *out = NULL;
  if (snprintf(wal_path, sizeof wal_path, "%s-wal", path) >= (int)sizeof wal_path)
    return TLY_FAIL(error, TLY_E_CONFIG, "file name is too long: %s", path);
  int fd = open(wal_path, O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not open \"%s\"", wal_path);
  struct tly_wal_sync *sync = tly_calloc(1, sizeof *sync);
  sync->fd = fd;
  TLY_ASSERT(pthread_mutex_init(&sync->mutex, NULL) == 0 && pthread_cond_init(&sync->noted, NULL) == 0);
  int code = pthread_create(&sync->thread, NULL, sync_main, sync);
  if (code != 0) {
    close(fd);
    tly_free(sync);
    errno = code;
    return TLY_FAIL_ERRNO(error, TLY_E_NO_MEMORY, "could not start a thread");
  }
  *out = sync;
  return TLY_OK;
}

enum tly_status tly_wal_sync_note(tly_wal_sync *sync, struct tly_error *error) {
  pthread_mutex_lock(&sync->mutex);
  int failure = sync->failure;
  sync->is_dirty = true;
  pthread_cond_signal(&sync->noted);
  pthread_mutex_unlock(&sync->mutex);
  if (failure == 0)
    return TLY_OK;
  errno = failure;
  return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not sync the WAL of the live state");
}

void tly_wal_sync_stop(tly_wal_sync *sync) {
  if (sync == NULL)
    return;
  pthread_mutex_lock(&sync->mutex);
  sync->is_stopping = true;
  pthread_cond_signal(&sync->noted);
  pthread_mutex_unlock(&sync->mutex);
  TLY_ASSERT(pthread_join(sync->thread, NULL) == 0);
  pthread_cond_destroy(&sync->noted);
  pthread_mutex_destroy(&sync->mutex);
  close(sync->fd);
  tly_free(sync);
}
