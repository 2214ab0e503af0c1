#include "batch_layer/ledger_totals.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/memory.h"
#include "common/value/ordered_key.h"

enum { INLINE_LIMBS = 2 };

enum tly_status tly_running_sum_add(struct tly_running_sum *sum, struct tly_decimal value, struct tly_arena *scratch,
                                    struct tly_error *error) {
  struct tly_decimal result;
  TLY_TRY(tly_decimal_add(sum->value, value, scratch, &result, error));
  sum->value = result;
  size_t limbs = (size_t)abs(result.limb_count);
  if (limbs <= INLINE_LIMBS)
    return TLY_OK;
  tly_buffer_clear(&sum->limbs);
  tly_buffer_append(&sum->limbs, result.limbs, limbs * sizeof *result.limbs);
  sum->value.limbs = (const uint64_t *)(const void *)sum->limbs.data;
  return TLY_OK;
}

void tly_running_sum_free(struct tly_running_sum *sum) {
  tly_buffer_free(&sum->limbs);
}

void tly_ledger_totals_init(struct tly_ledger_totals *totals, const struct tly_ledger_match *match) {
  *totals = (struct tly_ledger_totals){.match = match};
  totals->entries = tly_calloc(TLY_CURRENCIES_MAX + 1, sizeof *totals->entries);
}

void tly_ledger_totals_free(struct tly_ledger_totals *totals) {
  for (uint32_t e = 0; e < totals->count; e++) {
    struct tly_currency_totals *entry = &totals->entries[e];
    for (uint32_t a = 0; a < totals->match->amount_count; a++) {
      tly_running_sum_free(&entry->amounts[a].tally);
      tly_running_sum_free(&entry->amounts[a].ledger);
      tly_running_sum_free(&entry->amounts[a].gross);
      tly_running_sum_free(&entry->amounts[a].within_tolerance);
    }
    tly_free(entry->amounts);
    tly_free(entry->currency);
  }
  tly_free(totals->entries);
  memset(totals, 0, sizeof *totals);
}

/* The key's currency as JSON text in `out`. */
static enum tly_status print_currency(const struct tly_ledger_match *match, struct tly_text key,
                                      struct tly_arena *scratch, struct tly_buffer *out, struct tly_error *error) {
  struct tly_cursor cursor = tly_cursor_of(key.data, key.size);
  struct tly_value value = {.is_null = true};
  for (int32_t k = 0; k <= match->currency; k++)
    TLY_TRY(tly_key_read(&cursor, match->keys[k].type, scratch, &value, error));
  tly_value_print_json(&value, out);
  return TLY_OK;
}

static bool is_of(const struct tly_currency_totals *entry, const char *currency) {
  return entry->currency != NULL && currency != NULL ? strcmp(entry->currency, currency) == 0
                                                     : entry->currency == NULL && currency == NULL;
}

static struct tly_currency_totals *find_or_add(struct tly_ledger_totals *totals, const char *currency) {
  if (totals->last < totals->count && is_of(&totals->entries[totals->last], currency))
    return &totals->entries[totals->last];
  for (totals->last = 0; totals->last < totals->count; totals->last++)
    if (is_of(&totals->entries[totals->last], currency))
      return &totals->entries[totals->last];
  if (totals->count >= TLY_CURRENCIES_MAX && currency != NULL)
    return find_or_add(totals, NULL);
  TLY_ASSERT(totals->count <= TLY_CURRENCIES_MAX);
  struct tly_currency_totals *entry = &totals->entries[totals->count++];
  entry->currency = currency != NULL ? tly_strdup(currency) : NULL;
  entry->amounts = tly_calloc(totals->match->amount_count, sizeof *entry->amounts);
  return entry;
}

enum tly_status tly_ledger_totals_find(struct tly_ledger_totals *totals, struct tly_text key, struct tly_arena *scratch,
                                       struct tly_currency_totals **out, struct tly_error *error) {
  if (totals->match->currency < 0) {
    *out = find_or_add(totals, NULL);
    return TLY_OK;
  }
  struct tly_buffer currency = {0};
  enum tly_status status = print_currency(totals->match, key, scratch, &currency, error);
  if (status == TLY_OK)
    *out = find_or_add(totals, tly_buffer_text(&currency));
  tly_buffer_free(&currency);
  return status;
}
