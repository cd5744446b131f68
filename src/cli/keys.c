// Keys of rows: words behind the dataset's name, then the lines of the file.
#include <stdio.h>
#include <string.h>

#include "cli/keys.h"

enum { KEYS_BYTES_MAX = 16 << 20 };

enum err_code cli_read_file(const char *path, struct buf *out, struct err *err) {
    const bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    char piece[65536];
    size_t got = 0;
    if (file == NULL) {
        return err_errno(err, "cannot read \"%s\"", path);
    }
    while (!out->overflow && (got = fread(piece, 1, sizeof(piece), file)) > 0) {
        buf_add(out, piece, got);
    }
    const bool failed = ferror(file) != 0;
    if (!standard) {
        (void)fclose(file);
    }
    if (failed) {
        return err_set(err, ERR_IO, "cannot read \"%s\"", path);
    }
    return out->overflow
               ? err_set(err, ERR_TOO_LARGE, "\"%s\" has more than %zu bytes", path, out->max)
               : ERR_OK;
}

enum err_code cli_keys_add(const struct args *a, struct jsonw *w, struct err *err) {
    DEFER(buf_release) struct buf lines = BUF(KEYS_BYTES_MAX);
    struct str line;
    size_t count = a->word_count - 1;
    jsonw_key(w, STR("row_key_values"));
    jsonw_array(w);
    for (size_t i = 1; i < a->word_count; i++) {
        jsonw_str(w, str_from(a->words[i]));
    }
    if (args_value(a, "keys-from") != NULL) {
        TRY(cli_read_file(args_value(a, "keys-from"), &lines, err));
    }
    struct str rest = buf_str(&lines);
    while (str_cut(&rest, '\n', &line)) {
        line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r' ? 1 : 0;
        if (line.len > 0) {
            jsonw_str(w, line);
            count++;
        }
    }
    jsonw_end_array(w);
    return count > 0 ? ERR_OK
                     : err_set(err, ERR_INVALID,
                               "which keys? Give them behind the dataset's name, or --keys-from "
                               "FILE with one a line");
}
