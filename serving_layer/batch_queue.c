#include "serving_layer/batch_queue.h"

#include <stdio.h>

#include "common/base/limits.h"
#include "common/wire/client.h"

static enum tly_status ask(const char *directory, json_t **out) {
  char path[4096];
  tly_client *client;
  if (snprintf(path, sizeof path, "%s/batch.sock", directory) >= (int)sizeof path)
    return TLY_E_CONNECTION;
  TLY_TRY(tly_client_connect(path, false, &client, NULL));
  enum tly_status status = tly_client_call(client, "queue", NULL, TLY_QUEUE_WAIT_MS, NULL, NULL, out, NULL);
  tly_client_close(client);
  return status;
}

void tly_batch_queue(const char *directory, json_t *out) {
  json_t *answer = NULL;
  if (ask(directory, &answer) != TLY_OK)
    answer = json_pack("{s:n,s:n}", "under_way", "queue");
  json_object_update(out, answer);
  json_decref(answer);
}
