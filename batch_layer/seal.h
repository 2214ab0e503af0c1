/* batch_layer/seal.h -- rewrite a file that gets no more events into large blocks, once, and prove that nothing
 * changed.
 *
 * Path of an event: active file -> [seal] -> sealed file -> recompute, for years.
 * Thread: any one thread; reads the old file, writes the new one, touches no index. */
#ifndef TLY_BATCH_SEAL_H
#define TLY_BATCH_SEAL_H

#include <stdatomic.h>

#include "common/base/error.h"
#include "common/sql/typed_tree.h"

struct tly_seal_job {
  const char *directory;
  const struct tly_stream *stream;
  int64_t number, sealed_number;
  atomic_bool *stop; /* may be NULL; set: end soon with TLY_E_CANCELLED */
};

/* On success <sealed_number>.db is in place, verified, synced and read-only, and the caller switches the index to it;
 * or *has_events is false and there is no new file. On failure nothing but a *.tmp is left. */
TLY_CHECK enum tly_status tly_seal_run(const struct tly_seal_job *job, bool *has_events, struct tly_error *error);

#endif
