/* "wait": true. A query is held back until everything that was acknowledged when it came has been folded: the archive's
 * heads are read when it comes, and compared with the speed layer's positions at each ring of its doorbell. */
#include <string.h>

#include "common/base/assert.h"
#include "common/base/clock.h"
#include "common/base/doorbell.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "serving_layer/server.h"
#include "serving_layer/work.h"

struct tly_wait {
  struct tly_waiting *waiting;
  struct tly_session *session; /* NULL: gone */
  struct tly_wait *next;
  struct tly_request request;
  struct tly_arena arena;
  bool heads_are_known;
  struct tly_position *heads;
  uint32_t head_count;
  int64_t deadline_us;
};

struct tly_waiting {
  struct tly_serving *server;
  tly_doorbell *bell;
  uv_poll_t poll;
  uv_timer_t timer; /* a lost ring costs at most its period */
  struct tly_wait *first;
};

static void free_wait(struct tly_wait *wait) {
  tly_request_free(&wait->request);
  tly_arena_free(&wait->arena);
  tly_free(wait);
}

/* Streams without a view are folded by nobody. */
static bool has_view(const struct tly_project *project, const char *stream) {
  for (uint32_t i = 0; i < project->view_count; i++)
    if (strcmp(project->views[i].stream->name, stream) == 0)
      return true;
  return false;
}

static bool is_reached(const struct tly_position *head, const struct tly_position *positions, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (positions[i].partition == head->partition && strcmp(positions[i].stream, head->stream) == 0)
      return positions[i].next_offset >= head->next_offset;
  return head->next_offset == 0;
}

static void read_heads(struct tly_wait *wait, struct tly_serving *server) {
  tly_archive_reader *archive;
  wait->heads_are_known =
      tly_store_source_archive(server->source, &archive, NULL) == TLY_OK &&
      tly_archive_reader_heads(archive, &wait->arena, &wait->heads, &wait->head_count, NULL) == TLY_OK;
}

static bool is_over(struct tly_wait *wait, struct tly_serving *server, const struct tly_position *positions,
                    uint32_t count) {
  if (!wait->heads_are_known) /* the archive was not there yet */
    read_heads(wait, server);
  if (!wait->heads_are_known)
    return false;
  for (uint32_t i = 0; i < wait->head_count; i++)
    if (has_view(server->project, wait->heads[i].stream) && !is_reached(&wait->heads[i], positions, count))
      return false;
  return true;
}

static void give_up(struct tly_wait *wait, struct tly_session *session) {
  struct tly_error error = TLY_ERROR_NONE;
  struct tly_buffer reply = {0};
  (void)TLY_FAIL(&error, TLY_E_CANCELLED,
                 "canceling statement due to statement timeout: the live views have not caught "
                 "up with the archive");
  tly_reply_error(&reply, wait->request.id, tly_rpc_code(error.status), &error);
  tly_session_reply(session, &reply, true);
  tly_buffer_free(&reply);
}

/* Let go of the waits that are over. Works on a list taken off, since letting go makes sessions take new requests. */
static void look(struct tly_waiting *waiting) {
  struct tly_serving *server = waiting->server;
  struct tly_wait *list = waiting->first;
  struct tly_position *positions = NULL;
  uint32_t count = 0;
  struct tly_arena arena;
  tly_points_end_look(server->points); /* there may be something new */
  if (list == NULL)
    return;
  tly_arena_init(&arena);
  bool is_known = tly_points_positions(server->points, &arena, &positions, &count) == TLY_OK;
  int64_t now_us = tly_clock_monotonic_us(&tly_clock_real);
  waiting->first = NULL;
  while (list != NULL) {
    struct tly_wait *wait = list;
    struct tly_session *session = wait->session;
    list = wait->next;
    if (session != NULL && is_known && is_over(wait, server, positions, count)) {
      tly_session_submit(session, &wait->request, (wait->deadline_us - now_us) / 1000);
    } else if (session != NULL && now_us >= wait->deadline_us) {
      give_up(wait, session);
    } else if (session != NULL) {
      wait->next = waiting->first;
      waiting->first = wait;
      continue;
    }
    free_wait(wait);
  }
  tly_arena_free(&arena);
}

static void on_ring(uv_poll_t *poll, int status, int events) {
  struct tly_waiting *waiting = poll->data;
  (void)status;
  (void)events;
  tly_doorbell_clear(waiting->bell);
  look(waiting);
}

static void on_timer(uv_timer_t *timer) {
  struct tly_waiting *waiting = timer->data;
  look(waiting);
  if (waiting->first == NULL)
    uv_timer_stop(timer);
}

struct tly_wait *tly_wait_new(struct tly_serving *server, struct tly_session *session, struct tly_request *request) {
  struct tly_wait *wait = tly_calloc(1, sizeof *wait);
  wait->waiting = server->waiting;
  wait->session = session;
  wait->request = *request;
  *request = (struct tly_request){0};
  tly_arena_init(&wait->arena);
  wait->deadline_us = tly_clock_monotonic_us(&tly_clock_real) + (int64_t)server->settings->query_timeout_ms * 1000;
  read_heads(wait, server);
  wait->next = server->waiting->first;
  server->waiting->first = wait;
  uv_timer_start(&server->waiting->timer, on_timer, 1, TLY_DOORBELL_POLL_MS); /* look at once, then at each ring */
  return wait;
}

void tly_wait_cancel(struct tly_wait *wait) {
  wait->session = NULL;
}

enum tly_status tly_waiting_start(struct tly_serving *server, struct tly_error *error) {
  struct tly_waiting *waiting = tly_calloc(1, sizeof *waiting);
  enum tly_status status = tly_doorbell_open(server->settings->directory, "serve", &waiting->bell, error);
  if (status != TLY_OK) {
    tly_free(waiting);
    return status;
  }
  waiting->server = server;
  waiting->poll.data = waiting;
  waiting->timer.data = waiting;
  TLY_ASSERT(uv_poll_init(&server->loop, &waiting->poll, tly_doorbell_fd(waiting->bell)) == 0);
  TLY_ASSERT(uv_poll_start(&waiting->poll, UV_READABLE, on_ring) == 0);
  TLY_ASSERT(uv_timer_init(&server->loop, &waiting->timer) == 0);
  server->waiting = waiting;
  return TLY_OK;
}

static void free_waiting(uv_handle_t *handle) {
  tly_free(handle->data);
}

void tly_waiting_stop(struct tly_serving *server) {
  struct tly_waiting *waiting = server->waiting;
  while (waiting->first != NULL) {
    struct tly_wait *wait = waiting->first;
    TLY_ASSERT(wait->session == NULL);
    waiting->first = wait->next;
    free_wait(wait);
  }
  uv_poll_stop(&waiting->poll);
  tly_doorbell_close(waiting->bell);
  uv_close((uv_handle_t *)&waiting->poll, NULL);
  uv_close((uv_handle_t *)&waiting->timer, free_waiting);
}
