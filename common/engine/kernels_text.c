/* text: characters are code points, order is bytes (C.UTF-8). The work is in value/text.h; here are the loops. */
#include "common/engine/kernel.h"

void tly_kernel_textlen(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->i64[row] = tly_text_length(tly_argument_text(call, 0, row));
}

void tly_kernel_upper(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->text[row] = tly_text_upper(tly_argument_text(call, 0, row), &call->evaluator->arena);
}

void tly_kernel_lower(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->text[row] = tly_text_lower(tly_argument_text(call, 0, row), &call->evaluator->arena);
}

void tly_kernel_text_left(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->text[row] = tly_text_left(tly_argument_text(call, 0, row), tly_argument_i64(call, 1, row));
}

void tly_kernel_text_right(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row)
    call->out->text[row] = tly_text_right(tly_argument_text(call, 0, row), tly_argument_i64(call, 1, row));
}

TLY_ALWAYS_INLINE void substring(const struct tly_kernel_call *call, bool has_length) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    int64_t length = has_length ? tly_argument_i64(call, 2, row) : 0;
    if (tly_text_substring(tly_argument_text(call, 0, row), tly_argument_i64(call, 1, row), has_length, length,
                           &call->out->text[row], &error) != TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
  }
}

void tly_kernel_text_substr(const struct tly_kernel_call *call) {
  substring(call, true);
}

void tly_kernel_text_substr_no_len(const struct tly_kernel_call *call) {
  substring(call, false);
}

TLY_ALWAYS_INLINE void trim(const struct tly_kernel_call *call, bool leading, bool trailing) {
  struct tly_text space = tly_text_of(" ");
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text set = call->argument_count == 2 ? tly_argument_text(call, 1, row) : space;
    call->out->text[row] = tly_text_trim(tly_argument_text(call, 0, row), set, leading, trailing);
  }
}

#define TRIM(kernel, leading, trailing)                                                                                \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    trim(call, leading, trailing);                                                                                     \
  }
TRIM(btrim, true, true)
TRIM(btrim1, true, true)
TRIM(ltrim, true, false)
TRIM(ltrim1, true, false)
TRIM(rtrim, false, true)
TRIM(rtrim1, false, true)

/* Each || may double a text, and a query may have many: the bound keeps a client from filling the memory. */
void tly_kernel_textcat(const struct tly_kernel_call *call) {
  TLY_EACH_ROW (call->rows, row) {
    struct tly_text a = tly_argument_text(call, 0, row), b = tly_argument_text(call, 1, row);
    if ((uint64_t)a.size + b.size > TLY_TEXT_BYTES_MAX)
      tly_evaluator_raise(call->evaluator, row, TLY_E_TOO_LARGE, "the joined text is too long");
    else
      call->out->text[row] = tly_text_concat(a, b, &call->evaluator->arena);
  }
}

TLY_ALWAYS_INLINE void like(const struct tly_kernel_call *call, bool fold_case, bool wanted) {
  struct tly_error error = TLY_ERROR_NONE;
  TLY_EACH_ROW (call->rows, row) {
    bool matches = false;
    if (tly_text_like(tly_argument_text(call, 0, row), tly_argument_text(call, 1, row), fold_case, &matches, &error) !=
        TLY_OK)
      tly_evaluator_raise_error(call->evaluator, row, &error);
    call->out->i64[row] = matches == wanted;
  }
}

#define LIKE(kernel, fold_case, wanted)                                                                                \
  void tly_kernel_##kernel(const struct tly_kernel_call *call) {                                                       \
    like(call, fold_case, wanted);                                                                                     \
  }
LIKE(textlike, false, true)
LIKE(textnlike, false, false)
LIKE(texticlike, true, true)
LIKE(texticnlike, true, false)
