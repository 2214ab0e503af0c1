#include "common/wire/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/limits.h"

/* A path that does not fit into sun_path is addressed as /proc/self/fd/<folder>/<name>: libuv 1.44 and bind(2) would
 * cut it or refuse it. *folder_fd must stay open while the address is used; -1 when it was not needed. */
static enum tly_status address_of(const char *path, struct sockaddr_un *address, int *folder_fd,
                                  struct tly_error *error) {
  *folder_fd = -1;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) < sizeof address->sun_path) {
    memcpy(address->sun_path, path, strlen(path) + 1);
    return TLY_OK;
  }
  const char *slash = strrchr(path, '/');
  char folder[4096];
  if (slash == NULL || (size_t)(slash - path) >= sizeof folder)
    return TLY_FAIL(error, TLY_E_CONFIG, "socket path is too long: %s", path);
  memcpy(folder, path, (size_t)(slash - path));
  folder[slash - path] = 0;
  *folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*folder_fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "open folder %s", folder);
  int size = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", *folder_fd, slash + 1);
  if (size < (int)sizeof address->sun_path)
    return TLY_OK;
  close(*folder_fd);
  return TLY_FAIL(error, TLY_E_CONFIG, "socket name is too long: %s", path);
}

static int connect_unix(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
    return fd;
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

enum tly_status tly_socket_connect_unix(const char *path, int *fd, struct tly_error *error) {
  struct sockaddr_un address;
  int folder_fd;
  TLY_TRY(address_of(path, &address, &folder_fd, error));
  *fd = connect_unix(&address);
  enum tly_status status = *fd >= 0 ? TLY_OK : TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "no tally answers at %s", path);
  if (folder_fd >= 0)
    close(folder_fd);
  return status;
}

/* Remove a socket nobody listens on; one that somebody does is in use; anything that is no socket stays untouched. */
static enum tly_status remove_stale(const char *path, const struct sockaddr_un *address, struct tly_error *error) {
  struct stat info;
  if (lstat(path, &info) != 0)
    return TLY_OK;
  if (!S_ISSOCK(info.st_mode))
    return TLY_FAIL(error, TLY_E_CONFIG, "%s is there and is not a socket", path);
  int fd = connect_unix(address);
  if (fd >= 0) {
    close(fd);
    return TLY_FAIL(error, TLY_E_IN_USE, "another process listens on %s", path);
  }
  if (unlink(path) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "remove stale socket %s", path);
  return TLY_OK;
}

static enum tly_status listen_at(const struct sockaddr_un *address, const char *path, int *fd,
                                 struct tly_error *error) {
  *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "make a socket");
  mode_t before = umask(0117); /* 0660 from the first moment on */
  int bound = bind(*fd, (const struct sockaddr *)address, sizeof *address);
  umask(before);
  if (bound == 0 && listen(*fd, 128) == 0)
    return TLY_OK;
  enum tly_status status = TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "listen on %s", path);
  close(*fd);
  return status;
}

enum tly_status tly_socket_listen_unix(const char *path, int *fd, struct tly_error *error) {
  struct sockaddr_un address;
  int folder_fd;
  TLY_TRY(address_of(path, &address, &folder_fd, error));
  enum tly_status status = remove_stale(path, &address, error);
  if (status == TLY_OK)
    status = listen_at(&address, path, fd, error);
  if (folder_fd >= 0)
    close(folder_fd);
  return status;
}

static enum tly_status resolve(const char *host_port, struct sockaddr_storage *address, socklen_t *size,
                               struct tly_error *error) {
  const char *colon = strrchr(host_port, ':');
  char host[256];
  size_t host_size = colon != NULL ? (size_t)(colon - host_port) : 0;
  if (colon == NULL || host_size == 0 || host_size >= sizeof host)
    return TLY_FAIL(error, TLY_E_CONFIG, "\"%s\" is not HOST:PORT", host_port);
  memcpy(host, host_port, host_size);
  host[host_size] = 0;
  if (host[0] == '[' && host[host_size - 1] == ']') { /* [::1]:7433 */
    host[host_size - 1] = 0;
    memmove(host, host + 1, host_size - 1);
  }
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  struct addrinfo *found;
  const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
  int code = getaddrinfo(name, colon + 1, &hints, &found);
  if (code != 0)
    return TLY_FAIL(error, TLY_E_CONFIG, "\"%s\": %s (a numeric address or localhost, and a port)", host_port,
                    gai_strerror(code));
  memcpy(address, found->ai_addr, found->ai_addrlen);
  *size = found->ai_addrlen;
  freeaddrinfo(found);
  return TLY_OK;
}

static enum tly_status print_bound(int fd, struct tly_buffer *bound, struct tly_error *error) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char host[64], port[16];
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
      getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "name of a bound socket");
  tly_buffer_print(bound, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
  return TLY_OK;
}

enum tly_status tly_socket_listen_tcp(const char *host_port, int *fd, struct tly_buffer *bound,
                                      struct tly_error *error) {
  struct sockaddr_storage address = {0};
  socklen_t size = 0;
  int yes = 1;
  TLY_TRY(resolve(host_port, &address, &size, error));
  *fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (*fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "make a socket");
  setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  enum tly_status status = TLY_OK;
  if (bind(*fd, (struct sockaddr *)&address, size) != 0 || listen(*fd, 128) != 0)
    status = TLY_FAIL_ERRNO(error, errno == EADDRINUSE ? TLY_E_IN_USE : TLY_E_CONNECTION, "listen on %s", host_port);
  if (status == TLY_OK && bound != NULL)
    status = print_bound(*fd, bound, error);
  if (status != TLY_OK)
    close(*fd);
  return status;
}

enum tly_status tly_socket_connect_tcp(const char *host_port, int *fd, struct tly_error *error) {
  struct sockaddr_storage address = {0};
  socklen_t size = 0;
  int yes = 1;
  TLY_TRY(resolve(host_port, &address, &size, error));
  *fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (*fd < 0)
    return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "make a socket");
  if (connect(*fd, (struct sockaddr *)&address, size) != 0) {
    enum tly_status status = TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "no tally answers at %s", host_port);
    close(*fd);
    return status;
  }
  setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return TLY_OK;
}

/* ---- hand-off ---------------------------------------------------------------------------------------------------- */

enum { HANDOFF_TIMEOUT_MS = 5000, HANDOFF_REST_MAX = TLY_LINE_BYTES_MAX + TLY_BULK_BYTES_MAX };

static enum tly_status wait_for(int fd, short events, int64_t deadline_us, struct tly_error *error) {
  for (;;) {
    int64_t left_us = deadline_us - tly_clock_monotonic_us(&tly_clock_real);
    struct pollfd waiter = {.fd = fd, .events = events};
    int ready = poll(&waiter, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0);
    if (ready > 0)
      return TLY_OK;
    if (ready == 0)
      return TLY_FAIL(error, TLY_E_CONNECTION, "the hand-off channel is stuck");
    if (errno != EINTR)
      return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "wait for the hand-off channel");
  }
}

/* One sendmsg or recvmsg, with a descriptor when *passed_fd >= 0 (send) or when one comes (receive). */
static ssize_t send_some(int fd, const uint8_t *bytes, size_t size, int passed_fd) {
  struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed_fd >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed_fd, sizeof passed_fd);
  }
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t receive_some(int fd, uint8_t *bytes, size_t size, int *passed_fd) {
  struct iovec part = {.iov_base = bytes, .iov_len = size};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got <= 0)
    return got;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header))
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
      memcpy(passed_fd, CMSG_DATA(header), sizeof *passed_fd);
  return got;
}

enum tly_status tly_handoff_send(int channel_fd, int client_fd, const void *rest, size_t rest_size,
                                 struct tly_error *error) {
  int64_t deadline_us = tly_clock_monotonic_us(&tly_clock_real) + HANDOFF_TIMEOUT_MS * INT64_C(1000);
  struct tly_buffer message = {0};
  enum tly_status status = TLY_OK;
  size_t sent = 0;
  TLY_ASSERT(rest_size <= HANDOFF_REST_MAX);
  tly_buffer_append_u32(&message, (uint32_t)rest_size);
  tly_buffer_append(&message, rest, rest_size);
  while (status == TLY_OK && sent < message.size) {
    ssize_t count = send_some(channel_fd, message.data + sent, message.size - sent, sent == 0 ? client_fd : -1);
    if (count > 0)
      sent += (size_t)count;
    else if (errno == EAGAIN)
      status = wait_for(channel_fd, POLLOUT, deadline_us, error);
    else if (errno != EINTR)
      status = TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "hand a connection on");
  }
  tly_buffer_free(&message);
  return status;
}

static enum tly_status receive_all(int fd, uint8_t *bytes, size_t size, int64_t deadline_us, int *passed_fd,
                                   struct tly_error *error) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = receive_some(fd, bytes + done, size - done, passed_fd);
    if (got > 0)
      done += (size_t)got;
    else if (got == 0)
      return TLY_FAIL(error, TLY_E_CONNECTION, "the hand-off channel was closed");
    else if (errno == EAGAIN)
      TLY_TRY(wait_for(fd, POLLIN, deadline_us, error));
    else if (errno != EINTR)
      return TLY_FAIL_ERRNO(error, TLY_E_CONNECTION, "take a connection over");
  }
  return TLY_OK;
}

enum tly_status tly_handoff_receive(int channel_fd, int *client_fd, struct tly_buffer *rest, struct tly_error *error) {
  int64_t deadline_us = tly_clock_monotonic_us(&tly_clock_real) + HANDOFF_TIMEOUT_MS * INT64_C(1000);
  uint8_t header[4];
  *client_fd = -1;
  tly_buffer_clear(rest);
  enum tly_status status = receive_all(channel_fd, header, sizeof header, deadline_us, client_fd, error);
  if (status == TLY_OK) {
    struct tly_cursor cursor = tly_cursor_of(header, sizeof header);
    size_t size = tly_cursor_u32(&cursor);
    if (size > HANDOFF_REST_MAX || *client_fd < 0)
      status = TLY_FAIL(error, TLY_E_PROTOCOL, "a hand-off message is malformed");
    else
      status = receive_all(channel_fd, tly_buffer_reserve(rest, size), size, deadline_us, client_fd, error);
    if (status == TLY_OK)
      rest->size = size;
  }
  if (status != TLY_OK && *client_fd >= 0) {
    close(*client_fd);
    *client_fd = -1;
  }
  return status;
}
