// Errors of the engine: its texts and types to our codes, messages and positions.
#include "engine/engine_int.h"

#include "base/clock.h"
#include "base/utf8.h"

#define MESSAGE_MAX 8192 // bytes that are looked at, more than an error holds

// Types that are not simply the statement's fault. The engine gives results a type; where it gives
// a text only (preparing a statement), the type is the text's prefix.
static const struct error_kind {
    duckdb_error_type type;
    const char *prefix;
    enum err_code code;
} error_kinds[] = {
    {DUCKDB_ERROR_INTERRUPT, "INTERRUPT Error", ERR_CANCELLED},
    {DUCKDB_ERROR_OUT_OF_MEMORY, "Out of Memory Error", ERR_TOO_LARGE},
    {DUCKDB_ERROR_IO, "IO Error", ERR_IO},
    {DUCKDB_ERROR_NETWORK, "Network Error", ERR_IO},
    {DUCKDB_ERROR_HTTP, "HTTP Error", ERR_IO},
    {DUCKDB_ERROR_PERMISSION, "Permission Error", ERR_REFUSED},
    {DUCKDB_ERROR_INTERNAL, "INTERNAL Error", ERR_INTERNAL},
    {DUCKDB_ERROR_FATAL, "FATAL Error", ERR_INTERNAL},
    {DUCKDB_ERROR_SCHEDULER, "Scheduler Error", ERR_INTERNAL},
    {DUCKDB_ERROR_EXECUTOR, "Executor Error", ERR_INTERNAL},
    {DUCKDB_ERROR_NULL_POINTER, "NullPointer Error", ERR_INTERNAL},
    {DUCKDB_ERROR_CONNECTION, "Connection Error", ERR_INTERNAL},
};

static enum err_code code_of(duckdb_error_type type, struct str text) {
    for (size_t i = 0; i < ARRAY_LEN(error_kinds); i++) {
        const struct error_kind *kind = &error_kinds[i];
        const bool typed = type != DUCKDB_ERROR_INVALID;
        if (typed ? type == kind->type : str_starts(text, str_from(kind->prefix))) {
            const bool full = str_find(text, STR("No space left on device")) >= 0;
            return kind->code == ERR_IO && full ? ERR_NO_SPACE : kind->code;
        }
    }
    // A bare C++ exception: not something that a statement may cause.
    return str_starts(text, STR("Invalid Error")) ? ERR_INTERNAL : ERR_SQL;
}

size_t engine_char_offset(struct str text, size_t chars) {
    size_t at = 0;
    while (chars > 0 && at < text.len) {
        const size_t len = utf8_char_len(text.ptr + at, text.len - at);
        at += len > 0 ? len : 1;
        chars--;
    }
    return at;
}

// Start of line number `line` (from 1) of the text.
static size_t line_start(struct str text, int64_t line) {
    size_t at = 0;
    for (int64_t lines = 1; lines < line && at < text.len; at++) {
        lines += text.ptr[at] == '\n' ? 1 : 0;
    }
    return at;
}

// The position behind "LINE n: shown\n      ^". Long lines are shown in part, between dots.
static int64_t position_of(struct str shown, struct str sql) {
    struct str rest = str_slice(shown, sizeof("LINE ") - 1, shown.len);
    struct str number = STR_NONE;
    struct str line = STR_NONE;
    int64_t line_number = 0;
    if (!str_cut(&rest, ':', &number) || !str_to_i64(number, &line_number) ||
        !str_cut(&rest, '\n', &line)) {
        return -1;
    }
    const ptrdiff_t caret = str_find_char(rest, '^');
    const size_t margin = sizeof("LINE ") - 1 + number.len + 1 + 1; // up to the shown text
    if (caret < 0 || (size_t)caret < margin || line.len == 0) {
        return -1;
    }
    line = str_slice(line, 1, line.len); // the blank behind the colon
    size_t at = engine_char_offset(line, (size_t)caret - margin);
    if (str_starts(line, STR("...")) && at >= 3) {
        line = str_slice(line, 3, line.len);
        at -= 3;
    }
    if (str_ends(line, STR("..."))) {
        line.len -= 3;
    }
    const size_t start = line_start(sql, line_number);
    const ptrdiff_t found = str_find(str_slice(sql, start, sql.len), line);
    return found < 0 ? -1 : (int64_t)MIN(start + (size_t)found + at, sql.len);
}

// What is worth reading: no stack trace, no repeated statement, no notice that we have a bug, and
// no advice to change settings, which nobody here can.
static struct str useful_part(struct str text) {
    static const char *const tails[] = {"\n\nLINE ",
                                        "\nLINE ",
                                        "\n\nStack Trace",
                                        "\nStack Trace",
                                        "\nThis error signals an assertion failure",
                                        "\n\nPossible solutions",
                                        "\nDatabase is launched in"};
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        const ptrdiff_t at = str_find(text, str_from(tails[i]));
        text = at >= 0 ? str_slice(text, 0, (size_t)at) : text;
    }
    return str_trim(text);
}

static bool is_quote(char c) {
    return c == '"' || c == '\'';
}

// A file that the engine speaks of; not a value that looks like one.
static bool is_file(enum err_code code, struct str path, struct str sql) {
    return code == ERR_IO || code == ERR_NO_SPACE ||
           (str_ends(path, STR(".parquet")) && str_find(sql, path) >= 0);
}

// Where the server keeps its files is not for whoever asks: of an absolute path in quotes only the
// last part stays.
static void add_without_folders(enum err_code code, struct str text, struct str sql,
                                struct buf *out) {
    size_t i = 0;
    while (i < text.len) {
        const bool starts = i > 0 && is_quote(text.ptr[i - 1]) && text.ptr[i] == '/';
        size_t end = i;
        size_t name = i;
        while (starts && end < text.len && text.ptr[end] != text.ptr[i - 1]) {
            name = text.ptr[end++] == '/' ? end : name;
        }
        if (starts && is_file(code, str_slice(text, i, end), sql)) {
            buf_add_str(out, str_slice(text, name, end));
            i = end;
        } else {
            buf_add_char(out, text.ptr[i++]);
        }
    }
}

// Only what the session was told is believed: the engine interrupts the other threads of a
// statement when one fails, and tells of that instead of the failure when they are quicker.
static enum err_code fail_interrupted(const struct session *s, struct err *err) {
    switch (s ? session_stop_code(s, clock_mono_us()) : ERR_OK) {
    case ERR_TIMEOUT:
        return err_set(err, ERR_TIMEOUT, "the statement ran out of time");
    case ERR_CANCELLED:
        return err_set(err, ERR_CANCELLED, "the statement was cancelled");
    default:
        return err_set(err, ERR_BUSY,
                       "a part of the statement failed, and the engine has lost the reason: run it "
                       "again to learn it");
    }
}

enum err_code engine_fail(const struct session *s, duckdb_error_type type, const char *text,
                          struct str sql, struct err *err) {
    const struct str whole = text && *text ? str_from(text) : STR("the engine gave no reason");
    enum err_code code = code_of(type, whole);
    if (code == ERR_CANCELLED) {
        return fail_interrupted(s, err);
    }
    const ptrdiff_t line = str_find(whole, STR("\nLINE "));
    const struct str useful = useful_part(whole);
    DEFER(buf_release) struct buf message = BUF(MESSAGE_MAX);
    add_without_folders(code, str_slice(useful, 0, MESSAGE_MAX / 2), sql, &message);
    code = err_set(err, code, STR_FMT, STR_ARG(buf_str(&message)));
    if (line >= 0) {
        err->position = position_of(str_slice(whole, (size_t)line + 1, whole.len), sql);
    }
    return code;
}

enum err_code engine_fail_result(const struct session *s, duckdb_result *result, struct str sql,
                                 struct err *err) {
    return engine_fail(s, duckdb_result_error_type(result), duckdb_result_error(result), sql, err);
}
