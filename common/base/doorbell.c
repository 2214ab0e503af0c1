#include "common/base/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/memory.h"

struct tly_doorbell {
  int fd;
  struct sockaddr_un address;
  dev_t device; /* of the bound name: close removes it only while it is still ours */
  ino_t inode;
};

static bool make_address(const char *directory, const char *process, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  int size = snprintf(address->sun_path, sizeof address->sun_path, "%s/doorbell.%s", directory, process);
  return size >= 0 && (size_t)size < sizeof address->sun_path;
}

enum tly_status tly_doorbell_open(const char *directory, const char *process, tly_doorbell **out,
                                  struct tly_error *error) {
  enum tly_status status;
  struct stat named;
  tly_doorbell *bell = tly_calloc(1, sizeof *bell);
  *out = NULL;
  if (!make_address(directory, process, &bell->address)) {
    status = TLY_FAIL(error, TLY_E_CONFIG, "data folder \"%s\" has too long a path for a socket", directory);
    tly_error_hint(error, "A socket's path may have %zu bytes.", sizeof bell->address.sun_path - 1);
    goto fail_address;
  }
  bell->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bell->fd < 0) {
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not create a socket");
    goto fail_address;
  }
  unlink(bell->address.sun_path); /* what a killed process left behind */
  if (bind(bell->fd, (const struct sockaddr *)&bell->address, sizeof bell->address) != 0 ||
      chmod(bell->address.sun_path, 0600) != 0 || stat(bell->address.sun_path, &named) != 0) {
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not bind \"%s\"", bell->address.sun_path);
    goto fail_bind;
  }
  bell->device = named.st_dev;
  bell->inode = named.st_ino;
  *out = bell;
  return TLY_OK;

fail_bind:
  close(bell->fd);
fail_address:
  tly_free(bell);
  return status;
}

void tly_doorbell_close(tly_doorbell *bell) {
  if (bell == NULL)
    return;
  struct stat named;
  if (stat(bell->address.sun_path, &named) == 0 && named.st_dev == bell->device && named.st_ino == bell->inode)
    unlink(bell->address.sun_path);
  close(bell->fd);
  tly_free(bell);
}

int tly_doorbell_fd(const tly_doorbell *bell) {
  return bell->fd;
}

void tly_doorbell_clear(tly_doorbell *bell) {
  uint8_t byte;
  while (recv(bell->fd, &byte, sizeof byte, 0) >= 0 || errno == EINTR)
    continue;
}

void tly_doorbell_wait(tly_doorbell *bell, int timeout_ms) {
  struct pollfd waiting = {.fd = bell->fd, .events = POLLIN};
  if (poll(&waiting, 1, timeout_ms) > 0)
    tly_doorbell_clear(bell);
}

void tly_doorbell_ring(const char *directory, const char *process) {
  struct sockaddr_un address;
  if (!make_address(directory, process, &address))
    return;
  int saved_errno = errno;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    /* A full queue means that the bell has been rung; a missing name, that nobody waits. Neither is a failure. */
    ssize_t ignored = sendto(fd, "", 1, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof address);
    (void)ignored;
    close(fd);
  }
  errno = saved_errno;
}
