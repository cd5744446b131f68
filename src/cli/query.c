// query and bench: statements sent to the server, and how their answers look.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/threads.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"

enum {
    SQL_BYTES_MAX = 4 << 20,
    BENCH_REQUESTS = 1000,
    BENCH_REQUESTS_MAX = 100000000,
    BENCH_CLIENTS = 8,
    BENCH_CLIENTS_MAX = 1000,
};

static const struct {
    const char *name, *accept; // no accept: JSON that is laid out here
} formats[] = {
    {"table", NULL},
    {"markdown", NULL},
    {"json", NULL},
    {"csv", "text/csv"},
    {"tsv", "text/tab-separated-values"},
    {"ndjson", "application/x-ndjson"},
    {"arrow", "application/vnd.apache.arrow.stream"},
};

static enum err_code read_sql(const char *path, struct buf *out, struct err *err) {
    const bool from_stdin = strcmp(path, "-") == 0;
    FILE *file = from_stdin ? stdin : fopen(path, "re");
    if (!file) {
        const bool absent = errno == ENOENT;
        (void)err_errno(err, "cannot open %s", path);
        err->code = absent ? ERR_NOT_FOUND : err->code;
        return err->code;
    }
    char block[16384];
    size_t got = 0;
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        buf_add(out, block, got);
    }
    const bool failed = ferror(file) != 0;
    if (!from_stdin) {
        fclose(file);
    }
    if (client_interrupted()) {
        return err_set(err, ERR_CANCELLED, "cancelled");
    }
    if (failed) {
        return err_set(err, ERR_IO, "cannot read %s", path);
    }
    return ERR_OK;
}

static enum err_code find_sql(const struct args *a, struct buf *out, struct err *err) {
    const char *file = args_value(a, "file");
    if (file && a->word_count > 0) {
        return err_set(err, ERR_INVALID, "a statement and --file: one of them is right");
    }
    if (!file && a->word_count == 0) {
        return err_set(err, ERR_INVALID,
                       "\"tarn query\" needs a statement, - for standard input, or --file");
    }
    if (file || strcmp(a->words[0], "-") == 0) {
        TRY(read_sql(file ? file : "-", out, err));
    } else {
        buf_add_cstr(out, a->words[0]);
    }
    if (out->overflow) {
        return err_set(err, ERR_TOO_LARGE, "the statement has more than %d bytes", SQL_BYTES_MAX);
    }
    if (!str_is_utf8(buf_str(out))) {
        return err_set(err, ERR_INVALID, "the statement is not UTF-8");
    }
    return str_trim(buf_str(out)).len > 0 ? ERR_OK
                                          : err_set(err, ERR_INVALID, "the statement is empty");
}

void cli_caret(struct str sql, int64_t position, struct buf *out) {
    if (position < 0 || (uint64_t)position > sql.len) {
        return;
    }
    const size_t at = (size_t)position;
    size_t start = at;
    size_t end = at;
    int64_t line = 1;
    while (start > 0 && sql.ptr[start - 1] != '\n') {
        start--;
    }
    while (end < sql.len && sql.ptr[end] != '\n' && sql.ptr[end] != '\r') {
        end++;
    }
    for (size_t i = 0; i < start; i++) {
        line += sql.ptr[i] == '\n';
    }
    const struct str text = str_slice(sql, start, end);
    const struct str before = str_slice(sql, start, at);
    char head[32];
    snprintf(head, sizeof(head), "line %" PRId64 ": ", line);
    buf_printf(out, "  %s" STR_FMT "\n  %*s", head, STR_ARG(text), (int)strlen(head), "");
    // Tabs stay tabs, so that the caret stands where the terminal puts the character.
    struct str rest = before;
    struct str part = STR_NONE;
    while (str_cut(&rest, '\t', &part)) {
        buf_printf(out, "%*s", (int)grid_text_width(part), "");
        const bool tab = part.ptr + part.len < before.ptr + before.len;
        buf_add_cstr(out, tab ? "\t" : "");
    }
    buf_add_cstr(out, "^\n");
}

enum err_code cli_say_failure(struct str sql, struct err *err) {
    DEFER(buf_release) struct buf out = BUF((size_t)SQL_BYTES_MAX * 2);
    if (err->position < 0) {
        return err->code;
    }
    cli_caret(sql, err->position, &out);
    fprintf(stderr, "tarn: %s\n%s", err->msg, out.ptr ? out.ptr : "");
    err->msg[0] = '\0';
    return err->code;
}

// JSON text taken apart without reading its numbers, so that what is shown is what came.

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

static void skip_blanks(struct str *rest) {
    while (rest->len > 0 && is_one_of(*rest->ptr, " \t\r\n,:")) {
        *rest = str_slice(*rest, 1, rest->len);
    }
}

static size_t string_end(struct str text) {
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == '\\') {
            i++;
        } else if (text.ptr[i] == '"') {
            return i + 1;
        }
    }
    return text.len;
}

// Bytes of the value that text starts with.
static size_t value_end(struct str text) {
    size_t depth = 0;
    for (size_t i = 0; i < text.len;) {
        const char c = text.ptr[i];
        if (c == '"') {
            i += string_end(str_slice(text, i, text.len));
        } else {
            depth += c == '{' || c == '[';
            if ((c == '}' || c == ']') && depth == 0) {
                return i;
            }
            depth -= c == '}' || c == ']';
            if (depth == 0 && is_one_of(c, ", \t\r\n")) {
                return i;
            }
            i++;
        }
        if (depth == 0 && is_one_of(text.ptr[i - 1], "\"}]")) {
            return i;
        }
    }
    return text.len;
}

// The next value of an array, or key or value of an object, whose opening bracket was taken off.
static bool next_value(struct str *rest, struct str *ret) {
    skip_blanks(rest);
    const size_t len = value_end(*rest);
    if (len == 0) {
        return false;
    }
    *ret = str_slice(*rest, 0, len);
    *rest = str_slice(*rest, len, rest->len);
    return true;
}

static struct str inside(struct str value) {
    return str_slice(value, 1, value.len);
}

// The raw text of a member of an object; empty when there is none.
static struct str member(struct str object, const char *key) {
    struct str rest = inside(str_trim(object));
    struct str name = STR_NONE;
    struct str value = STR_NONE;
    while (next_value(&rest, &name) && next_value(&rest, &value)) {
        if (name.len >= 2 && str_is(str_slice(name, 1, name.len - 1), key)) {
            return value;
        }
    }
    return STR_NONE;
}

// A string's text; other values as they stand; NULL pointer for null.
static struct str cell_of(struct str value, struct arena *a) {
    if (str_is(value, "null")) {
        return STR_NONE;
    }
    if (value.len < 2 || *value.ptr != '"') {
        return value;
    }
    if (str_find_char(value, '\\') < 0) {
        return str_slice(value, 1, value.len - 1);
    }
    DEFER(json_decrefp) json_t *text = NULL;
    struct err ignored = ERR_NONE;
    if (json_parse_stored(value, "cell", &text, &ignored) != ERR_OK) {
        return value;
    }
    return arena_str(a, (struct str){json_string_value(text), json_string_length(text)});
}

static bool is_number(struct str type) {
    static const char *const numbers[] = {
        "TINYINT",  "SMALLINT", "INTEGER",  "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
        "UINTEGER", "UBIGINT",  "UHUGEINT", "FLOAT",  "DOUBLE",  "DECIMAL"};
    for (size_t i = 0; type.ptr && i < ARRAY_LEN(numbers); i++) {
        const struct str name = str_from(numbers[i]);
        if (str_starts(type, name) && (type.len == name.len || type.ptr[name.len] == '(') &&
            !str_ends(type, STR("]"))) {
            return true;
        }
    }
    return false;
}

static enum err_code fill_grid(struct str answer, struct grid *t, struct err *err) {
    struct str rest = inside(member(answer, "columns"));
    struct str column = STR_NONE;
    while (next_value(&rest, &column)) {
        grid_column(t, cell_of(member(column, "name"), t->arena),
                    is_number(cell_of(member(column, "type"), t->arena)));
    }
    struct str rows = inside(member(answer, "rows"));
    struct str row = STR_NONE;
    while (next_value(&rows, &row)) {
        struct str cells = inside(row);
        struct str value = STR_NONE;
        size_t count = 0;
        for (; next_value(&cells, &value); count++) {
            const struct str cell = cell_of(value, t->arena);
            if (cell.ptr) {
                grid_cell(t, cell);
            } else {
                grid_cell_null(t);
            }
        }
        if (count != t->column_count) {
            return err_set(err, ERR_CORRUPT, "the server's answer is not a result");
        }
    }
    return ERR_OK;
}

// A plan is drawn in lines, which a cell does not hold: each gets a row.
static bool spread_plan(const struct grid *t, struct grid *ret) {
    *ret = GRID(t->arena);
    if (t->column_count != 2 || !str_is(t->columns[0].name, "explain_key")) {
        return false;
    }
    grid_column(ret, STR("plan"), false);
    for (size_t i = 1; i < t->cell_count; i += 2) {
        struct str rest = t->cells[i];
        struct str line;
        while (str_cut(&rest, '\n', &line)) {
            grid_cell(ret, line);
        }
    }
    return true;
}

// Rows as an array with one row a line.
static void json_rows(struct str answer, struct buf *out) {
    struct str rows = inside(member(answer, "rows"));
    struct str row = STR_NONE;
    const char *before = "[\n";
    while (next_value(&rows, &row)) {
        buf_add_cstr(out, before);
        buf_add_str(out, row);
        before = ",\n";
    }
    buf_add_cstr(out, before[0] == '[' ? "[]\n" : "\n]\n");
}

// What the roles of the token allow, no option can raise.
static void say_truncated(struct str hint) {
    if (str_find(hint, STR("roles")) >= 0) {
        fprintf(stderr, "tarn: the result was cut: " STR_FMT "\n", STR_ARG(hint));
    } else {
        fputs("tarn: the result was cut; --max-rows N asks for more rows, -o csv, ndjson or arrow "
              "streams them\n",
              stderr);
    }
}

// A stream that is cut by more than the caller's own --max-rows, or may be.
static void say_stream_cut(const struct client_answer *answer, int64_t rows_max) {
    if (answer->truncated && rows_max == 0) {
        fputs("tarn: the result was cut: this token's roles allow no more rows in one answer; ask "
              "for a part of them\n",
              stderr);
    } else if (answer->truncated) {
        fputs("tarn: the result was cut at --max-rows, or at what this token's roles allow\n",
              stderr);
    } else if (answer->rows_max > 0 && answer->rows_max != rows_max) {
        fprintf(stderr,
                "tarn: the result is cut if it has more than %" PRId64
                " rows, which is what this token's roles allow in one answer\n",
                answer->rows_max);
    }
}

// The rows of one answer, laid out; talk goes to standard error.
static enum err_code show(const struct args *a, const char *format, struct str answer,
                          struct err *err) {
    DEFER(buf_release) struct buf out = BUF(CLIENT_ANSWER_BYTES_MAX);
    struct grid t = GRID(a->arena);
    if (strcmp(format, "json") == 0) {
        json_rows(answer, &out);
    } else {
        TRY(fill_grid(answer, &t, err));
    }
    if (strcmp(format, "markdown") == 0) {
        grid_markdown(&t, &out);
    } else if (strcmp(format, "table") == 0) {
        struct grid plan;
        const bool is_plan = spread_plan(&t, &plan);
        const bool full = is_plan || args_flag(a, "full");
        grid_print(is_plan ? &plan : &t, full ? 0 : GRID_CELL_WIDTH,
                   full ? 0 : grid_terminal_width(), &out);
    }
    TRY(grid_write(&out, err));
    const struct str count = member(answer, "row_count");
    const struct str elapsed = member(answer, "elapsed_ms");
    if (strcmp(format, "table") == 0 && isatty(STDERR_FILENO)) {
        fprintf(stderr, "(" STR_FMT " %s, " STR_FMT " ms)\n", STR_ARG(count),
                str_is(count, "1") ? "row" : "rows", STR_ARG(elapsed));
    }
    int64_t suppressed = 0;
    (void)str_to_i64(member(answer, "rows_suppressed"), &suppressed);
    cli_say_suppressed(suppressed);
    if (str_is(member(answer, "truncated"), "true")) {
        say_truncated(cell_of(member(answer, "hint"), a->arena));
    }
    return ERR_OK;
}

static bool take_piece(void *ctx, struct str piece) {
    (void)ctx;
    return fwrite(piece.ptr, 1, piece.len, stdout) == piece.len;
}

static void query_body(struct str sql, int64_t rows_max, bool arrays, const char *reason,
                       struct buf *out) {
    struct jsonw w = JSONW(out);
    jsonw_object(&w);
    jsonw_field_str(&w, "sql", sql);
    if (rows_max > 0) {
        jsonw_field_i64(&w, "rows_max", rows_max);
    }
    if (arrays) {
        jsonw_field_str(&w, "format", STR("arrays"));
    }
    if (reason) {
        jsonw_field_str(&w, "reason", str_from(reason));
    }
    jsonw_end_object(&w);
}

static enum err_code find_format(const struct args *a, size_t *ret, struct err *err) {
    const char *wanted = args_value(a, "output");
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (strcmp(wanted ? wanted : formats[0].name, formats[i].name) == 0) {
            *ret = i;
        }
    }
    if (strcmp(formats[*ret].name, "arrow") == 0 && isatty(STDOUT_FILENO)) {
        return err_set(err, ERR_INVALID, "Arrow is not for terminals; send it to a file or a pipe");
    }
    return ERR_OK;
}

enum err_code cli_query(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(SQL_BYTES_MAX);
    DEFER(buf_release) struct buf body = BUF((size_t)SQL_BYTES_MAX * 7);
    DEFER(client_answer_release) struct client_answer answer = CLIENT_ANSWER;
    DEFER(client_closep) struct client *c = NULL;
    int64_t rows_max = 0;
    size_t format = 0;
    TRY(args_number(a, "max-rows", 0, INT64_MAX, &rows_max, err));
    TRY(find_format(a, &format, err));
    client_start();
    TRY(find_sql(a, &sql, err));
    TRY(client_open(a, &c, err));
    const char *accept = formats[format].accept;
    query_body(buf_str(&sql), rows_max, !accept && strcmp(formats[format].name, "json") != 0,
               args_value(a, "reason"), &body);
    const struct client_request r = {.method = "POST",
                                     .path = STR("/query/sql"),
                                     .accept = accept,
                                     .json = buf_str(&body),
                                     .take = accept ? take_piece : NULL};
    if (client_send(c, &r, &answer, err) != ERR_OK) {
        return cli_say_failure(buf_str(&sql), err);
    }
    if (!accept) {
        return show(a, formats[format].name, buf_str(&answer.body), err);
    }
    if (fflush(stdout) != 0) {
        return err_errno(err, "cannot write to standard output");
    }
    say_stream_cut(&answer, rows_max);
    return ERR_OK;
}

// Clients that send one statement over and over, and what they measured.
struct bench {
    const struct args *args;
    struct str body;
    int64_t requests;
    _Atomic int64_t next; // number of the next request
    _Atomic int64_t errors;
    int64_t *latency_us;  // by number; -1: failed
    pthread_mutex_t lock; // guards first
    struct err first;     // failure
};

static void bench_fail(struct bench *b, const struct err *err) {
    LOCKED(&b->lock);
    b->first = b->first.code == ERR_OK ? *err : b->first;
}

static enum err_code bench_request(struct client *c, struct str body, struct err *err) {
    DEFER(client_answer_release) struct client_answer answer = CLIENT_ANSWER;
    const struct client_request r = {.method = "POST", .path = STR("/query/sql"), .json = body};
    return client_send(c, &r, &answer, err);
}

static void *bench_client(void *arg) {
    struct bench *b = arg;
    struct err err = ERR_NONE;
    DEFER(client_closep) struct client *c = NULL;
    if (client_open(b->args, &c, &err) != ERR_OK) {
        bench_fail(b, &err);
        return NULL;
    }
    for (;;) {
        const int64_t number = b->next++;
        if (number >= b->requests || client_interrupted()) {
            return NULL;
        }
        const int64_t start_us = clock_mono_us();
        const enum err_code code = bench_request(c, b->body, &err);
        b->latency_us[number] = code == ERR_OK ? clock_mono_us() - start_us : -1;
        if (code != ERR_OK) {
            b->errors++;
            bench_fail(b, &err);
        }
    }
}

static int compare_i64(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum err_code bench_report(struct bench *b, int64_t clients, int64_t elapsed_us,
                                  struct err *err) {
    DEFER(buf_release) struct buf out = BUF(4096);
    qsort(b->latency_us, (size_t)b->requests, sizeof(*b->latency_us), compare_i64);
    const int64_t good = b->requests - b->errors;
    const int64_t *times = b->latency_us + b->errors;
    const double seconds = (double)MAX(elapsed_us, 1) / 1e6;
    buf_printf(&out, "clients     %" PRId64 "\nrequests    %" PRId64 "\nerrors      %" PRId64 "\n",
               clients, b->requests, (int64_t)b->errors);
    buf_printf(&out, "seconds     %.3f\nrequests/s  %.1f\n", seconds, (double)good / seconds);
    static const struct {
        const char *name;
        int64_t percent;
    } rows[] = {{"p50", 50}, {"p95", 95}, {"p99", 99}, {"max", 100}};
    for (size_t i = 0; i < ARRAY_LEN(rows) && good > 0; i++) {
        const int64_t rank = MAX((good * rows[i].percent + 99) / 100, 1) - 1;
        buf_printf(&out, "%s         %.2f ms\n", rows[i].name, (double)times[rank] / 1e3);
    }
    TRY(grid_write(&out, err));
    if (b->errors > 0) {
        *err = b->first;
        return err_prefix(err, "the first of %" PRId64 " errors: ", (int64_t)b->errors);
    }
    return ERR_OK;
}

enum err_code cli_bench(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf body = BUF(SQL_BYTES_MAX);
    DEFER(client_closep) struct client *probe = NULL;
    pthread_t threads[BENCH_CLIENTS_MAX];
    struct bench b = {.args = a, .lock = PTHREAD_MUTEX_INITIALIZER, .first = ERR_NONE};
    int64_t clients = 0;
    TRY(args_number(a, "requests", BENCH_REQUESTS, BENCH_REQUESTS_MAX, &b.requests, err));
    TRY(args_number(a, "clients", BENCH_CLIENTS, BENCH_CLIENTS_MAX, &clients, err));
    query_body(str_from(a->word_count > 0 ? a->words[0] : "SELECT 1"), 0, false, NULL, &body);
    b.body = buf_str(&body);
    b.latency_us = arena_array(a->arena, (size_t)b.requests, sizeof(*b.latency_us));
    TRY(client_open(a, &probe, err));
    TRY(bench_request(probe, b.body, err));
    const int64_t start_us = clock_mono_us();
    for (int64_t i = 0; i < clients; i++) {
        threads[i] = threads_start("bench", bench_client, &b);
    }
    for (int64_t i = 0; i < clients; i++) {
        pthread_join(threads[i], NULL);
    }
    const int64_t elapsed_us = clock_mono_us() - start_us;
    if (client_interrupted()) {
        return err_set(err, ERR_CANCELLED, "cancelled");
    }
    if (b.next < b.requests) {
        *err = b.first;
        return err->code;
    }
    return bench_report(&b, clients, elapsed_us, err);
}
