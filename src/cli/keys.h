// Keys of rows on the command line: words behind a dataset's name, and lines of a file.
#pragma once

#include "base/json.h"
#include "cli/args.h"

// The whole file; "-" is standard input. ERR_TOO_LARGE past the buffer's limit.
MUST_CHECK enum err_code cli_read_file(const char *path, struct buf *out, struct err *err);
// Adds the member "row_key_values": all as texts, which the server takes for numbers where the
// column holds numbers. ERR_INVALID when there are none.
MUST_CHECK enum err_code cli_keys_add(const struct args *a, struct jsonw *w, struct err *err);
