/* tests/common/store/test_key_directory.c -- where a key stands is where counting says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/key_directory.h"

enum { KEYS_MAX = 300, KEY_BYTES_MAX = 40 };

static uint64_t random_state = 42;

static uint32_t random_below(uint32_t bound) {
  random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (uint32_t)((random_state >> 33) % bound);
}

struct keys {
  char bytes[KEYS_MAX][KEY_BYTES_MAX];
  struct tly_text texts[KEYS_MAX];
  uint64_t heads[KEYS_MAX];
  uint32_t count;
};

static int compare(const void *a, const void *b) {
  return tly_text_compare(*(const struct tly_text *)a, *(const struct tly_text *)b);
}

/* A key with `prefix` and up to 12 bytes behind it, of an alphabet in which many are alike. */
static struct tly_text random_key(char *place, const char *prefix, uint32_t prefix_size) {
  static const unsigned char alphabet[] = {0x00, 'a', 'b', 0x7f, 0x80, 0xff};
  uint32_t size = prefix_size + random_below(13);
  memcpy(place, prefix, prefix_size);
  for (uint32_t i = prefix_size; i < size; i++)
    place[i] = (char)alphabet[random_below(random_below(4) == 0 ? sizeof alphabet : 2)];
  return (struct tly_text){.data = place, .size = size};
}

static void make_keys(struct keys *keys, uint32_t wanted, const char *prefix, uint32_t prefix_size) {
  for (uint32_t i = 0; i < wanted; i++)
    keys->texts[i] = random_key(keys->bytes[i], prefix, prefix_size);
  qsort(keys->texts, wanted, sizeof *keys->texts, compare);
  keys->count = 0;
  for (uint32_t i = 0; i < wanted; i++)
    if (keys->count == 0 || !tly_text_equal(keys->texts[keys->count - 1], keys->texts[i]))
      keys->texts[keys->count++] = keys->texts[i];
}

static void check(const struct keys *keys, const struct tly_key_directory *directory, struct tly_text key) {
  uint32_t below = 0, not_above = 0;
  for (uint32_t i = 0; i < keys->count; i++) {
    below += tly_text_compare(keys->texts[i], key) < 0;
    not_above += tly_text_compare(keys->texts[i], key) <= 0;
  }
  assert_int_equal(tly_key_directory_below(directory, key), below);
  assert_int_equal(tly_key_directory_not_above(directory, key), not_above);
}

static void a_key_stands_where_counting_says(void **state) {
  static const char prefix[] = "a shared one";
  static struct keys keys;
  char place[KEY_BYTES_MAX];
  (void)state;
  for (int round = 0; round < 400; round++) {
    uint32_t prefix_size = random_below(sizeof prefix);
    make_keys(&keys, random_below(round % 4 == 0 ? 4 : KEYS_MAX), prefix, prefix_size);
    struct tly_key_directory directory = tly_key_directory_make(keys.texts, keys.count, keys.heads);
    for (uint32_t i = 0; i < keys.count; i++)
      check(&keys, &directory, keys.texts[i]);
    for (int i = 0; i < 50; i++) {
      check(&keys, &directory, random_key(place, prefix, prefix_size));
      check(&keys, &directory, random_key(place, prefix, random_below(sizeof prefix)));
    }
    check(&keys, &directory, tly_text_of(""));
    check(&keys, &directory, tly_text_of("z"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_key_stands_where_counting_says)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
