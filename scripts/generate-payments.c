/* scripts/generate-payments.c -- synthetic payments as JSON lines of about 132 bytes, the same for the same seed.
 *
 * generate-payments COUNT [SEED [ACCOUNTS [DAYS]]]: COUNT events over DAYS days (4), ACCOUNTS accounts (100,000), four
 * currencies, 94 % settled, 4 % refunded, 2 % failed. Random numbers are xoshiro256** (Blackman and Vigna), seeded by
 * splitmix64. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state[4];

static uint64_t splitmix(uint64_t *seed) {
  uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int k) {
  return (x << k) | (x >> (64 - k));
}

static uint64_t next_random(void) {
  uint64_t result = rotate(state[1] * 5, 7) * 9, t = state[1] << 17;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= t;
  state[3] = rotate(state[3], 45);
  return result;
}

int main(int argc, char **argv) {
  static const char *const currencies[4] = {"EUR", "USD", "GBP", "CHF"};
  static char buffer[1 << 20];
  uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 42;
  uint64_t accounts = argc > 3 ? strtoull(argv[3], NULL, 10) : 100000;
  uint64_t days = argc > 4 ? strtoull(argv[4], NULL, 10) : 4;
  if (count == 0 || accounts == 0 || accounts > 10000000 || days == 0 || days > 365) {
    fprintf(stderr, "usage: generate-payments COUNT [SEED [ACCOUNTS [DAYS]]]\n");
    return 2;
  }
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  for (int i = 0; i < 4; i++)
    state[i] = splitmix(&seed);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t random = next_random(), share = random % 100;
    const char *status = share < 94 ? "settled" : share < 98 ? "refunded" : "failed";
    time_t second = (time_t)(1772409600 + i * (days * 86400) / count); /* from 2026-03-02 on */
    struct tm when;
    gmtime_r(&second, &when);
    printf("{\"payment_id\":\"P%07llu\",\"account\":\"A-%06llu\",\"amount\":%llu.%02llu,\"currency\":\"%s\","
           "\"status\":\"%s\",\"paid_at\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"}\n",
           (unsigned long long)i, (unsigned long long)((random >> 8) % accounts),
           (unsigned long long)((random >> 32) % 5000), (unsigned long long)((random >> 48) % 100),
           currencies[(random >> 56) % 4], status, when.tm_year + 1900, when.tm_mon + 1, when.tm_mday, when.tm_hour,
           when.tm_min, when.tm_sec);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
