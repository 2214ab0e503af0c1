#include "common/store/delta_block.h"

#include <string.h>

struct tly_text tly_column_text(sqlite3_stmt *statement, int column) {
  const void *data = sqlite3_column_blob(statement, column);
  return (struct tly_text){.data = data != NULL ? data : "", .size = (uint32_t)sqlite3_column_bytes(statement, column)};
}

struct tly_hash tly_column_hash(sqlite3_stmt *statement, int column) {
  struct tly_hash hash = {{0}};
  struct tly_text text = tly_column_text(statement, column);
  if (text.size == sizeof hash.bytes)
    memcpy(hash.bytes, text.data, sizeof hash.bytes);
  return hash;
}

static enum tly_status damaged(sqlite3_stmt *statement, const char *what, struct tly_error *error) {
  return TLY_FAIL(error, TLY_E_CORRUPT, "block %lld of delta %lld in %s is damaged: %s",
                  (long long)sqlite3_column_int64(statement, 1), (long long)sqlite3_column_int64(statement, 0),
                  sqlite3_db_filename(sqlite3_db_handle(statement), "main"), what);
}

enum tly_status tly_delta_block_read(sqlite3_stmt *statement, struct tly_group_slice *slice, struct tly_error *error) {
  struct tly_text first_key = tly_column_text(statement, 2), last_key = tly_column_text(statement, 3);
  int64_t group_count = sqlite3_column_int64(statement, 4);
  struct tly_text body = tly_column_text(statement, 5);
  struct tly_hash stored = tly_column_hash(statement, 6);
  if (group_count < 1 || group_count > TLY_GROUPS_PER_BLOCK)
    return damaged(statement, "its number of groups cannot be", error);
  struct tly_hash found = tly_group_block_checksum(first_key, last_key, (uint32_t)group_count, body.data, body.size);
  if (memcmp(&stored, &found, sizeof found) != 0)
    return damaged(statement, "its checksum does not fit", error);
  if (tly_group_block_decode(body.data, body.size, (uint32_t)group_count, slice, NULL) != TLY_OK)
    return damaged(statement, "its groups cannot be decoded", error);
  return TLY_OK;
}
