/* cli/input_format.h -- whether an input is JSON lines or CSV. Thread: main. */
#ifndef TLY_CLI_INPUT_FORMAT_H
#define TLY_CLI_INPUT_FORMAT_H

#include "common/wire/client.h"

/* By the file's ending, which may have .gz or .zst behind it: "json", "csv", or NULL when it does not say. */
const char *tly_input_format_of_name(const char *file);
/* The stream's own. No request may be under way. */
TLY_CHECK enum tly_status tly_input_format_of_stream(tly_client *client, const char *stream, const char **out,
                                                     struct tly_error *error);

#endif
