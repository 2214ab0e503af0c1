/* common/store/fact_json.h -- what the stores know, as JSON values: the same words in replies, reports and manifests.
 *
 * Path of an answer: batch_reader, break_reader -> [fact_json] -> replies of the serving layer, pages of `tally
 * report`, replies and manifests of the batch layer. The caller owns what it gets. Thread: pure. */
#ifndef TLY_STORE_FACT_JSON_H
#define TLY_STORE_FACT_JSON_H

#include <jansson.h>

#include "common/archive/archive_reader.h"

/* RFC 3339 of microseconds since 1970; 0: null. */
json_t *tly_time_json(int64_t us);
/* -1, not known: null. */
json_t *tly_count_json(int64_t count);
/* NULL, and what is no valid UTF-8: null. */
json_t *tly_text_json(const char *text);
/* 32 hexadecimal digits. */
json_t *tly_hash_json(const struct tly_hash *hash);
/* A text of JSON, as a store has it; NULL: null. */
json_t *tly_stored_json(const char *text);
/* {"payments":[120000,...]}: next offsets by partition, as in as_of; partitions that are not listed are 0. */
json_t *tly_positions_json(const struct tly_position *positions, uint32_t count);

#endif
