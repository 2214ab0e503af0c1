/* scripts/bench.d/floor.c -- floor SOCKET REPLY: answers every line with REPLY. What is left of a server when it does
 * nothing: libuv, a unix socket, one write a read. The row beside the point queries in docs/BENCHMARKS.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { INPUT_BYTES = 64 << 10 };

struct client {
  uv_pipe_t pipe;
  char input[INPUT_BYTES];
};

struct answer {
  uv_write_t request;
  char bytes[];
};

static const char *reply;
static size_t reply_size;

static void on_closed(uv_handle_t *handle) {
  free(handle->data);
}

static void on_written(uv_write_t *request, int status) {
  (void)status;
  free(request->data);
}

static void give_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out) {
  struct client *client = handle->data;
  (void)wanted;
  *out = uv_buf_init(client->input, sizeof client->input);
}

static void answer_lines(struct client *client, size_t lines) {
  struct answer *answer = malloc(sizeof *answer + lines * reply_size);
  if (answer == NULL)
    abort();
  for (size_t i = 0; i < lines; i++)
    memcpy(answer->bytes + i * reply_size, reply, reply_size);
  uv_buf_t bytes = uv_buf_init(answer->bytes, (unsigned)(lines * reply_size));
  int sent = uv_try_write((uv_stream_t *)&client->pipe, &bytes, 1);
  sent = sent < 0 ? 0 : sent;
  if ((size_t)sent == bytes.len) {
    free(answer);
    return;
  }
  bytes.base += sent;
  bytes.len -= (size_t)sent;
  answer->request.data = answer;
  if (uv_write(&answer->request, (uv_stream_t *)&client->pipe, &bytes, 1, on_written) != 0)
    free(answer);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
  struct client *client = stream->data;
  size_t lines = 0;
  if (size < 0) {
    uv_close((uv_handle_t *)stream, on_closed);
    return;
  }
  const char *at = buffer->base, *end = at + size;
  while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    lines++;
    at++;
  }
  if (lines > 0)
    answer_lines(client, lines);
}

static void on_connection(uv_stream_t *listener, int status) {
  struct client *client = calloc(1, sizeof *client);
  if (status != 0 || client == NULL)
    abort();
  uv_pipe_init(listener->loop, &client->pipe, 0);
  client->pipe.data = client;
  if (uv_accept(listener, (uv_stream_t *)&client->pipe) == 0)
    uv_read_start((uv_stream_t *)&client->pipe, give_space, on_read);
}

int main(int argc, char **argv) {
  uv_pipe_t listener;
  char line[4096];
  if (argc != 3) {
    fprintf(stderr, "usage: floor SOCKET REPLY\n");
    return 2;
  }
  reply_size = (size_t)snprintf(line, sizeof line, "%s\n", argv[2]);
  reply = line;
  uv_pipe_init(uv_default_loop(), &listener, 0);
  if (uv_pipe_bind(&listener, argv[1]) != 0 || uv_listen((uv_stream_t *)&listener, 128, on_connection) != 0) {
    fprintf(stderr, "floor: cannot listen on %s\n", argv[1]);
    return 1;
  }
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
