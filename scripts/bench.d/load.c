/* scripts/bench.d/load.c -- the client that scripts/bench puts load with: one thread, epoll, every reply checked.
 *
 *   load point --protocol tally|resp|line --socket PATH --connections N --window W --seconds S --answers FILE [--sql
 * SQL]
 *
 * Closed loop: N connections, each with W requests in flight, for S seconds. FILE has a line "key TAB answer" for each
 * key; keys are drawn at random. What is sent and what must come back:
 *   tally  {"id":K,"method":"query","params":{"sql":SQL,"args":["key"]}}   the reply of id K, with "rows":[answer]
 *   resp   GET key                                                         the bulk string `answer`
 *   line   the tally request                                               any line that ends with `answer` (the floor)
 * The three differ in a dozen lines; loop, buffers, clock and check are the same, so a ratio compares the servers.
 *
 *   load open --socket PATH --events FILE --skip BYTES --count N --rate R --tick-us T --poll-us P --stream NAME --sql
 * SQL
 *
 * Open loop: event i of FILE is due i / R seconds after the start, whatever the server does. Each T microseconds what
 * is due goes out as one bulk ingest request on one connection; on another one SQL, whose answer is the number of
 * events counted, is asked again P microseconds after its last answer. The freshness of an event is the time from when
 * it was due to the first answer that counts it; so a stall of server or client counts against all the events that it
 * delays.
 *
 *   load bulk --socket PATH --connections N --events FILE --count C --bulk-bytes B --stream NAME
 *
 * N clients send C events of FILE in bulks of B bytes, each client waiting for an acknowledgement before its next bulk.
 *
 * The last line on stdout is a JSON object. Exit code 1, and words on stderr, when a reply is wrong. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_BYTES = 256 << 10, CONNECTIONS_MAX = 1000, WINDOW_MAX = 1024, BULK_BYTES_MAX = 8 << 20 };

enum protocol { TALLY, RESP, LINE };

static struct {
  enum protocol protocol;
  const char *socket, *answers, *sql, *events, *stream;
  int connections, window;
  double seconds;
  int64_t skip, count, rate, tick_us, poll_us, bulk_bytes;
} options = {.connections = 50,
             .window = 1,
             .seconds = 3,
             .rate = 100000,
             .tick_us = 1000,
             .poll_us = 250,
             .bulk_bytes = 65536,
             .stream = "payments"};

static _Noreturn void die(const char *what) {
  fprintf(stderr, "load: %s%s%s\n", what, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void *must(void *memory) {
  if (memory == NULL)
    die("out of memory");
  return memory;
}

/* ---- what both modes share: a connection with buffers ------------------------------------------------------------ */

struct buffer {
  char *data;
  size_t size, room, begin; /* begin: sent already */
};

static void append(struct buffer *buffer, const char *data, size_t size) {
  if (buffer->begin == buffer->size)
    buffer->begin = buffer->size = 0;
  if (buffer->size + size > buffer->room) {
    buffer->room = 2 * (buffer->size + size);
    buffer->data = must(realloc(buffer->data, buffer->room));
  }
  memcpy(buffer->data + buffer->size, data, size);
  buffer->size += size;
}

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path)
    die("the socket's path is too long");
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    die(path);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    die("fcntl");
  return fd;
}

/* Send what the socket takes; true when all is sent. */
static bool flush_output(int fd, struct buffer *output) {
  while (output->begin < output->size) {
    ssize_t sent = send(fd, output->data + output->begin, output->size - output->begin, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
      errno = 0;
      return false;
    }
    if (sent < 0)
      die("send");
    output->begin += (size_t)sent;
  }
  return true;
}

/* Read once behind what `input` holds; the number of bytes, 0 when there are none now. */
static size_t read_input(int fd, char *input, size_t held) {
  if (held == INPUT_BYTES)
    die("a reply is larger than the buffer");
  ssize_t got = recv(fd, input + held, INPUT_BYTES - held, 0);
  if (got == 0)
    die("the server closed the connection");
  if (got < 0 && errno != EAGAIN && errno != EINTR)
    die("recv");
  errno = 0;
  return got < 0 ? 0 : (size_t)got;
}

/* The number of events in `line`, an acknowledgement without rejections. */
static int64_t accepted_in(const char *line, size_t size) {
  const char *accepted = memmem(line, size, "\"accepted\":", 11);
  if (accepted == NULL || memmem(line, size, "\"rejected\":0", 12) == NULL) {
    fprintf(stderr, "load: %.*s\n", (int)size, line);
    exit(1);
  }
  return strtoll(accepted + 11, NULL, 10);
}

static const char *map_file(const char *path, size_t *size) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0 || status.st_size == 0)
    die(path);
  const char *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    die(path);
  close(fd);
  *size = (size_t)status.st_size;
  return data;
}

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(const uint32_t *sorted, size_t count, double share) {
  size_t index = (size_t)((double)count * share);
  return count == 0 ? 0 : sorted[index < count ? index : count - 1];
}

/* ---- point: a closed loop ---------------------------------------------------------------------------------------- */

struct key {
  char *request;
  const char *answer;
  uint32_t request_size, answer_size;
};

struct connection {
  int fd;
  char *input;
  size_t held;
  struct buffer output;
  bool waits_for_room;
  uint32_t first, in_flight; /* ring of what was asked */
  uint32_t keys[WINDOW_MAX];
  int64_t sent_at[WINDOW_MAX];
};

static struct key *keys;
static uint32_t key_count;
static uint64_t random_state = 0x9e3779b97f4a7c15u;
static uint32_t *latencies; /* microseconds */
static size_t latency_count, latency_room;
static uint64_t reply_bytes;

static uint32_t random_key(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)((random_state >> 32) * key_count >> 32);
}

static void make_request(struct key *key, uint32_t number, const char *name, size_t size) {
  int made;
  if (options.protocol == RESP)
    made = asprintf(&key->request, "*2\r\n$3\r\nGET\r\n$%zu\r\n%.*s\r\n", size, (int)size, name);
  else
    made = asprintf(&key->request,
                    "{\"id\":%" PRIu32 ",\"method\":\"query\",\"params\":{\"sql\":\"%s\",\"args\":[\"%.*s\"]}}\n",
                    number, options.sql, (int)size, name);
  if (made < 0)
    die("out of memory");
  key->request_size = (uint32_t)made;
}

static void load_keys(void) {
  size_t size, room = 0;
  const char *data = map_file(options.answers, &size), *end = data + size;
  while (data < end) {
    const char *line_end = must(memchr(data, '\n', (size_t)(end - data)));
    const char *tab = must(memchr(data, '\t', (size_t)(line_end - data)));
    if (key_count == room) {
      room = room == 0 ? 1024 : 2 * room;
      keys = must(realloc(keys, room * sizeof *keys));
    }
    struct key *key = &keys[key_count];
    *key = (struct key){.answer = tab + 1, .answer_size = (uint32_t)(line_end - tab - 1)};
    make_request(key, key_count++, data, (size_t)(tab - data));
    data = line_end + 1;
  }
}

static void ask(struct connection *connection, int64_t now) {
  uint32_t number = random_key(), slot = (connection->first + connection->in_flight++) % WINDOW_MAX;
  connection->keys[slot] = number;
  connection->sent_at[slot] = now;
  append(&connection->output, keys[number].request, keys[number].request_size);
}

static _Noreturn void wrong(uint32_t number, const char *reply, size_t size) {
  fprintf(stderr, "load: a wrong reply\n  to       %.*s\n  wanted   %.*s\n  came     %.*s\n",
          (int)keys[number].request_size, keys[number].request, (int)keys[number].answer_size, keys[number].answer,
          (int)(size < 1000 ? size : 1000), reply);
  exit(1);
}

/* {"id":N, then anything, then "rows":[answer]: where it stood the last time is tried first. */
static bool is_right_line(uint32_t number, const char *line, size_t size) {
  static size_t usual;
  char head[32];
  const struct key *key = &keys[number];
  size_t head_size = (size_t)snprintf(head, sizeof head, "{\"id\":%" PRIu32 ",", number);
  if (size < head_size || memcmp(line, head, head_size) != 0)
    return false;
  line += head_size;
  size -= head_size;
  if (size < usual + key->answer_size + 1 || memcmp(line + usual, key->answer, key->answer_size) != 0) {
    const char *rows = memmem(line, size, "\"rows\":[", 8);
    if (rows == NULL)
      return false;
    usual = (size_t)(rows + 8 - line);
  }
  return size > usual + key->answer_size && memcmp(line + usual, key->answer, key->answer_size) == 0 &&
         line[usual + key->answer_size] == ']';
}

/* The size of the first reply in `data`, checked; 0 when it is not whole yet. */
static size_t take_reply(uint32_t number, const char *data, size_t size) {
  const char *end = memchr(data, '\n', size);
  const struct key *key = &keys[number];
  if (end == NULL)
    return 0;
  size_t line_size = (size_t)(end - data);
  if (options.protocol == TALLY && !is_right_line(number, data, line_size))
    wrong(number, data, line_size);
  if (options.protocol == LINE &&
      (line_size < key->answer_size || memcmp(end - key->answer_size, key->answer, key->answer_size) != 0))
    wrong(number, data, line_size);
  if (options.protocol != RESP)
    return line_size + 1;
  if (data[0] != '$' || strtoul(data + 1, NULL, 10) != key->answer_size)
    wrong(number, data, line_size);
  if (size < line_size + 1 + key->answer_size + 2)
    return 0;
  if (memcmp(end + 1, key->answer, key->answer_size) != 0)
    wrong(number, data, size);
  return line_size + 1 + key->answer_size + 2;
}

static void note_latency(int64_t ns) {
  if (latency_count == latency_room) {
    latency_room = latency_room == 0 ? 1 << 20 : 2 * latency_room;
    latencies = must(realloc(latencies, latency_room * sizeof *latencies));
  }
  latencies[latency_count++] = (uint32_t)(ns / 1000);
}

static void take_replies(struct connection *connection, bool ask_again) {
  size_t taken = 0, size;
  connection->held += read_input(connection->fd, connection->input, connection->held);
  int64_t now = now_ns();
  while (connection->in_flight > 0 && (size = take_reply(connection->keys[connection->first], connection->input + taken,
                                                         connection->held - taken)) > 0) {
    note_latency(now - connection->sent_at[connection->first]);
    connection->first = (connection->first + 1) % WINDOW_MAX;
    connection->in_flight--;
    taken += size;
    reply_bytes += size;
    if (ask_again)
      ask(connection, now);
  }
  connection->held -= taken;
  memmove(connection->input, connection->input + taken, connection->held);
}

static void send_requests(int poller, struct connection *connection) {
  bool waits = !flush_output(connection->fd, &connection->output);
  if (waits == connection->waits_for_room)
    return;
  connection->waits_for_room = waits;
  struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = connection};
  if (epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event) != 0)
    die("epoll_ctl");
}

static void open_connections(int poller, struct connection *connections) {
  for (int i = 0; i < options.connections; i++) {
    struct connection *connection = &connections[i];
    connection->fd = connect_to(options.socket);
    connection->input = must(malloc(INPUT_BYTES));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) != 0)
      die("epoll_ctl");
  }
}

static void report_point(int64_t elapsed_ns) {
  qsort(latencies, latency_count, sizeof *latencies, compare_u32);
  printf("{\"requests\":%zu,\"seconds\":%.6f,\"rate\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,"
         "\"reply_bytes\":%.0f}\n",
         latency_count, (double)elapsed_ns / 1e9, (double)latency_count / ((double)elapsed_ns / 1e9),
         percentile_us(latencies, latency_count, 0.5), percentile_us(latencies, latency_count, 0.99),
         percentile_us(latencies, latency_count, 1), (double)reply_bytes / (double)latency_count);
}

static int run_point(void) {
  struct epoll_event events[64];
  load_keys();
  if (key_count == 0 || options.connections < 1 || options.connections > CONNECTIONS_MAX || options.window < 1 ||
      options.window > WINDOW_MAX)
    die("nothing to ask, or bad --connections or --window");
  struct connection *connections = must(calloc((size_t)options.connections, sizeof *connections));
  int poller = epoll_create1(EPOLL_CLOEXEC), open_count = options.connections;
  open_connections(poller, connections);
  int64_t start = now_ns(), end = start + (int64_t)(options.seconds * 1e9);
  for (int i = 0; i < options.connections; i++) {
    for (int j = 0; j < options.window; j++)
      ask(&connections[i], start);
    send_requests(poller, &connections[i]);
  }
  while (open_count > 0) {
    int count = epoll_wait(poller, events, 64, 10000);
    bool ask_again = now_ns() < end;
    if (count == 0)
      die("no reply for ten seconds");
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        take_replies(connection, ask_again);
      send_requests(poller, connection);
      if (connection->in_flight == 0) {
        close(connection->fd);
        open_count--;
      }
    }
  }
  report_point(now_ns() - start);
  return 0;
}

/* ---- open: an open loop ------------------------------------------------------------------------------------------ */

static struct {
  int ingest_fd, query_fd;
  struct buffer ingest_output, query_output;
  char ingest_input[INPUT_BYTES], query_input[INPUT_BYTES];
  size_t ingest_held, query_held;
  const char *next, *end; /* of the events */
  int64_t start, sent, acknowledged, counted, base, queries;
  int64_t last_bulk_at, next_query_at, asked_at, late_ns_max;
  bool is_asking;
} flow;

static void send_due(int64_t now) {
  char head[256];
  int64_t due = (now - flow.start) / 1000 * options.rate / 1000000;
  due = due < options.count ? due : options.count;
  if (due <= flow.sent || (now - flow.last_bulk_at < options.tick_us * 1000 && due < options.count))
    return;
  const char *begin = flow.next;
  int64_t first = flow.sent;
  while (flow.sent < due && flow.next < flow.end && flow.next - begin < BULK_BYTES_MAX) {
    flow.next = (const char *)must(memchr(flow.next, '\n', (size_t)(flow.end - flow.next))) + 1;
    flow.sent++;
  }
  if (flow.sent == first)
    die("the file has fewer events than --count");
  int64_t late = now - (flow.start + first * 1000000 / options.rate * 1000);
  flow.late_ns_max = late > flow.late_ns_max ? late : flow.late_ns_max;
  size_t bytes = (size_t)(flow.next - begin);
  int size = snprintf(head, sizeof head,
                      "{\"id\":%" PRId64 ",\"method\":\"ingest\",\"params\":{\"stream\":\"%s\",\"format\":\"json\","
                      "\"bytes\":%zu}}\n",
                      flow.sent, options.stream, bytes);
  append(&flow.ingest_output, head, (size_t)size);
  append(&flow.ingest_output, begin, bytes);
  flow.last_bulk_at = now;
}

static void send_query(int64_t now) {
  char line[1024];
  if (flow.is_asking || now < flow.next_query_at)
    return;
  int size = snprintf(line, sizeof line, "{\"id\":1,\"method\":\"query\",\"params\":{\"sql\":\"%s\"}}\n", options.sql);
  append(&flow.query_output, line, (size_t)size);
  flow.is_asking = true;
  flow.asked_at = now;
}

static void take_acknowledgements(void) {
  size_t taken = 0;
  const char *end;
  flow.ingest_held += read_input(flow.ingest_fd, flow.ingest_input, flow.ingest_held);
  while ((end = memchr(flow.ingest_input + taken, '\n', flow.ingest_held - taken)) != NULL) {
    const char *line = flow.ingest_input + taken;
    size_t size = (size_t)(end - line);
    flow.acknowledged += accepted_in(line, size);
    taken += size + 1;
  }
  flow.ingest_held -= taken;
  memmove(flow.ingest_input, flow.ingest_input + taken, flow.ingest_held);
}

/* An answer counts the events below it: those that no earlier answer counted are fresh as of now. */
static void take_answer(void) {
  flow.query_held += read_input(flow.query_fd, flow.query_input, flow.query_held);
  const char *end = memchr(flow.query_input, '\n', flow.query_held);
  if (end == NULL)
    return;
  int64_t now = now_ns();
  const char *rows = memmem(flow.query_input, (size_t)(end - flow.query_input), "\"rows\":[", 8);
  if (rows == NULL) {
    fprintf(stderr, "load: %.*s\n", (int)(end - flow.query_input), flow.query_input);
    exit(1);
  }
  int64_t count = rows[8] == '[' ? strtoll(rows + 9, NULL, 10) : 0;
  if (flow.base < 0)
    flow.base = count;
  for (; flow.counted < count - flow.base; flow.counted++)
    note_latency(now - (flow.start + flow.counted * 1000000 / options.rate * 1000));
  if (flow.counted > flow.sent)
    die("an answer counts more events than were sent");
  flow.query_held = 0;
  flow.is_asking = false;
  flow.queries++;
  flow.next_query_at = now + options.poll_us * 1000;
}

static void turn(int poller) {
  struct epoll_event events[2];
  int64_t now = now_ns();
  if (flow.base >= 0)
    send_due(now);
  send_query(now);
  flush_output(flow.ingest_fd, &flow.ingest_output);
  flush_output(flow.query_fd, &flow.query_output);
  struct timespec pause = {.tv_nsec = 100000};
  int count = epoll_pwait2(poller, events, 2, &pause, NULL);
  for (int i = 0; i < count; i++)
    if (events[i].data.fd == flow.ingest_fd)
      take_acknowledgements();
    else
      take_answer();
}

static void watch(int poller, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
    die("epoll_ctl");
}

static int run_open(void) {
  size_t size;
  flow.next = map_file(options.events, &size);
  flow.end = flow.next + size;
  flow.next += options.skip;
  flow.base = -1;
  flow.ingest_fd = connect_to(options.socket);
  flow.query_fd = connect_to(options.socket);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  watch(poller, flow.ingest_fd);
  watch(poller, flow.query_fd);
  while (flow.base < 0)
    turn(poller);
  flow.start = now_ns();
  int64_t deadline = flow.start + options.count * 1000000 / options.rate * 1000 + INT64_C(60000000000);
  while (flow.counted < options.count || flow.acknowledged < options.count) {
    turn(poller);
    if (now_ns() > deadline)
      die("events are missing a minute after the last one was due");
  }
  double elapsed = (double)(now_ns() - flow.start) / 1e9;
  qsort(latencies, latency_count, sizeof *latencies, compare_u32);
  printf("{\"events\":%zu,\"seconds\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,"
         "\"queries\":%" PRId64 ",\"sender_late_ms\":%.3f}\n",
         latency_count, elapsed, percentile_us(latencies, latency_count, 0.5) / 1e3,
         percentile_us(latencies, latency_count, 0.99) / 1e3, percentile_us(latencies, latency_count, 0.999) / 1e3,
         percentile_us(latencies, latency_count, 1) / 1e3, flow.queries, (double)flow.late_ns_max / 1e6);
  return 0;
}

/* ---- bulk: clients that ingest ----------------------------------------------------------------------------------- */

static struct {
  const char *next, *end;
  int64_t sent, acknowledged;
} share; /* what is left of the file, for all clients */

static void send_bulk(struct connection *connection, int64_t now) {
  char head[256];
  const char *begin = share.next;
  while (share.sent < options.count && share.next < share.end && share.next - begin < options.bulk_bytes) {
    share.next = (const char *)must(memchr(share.next, '\n', (size_t)(share.end - share.next))) + 1;
    share.sent++;
  }
  size_t bytes = (size_t)(share.next - begin);
  if (bytes == 0)
    return;
  int size =
      snprintf(head, sizeof head,
               "{\"id\":1,\"method\":\"ingest\",\"params\":{\"stream\":\"%s\",\"format\":\"json\",\"bytes\":%zu}}\n",
               options.stream, bytes);
  append(&connection->output, head, (size_t)size);
  append(&connection->output, begin, bytes);
  connection->sent_at[0] = now;
  connection->in_flight = 1;
}

static void take_bulk_reply(struct connection *connection) {
  connection->held += read_input(connection->fd, connection->input, connection->held);
  const char *end = memchr(connection->input, '\n', connection->held);
  int64_t now = now_ns();
  if (end == NULL)
    return;
  share.acknowledged += accepted_in(connection->input, (size_t)(end - connection->input));
  note_latency(now - connection->sent_at[0]);
  connection->held = 0;
  connection->in_flight = 0;
  send_bulk(connection, now);
}

static int run_bulk(void) {
  size_t size;
  struct epoll_event events[64];
  struct connection *connections = must(calloc((size_t)options.connections, sizeof *connections));
  int poller = epoll_create1(EPOLL_CLOEXEC);
  share.next = map_file(options.events, &size);
  share.end = share.next + size;
  open_connections(poller, connections);
  int64_t start = now_ns();
  for (int i = 0; i < options.connections; i++) {
    send_bulk(&connections[i], start);
    send_requests(poller, &connections[i]);
  }
  while (share.acknowledged < options.count) {
    int count = epoll_wait(poller, events, 64, 60000);
    if (count == 0)
      die("no acknowledgement for a minute");
    for (int i = 0; i < count; i++) {
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        take_bulk_reply(events[i].data.ptr);
      send_requests(poller, events[i].data.ptr);
    }
  }
  double seconds = (double)(now_ns() - start) / 1e9;
  qsort(latencies, latency_count, sizeof *latencies, compare_u32);
  printf("{\"events\":%" PRId64 ",\"seconds\":%.6f,\"rate\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f}\n",
         share.acknowledged, seconds, (double)share.acknowledged / seconds,
         percentile_us(latencies, latency_count, 0.5), percentile_us(latencies, latency_count, 0.99));
  return 0;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static enum protocol protocol_of(const char *name) {
  if (strcmp(name, "tally") == 0)
    return TALLY;
  if (strcmp(name, "resp") == 0)
    return RESP;
  if (strcmp(name, "line") != 0)
    die("--protocol is tally, resp or line");
  return LINE;
}

static void read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"protocol", 1, NULL, 'p'}, {"socket", 1, NULL, 's'},  {"connections", 1, NULL, 'c'}, {"window", 1, NULL, 'w'},
      {"seconds", 1, NULL, 't'},  {"answers", 1, NULL, 'a'}, {"sql", 1, NULL, 'q'},         {"events", 1, NULL, 'e'},
      {"skip", 1, NULL, 'k'},     {"count", 1, NULL, 'n'},   {"rate", 1, NULL, 'r'},        {"tick-us", 1, NULL, 'i'},
      {"poll-us", 1, NULL, 'o'},  {"stream", 1, NULL, 'm'},  {"bulk-bytes", 1, NULL, 'b'},  {NULL, 0, NULL, 0}};
  int option;
  while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
    switch (option) {
    case 'p': options.protocol = protocol_of(optarg); break;
    case 's': options.socket = optarg; break;
    case 'c': options.connections = atoi(optarg); break;
    case 'w': options.window = atoi(optarg); break;
    case 't': options.seconds = atof(optarg); break;
    case 'a': options.answers = optarg; break;
    case 'q': options.sql = optarg; break;
    case 'e': options.events = optarg; break;
    case 'k': options.skip = atoll(optarg); break;
    case 'n': options.count = atoll(optarg); break;
    case 'r': options.rate = atoll(optarg); break;
    case 'i': options.tick_us = atoll(optarg); break;
    case 'o': options.poll_us = atoll(optarg); break;
    case 'b': options.bulk_bytes = atoll(optarg); break;
    case 'm': options.stream = optarg; break;
    default: exit(2);
    }
}

int main(int argc, char **argv) {
  if (argc < 2)
    die("usage: load point|open|bulk --option value ...");
  read_options(argc - 1, argv + 1);
  if (options.socket == NULL)
    die("--socket is missing");
  if (strcmp(argv[1], "point") == 0 && options.answers != NULL && (options.sql != NULL || options.protocol == RESP))
    return run_point();
  if (strcmp(argv[1], "open") == 0 && options.events != NULL && options.sql != NULL && options.count > 0 &&
      options.rate > 0)
    return run_open();
  if (strcmp(argv[1], "bulk") == 0 && options.events != NULL && options.count > 0 && options.connections > 0 &&
      options.connections <= CONNECTIONS_MAX && options.bulk_bytes > 0 && options.bulk_bytes <= BULK_BYTES_MAX)
    return run_bulk();
  die("usage: load point|open|bulk --option value ...");
}
