/* What readers and writers of run files agree on: names, chapters, the checksum of a piece. */
#include <stdio.h>
#include <xxhash.h>

#include "common/base/limits.h"
#include "common/store/run_reader.h"

static bool stands_for_itself(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

void tly_run_file_name(const char *view, uint32_t part, uint32_t piece, struct tly_buffer *out) {
  for (const char *c = view; *c != 0; c++)
    if (stands_for_itself(*c))
      tly_buffer_append_byte(out, (uint8_t)*c);
    else
      tly_buffer_print(out, "%%%02X", (unsigned)(uint8_t)*c);
  tly_buffer_print(out, ".%u.%u.db", part, piece);
}

bool tly_run_chapter_begins(struct tly_text key) {
  _Static_assert((TLY_RUN_CHAPTER_GROUPS & (TLY_RUN_CHAPTER_GROUPS - 1)) == 0, "a power of two");
  _Static_assert(TLY_RUN_CHAPTER_GROUPS % TLY_GROUPS_PER_BLOCK == 0, "chapters are mostly whole blocks");
  return (XXH3_64bits(key.data, key.size) & (TLY_RUN_CHAPTER_GROUPS - 1)) == 0;
}

void tly_run_hash_print(const struct tly_hash *hash, char text[33]) {
  for (int i = 0; i < TLY_HASH_BYTES; i++)
    snprintf(text + 2 * i, 3, "%02x", hash->bytes[i]);
}

static void append_text(struct tly_buffer *out, const void *data, size_t size) {
  tly_buffer_append_varint(out, size);
  tly_buffer_append(out, data, size);
}

void tly_run_checksum_begin(struct tly_run_checksum *checksum, const struct tly_run_meta *meta) {
  tly_buffer_init(&checksum->bytes);
  tly_buffer_append_varint(&checksum->bytes, (uint64_t)meta->run);
  append_text(&checksum->bytes, meta->view, tly_text_of(meta->view).size);
  tly_buffer_append(&checksum->bytes, meta->definition_hash.bytes, TLY_HASH_BYTES);
  tly_buffer_append_varint(&checksum->bytes, meta->part);
  tly_buffer_append_varint(&checksum->bytes, meta->piece);
  tly_buffer_append_varint(&checksum->bytes, meta->pieces);
}

void tly_run_checksum_add(struct tly_run_checksum *checksum, const struct tly_run_block *block) {
  append_text(&checksum->bytes, block->first_key.data, block->first_key.size);
  append_text(&checksum->bytes, block->last_key.data, block->last_key.size);
  tly_buffer_append_varint(&checksum->bytes, block->group_count);
  tly_buffer_append(&checksum->bytes, block->checksum.bytes, TLY_HASH_BYTES);
}

void tly_run_checksum_end(struct tly_run_checksum *checksum, char text[33]) {
  struct tly_hash hash;
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(checksum->bytes.data, checksum->bytes.size));
  for (int i = 0; i < TLY_HASH_BYTES; i++)
    hash.bytes[i] = canonical.digest[i];
  tly_run_hash_print(&hash, text);
  tly_buffer_free(&checksum->bytes);
}
