// Rows of delimited text: reads them whatever stands there, and finds out how they are written.
#include "ingest/ingest_csv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES (256 << 10)
#define DIALECT_BYTES (256 << 10)
#define DIALECT_ROWS 1000
#define NAME_MAX_BYTES 1024

enum scan { SCAN_FIELD, SCAN_ROW, SCAN_MORE, SCAN_FAULT };

enum err_code csv_reader_open(struct str path, const struct csv_dialect *d, struct csv_reader *ret,
                              struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const int fd = open(arena_cstr(&a, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, "cannot open the spool file");
    }
    *ret = (struct csv_reader){.fd = fd, .dialect = *d, .line = 1, .row_max = INGEST_ROW_MAX};
    ret->stop[(unsigned char)d->delimiter] = true;
    ret->stop['\n'] = true;
    ret->stop['\r'] = true;
    return ERR_OK;
}

void csv_reader_close(struct csv_reader *r) {
    closep(&r->fd);
    free(r->buf);
    free(r->fields);
    *r = (struct csv_reader){.fd = -1};
}

// More bytes behind those that are not used yet.
static enum err_code fill(struct csv_reader *r, struct err *err) {
    if (r->pos > 0) {
        memmove(r->buf, r->buf + r->pos, r->len - r->pos);
        r->len -= r->pos;
        r->pos = 0;
    }
    if (r->cap - r->len < READ_BYTES) {
        r->cap = MAX(r->cap * 2, (size_t)(2 * READ_BYTES));
        r->buf = xrealloc(r->buf, r->cap);
    }
    ssize_t got = 0;
    do {
        got = read(r->fd, r->buf + r->len, r->cap - r->len);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    r->len += (size_t)got;
    r->eof = got == 0;
    if (!r->started && r->len >= 3 && memcmp(r->buf, "\xEF\xBB\xBF", 3) == 0) {
        r->pos = 3; // the mark is not part of the first field
    }
    r->started = true;
    return ERR_OK;
}

// What ends at `at`: 0 when nothing does, else the length of the line end; SCAN_MORE is -1.
static int line_end(const struct csv_reader *r, size_t at) {
    if (r->buf[at] == '\n') {
        return 1;
    }
    if (r->buf[at] != '\r') {
        return 0;
    }
    if (at + 1 == r->len && !r->eof) {
        return -1;
    }
    if (at + 1 < r->len && r->buf[at + 1] == '\n') {
        return 2;
    }
    return r->dialect.cr ? 1 : 0;
}

// Moves *at behind the closing quote. It stands behind the opening one.
static enum scan quoted_end(const struct csv_reader *r, size_t *at, bool *escaped) {
    const struct csv_dialect *d = &r->dialect;
    const size_t limit = MIN(r->len, r->pos + r->row_max);
    for (size_t i = *at; i < limit; i++) {
        const bool escape = r->buf[i] == d->escape && d->escape != d->quote;
        if (!escape && r->buf[i] != d->quote) {
            continue;
        }
        if (i + 1 == r->len && !r->eof) {
            return SCAN_MORE;
        }
        if (escape || (i + 1 < r->len && r->buf[i + 1] == d->quote && d->escape == d->quote)) {
            *escaped = true;
            i++;
            continue;
        }
        *at = i + 1;
        return SCAN_FIELD;
    }
    return r->eof || limit < r->len ? SCAN_FAULT : SCAN_MORE;
}

// What follows a field at *at: a delimiter or the row's end, which is passed.
static enum scan field_end(const struct csv_reader *r, size_t *at) {
    if (*at == r->len) {
        return r->eof ? SCAN_ROW : SCAN_MORE;
    }
    if (r->buf[*at] == r->dialect.delimiter) {
        (*at)++;
        return SCAN_FIELD;
    }
    const int end = line_end(r, *at);
    if (end < 0) {
        return SCAN_MORE;
    }
    *at += (size_t)end;
    return end > 0 ? SCAN_ROW : SCAN_FAULT;
}

static size_t skip_blanks(const struct csv_reader *r, size_t at) {
    while (at < r->len && r->buf[at] == ' ' && r->dialect.delimiter != ' ') {
        at++;
    }
    return at;
}

static enum scan scan_quoted(const struct csv_reader *r, size_t *at, struct csv_field *ret) {
    const size_t start = *at + 1;
    size_t end = start;
    const enum scan closed = quoted_end(r, &end, &ret->escaped);
    if (closed != SCAN_FIELD) {
        return closed;
    }
    ret->text = (struct str){r->buf + start, end - 1 - start};
    ret->quoted = true;
    *at = skip_blanks(r, end);
    return field_end(r, at);
}

static enum scan scan_field(const struct csv_reader *r, size_t *at, struct csv_field *ret) {
    *ret = (struct csv_field){0};
    const size_t first = skip_blanks(r, *at);
    if (r->dialect.quote && first < r->len && r->buf[first] == r->dialect.quote) {
        *at = first;
        return scan_quoted(r, at, ret);
    }
    const size_t start = *at;
    enum scan next = SCAN_FAULT;
    size_t end = start;
    // A carriage return that ends no row is a character like others.
    for (size_t i = start; next == SCAN_FAULT; i = end + 1) {
        for (end = i; end < r->len && !r->stop[(unsigned char)r->buf[end]]; end++) {
        }
        *at = end;
        next = field_end(r, at);
    }
    ret->text = (struct str){r->buf + start, end - start};
    return next;
}

static struct csv_field *field_room(struct csv_reader *r, size_t count) {
    if (count == r->field_cap) {
        r->field_cap = MAX(r->field_cap * 2, (size_t)64);
        r->fields = xrealloc(r->fields, r->field_cap * sizeof(*r->fields));
    }
    return &r->fields[count];
}

// The whole row from pos on. *ret_next is where the next one begins.
static enum scan scan_row(struct csv_reader *r, size_t *ret_count, size_t *ret_next) {
    size_t count = 0;
    size_t at = r->pos;
    enum scan s = SCAN_FIELD;
    while (s == SCAN_FIELD && count <= 2 * (size_t)INGEST_COLUMNS_MAX) {
        struct csv_field *f = field_room(r, count);
        s = scan_field(r, &at, f);
        count++;
    }
    *ret_count = count;
    *ret_next = at;
    return s == SCAN_FIELD ? SCAN_FAULT : s;
}

// A row that cannot be read ends with its line, whatever its quotes say.
static size_t broken_row_end(const struct csv_reader *r) {
    size_t at = r->pos;
    while (at < r->len) {
        const int end = line_end(r, at);
        if (end > 0) {
            return at + (size_t)end;
        }
        at++;
    }
    return at;
}

static int64_t count_lines(struct str raw) {
    int64_t lines = 0;
    for (size_t i = 0; i < raw.len; i++) {
        const bool pair = raw.ptr[i] == '\r' && i + 1 < raw.len && raw.ptr[i + 1] == '\n';
        lines += raw.ptr[i] == '\n' || (raw.ptr[i] == '\r' && !pair) ? 1 : 0;
    }
    return lines;
}

static const struct csv_record *make_record(struct csv_reader *r, size_t count, size_t next,
                                            const char *fault) {
    const struct str whole = {r->buf + r->pos, next - r->pos};
    struct str raw = whole;
    while (raw.len > 0 && (raw.ptr[raw.len - 1] == '\n' || raw.ptr[raw.len - 1] == '\r') &&
           whole.len - raw.len < 2) {
        raw.len--;
    }
    r->record = (struct csv_record){
        .line = r->line,
        .raw = raw,
        .fields = r->fields,
        .count = count,
        .blank = raw.len == 0,
        .fault = fault,
    };
    r->line += MAX(count_lines(whole), 1);
    r->pos = next;
    return &r->record;
}

static const char *fault_text(struct csv_reader *r, size_t count, bool too_long) {
    if (count > 2 * (size_t)INGEST_COLUMNS_MAX) {
        return "there are too many columns";
    }
    if (!too_long && r->fields[count - 1].quoted) {
        return "text follows a closing quote";
    }
    // Looking for the end of one quote after the other must not take for ever.
    r->row_max = MAX(r->row_max / 2, (size_t)(64 << 10));
    return too_long ? "the row is longer than 8 MiB, or a quote is not closed"
                    : "a quote is not closed";
}

enum err_code csv_reader_next(struct csv_reader *r, const struct csv_record **ret,
                              struct err *err) {
    for (;;) {
        size_t count = 0;
        size_t next = r->pos;
        if (r->pos == r->len && r->eof) {
            *ret = NULL;
            return ERR_OK;
        }
        const bool some = r->pos < r->len;
        const enum scan s = some ? scan_row(r, &count, &next) : SCAN_MORE;
        const bool too_long = s == SCAN_MORE && r->len - r->pos > INGEST_ROW_MAX;
        if (s == SCAN_MORE && !too_long) {
            TRY(fill(r, err));
            continue;
        }
        const char *fault = NULL;
        if (s != SCAN_ROW) {
            fault = fault_text(r, count, too_long);
            next = broken_row_end(r);
        }
        *ret = make_record(r, count, next, fault);
        return ERR_OK;
    }
}

struct str csv_field_text(const struct csv_field *f, const struct csv_dialect *d, struct arena *a) {
    if (!f->escaped) {
        return f->text;
    }
    char *out = arena_alloc(a, f->text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < f->text.len; i++) {
        i += f->text.ptr[i] == d->escape && i + 1 < f->text.len ? 1 : 0;
        out[len++] = f->text.ptr[i];
    }
    return (struct str){out, len};
}

// How well a dialect explains the beginning of the file.
struct trial {
    struct csv_dialect dialect;
    int64_t rows, faults;
    int64_t common;      // rows with the most frequent number of columns
    size_t common_count; // that number
    size_t quoted;       // fields in quotes
};

static void count_common(struct trial *t, const size_t *counts, size_t rows) {
    for (size_t i = 0; i < rows; i++) {
        int64_t same = 0;
        for (size_t k = 0; k < rows; k++) {
            same += counts[k] == counts[i] ? 1 : 0;
        }
        // The first row decides between equals: it is the header.
        if (same > t->common) {
            t->common = same;
            t->common_count = counts[i];
        }
    }
}

static enum err_code try_dialect(struct str path, struct trial *t, struct err *err) {
    DEFER(csv_reader_close) struct csv_reader r = {.fd = -1};
    TRY(csv_reader_open(path, &t->dialect, &r, err));
    size_t counts[DIALECT_ROWS];
    size_t rows = 0;
    size_t bytes = 0;
    const struct csv_record *record = NULL;
    do {
        TRY(csv_reader_next(&r, &record, err));
        if (!record || record->blank) {
            continue;
        }
        bytes += record->raw.len;
        t->faults += record->fault ? 1 : 0;
        for (size_t i = 0; !record->fault && i < record->count; i++) {
            t->quoted += record->fields[i].quoted ? 1 : 0;
        }
        counts[rows++] = record->fault ? 0 : record->count;
    } while (record && rows < DIALECT_ROWS && bytes < DIALECT_BYTES);
    t->rows = (int64_t)rows;
    count_common(t, counts, rows);
    return ERR_OK;
}

// Is a, which was tried later, the better explanation? Quotes that are in use are quotes. Then:
// fewer broken rows, more rows alike, more columns.
static bool is_better(const struct trial *a, const struct trial *b) {
    const bool same = a->dialect.delimiter == b->dialect.delimiter;
    if (same && a->dialect.quote != b->dialect.quote && b->quoted > 0) {
        return false;
    }
    const bool a_splits = a->common_count > 1 && a->common * 2 > a->rows;
    const bool b_splits = b->common_count > 1 && b->common * 2 > b->rows;
    if (a_splits != b_splits) {
        return a_splits;
    }
    if (a->faults != b->faults) {
        return a->faults < b->faults;
    }
    if (!a_splits) {
        return a->quoted > b->quoted;
    }
    if (a->common * 10 / (a->rows + 1) != b->common * 10 / (b->rows + 1)) {
        return a->common > b->common;
    }
    return a->common_count > b->common_count;
}

static bool file_has(struct str head, char c) {
    return str_find_char(head, c) >= 0;
}

// A file of one column: a delimiter that does not occur.
static char unused_delimiter(struct str head) {
    static const char candidates[] = {',', ';', '\t', '|', '\x1F'};
    for (size_t i = 0; i + 1 < ARRAY_LEN(candidates); i++) {
        if (!file_has(head, candidates[i])) {
            return candidates[i];
        }
    }
    return candidates[ARRAY_LEN(candidates) - 1];
}

static enum err_code read_head(struct str path, char *buf, size_t cap, struct str *ret,
                               struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(closep) int fd = open(arena_cstr(&a, path), O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? pread(fd, buf, cap, 0) : -1;
    if (len < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    *ret = (struct str){buf, (size_t)len};
    return ERR_OK;
}

// A carriage return alone ends rows when there are no line feeds.
static bool uses_cr(struct str head) {
    return file_has(head, '\r') && !file_has(head, '\n');
}

// The candidates, from what was stated.
static size_t candidates(const struct ingest_upload *u, bool cr, struct csv_dialect *ret) {
    static const char delimiters[] = {',', '\t', ';', '|'};
    static const char quotes[] = {'"', '"', '\'', 0};
    static const char escapes[] = {'"', '\\', '\'', 0};
    const struct ingest_request *q = &u->request;
    const char delimiter = u->format == INGEST_TSV ? '\t'
                           : q->delimiter.len == 1 ? q->delimiter.ptr[0]
                                                   : 0;
    size_t count = 0;
    for (size_t d = 0; d < (delimiter ? 1 : ARRAY_LEN(delimiters)); d++) {
        for (size_t k = 0; k < ARRAY_LEN(quotes); k++) {
            const bool none = str_is(q->quote, "none");
            if ((none && quotes[k]) || (q->quote.len == 1 && k > 1)) {
                continue;
            }
            struct csv_dialect *c = &ret[count++];
            *c = (struct csv_dialect){
                delimiter ? delimiter : delimiters[d], quotes[k], escapes[k], cr, false, 0};
            if (q->quote.len == 1) {
                c->quote = q->quote.ptr[0];
                c->escape = k == 0 ? c->quote : '\\';
            }
        }
    }
    return count;
}

// Do the fields under the first row say that it is a header?
static bool is_header(const struct csv_record *first, const struct csv_column *below,
                      size_t count) {
    bool typed = false;
    bool fits = true;
    bool words = true;
    for (size_t i = 0; i < count && i < first->count; i++) {
        const uint32_t kinds = csv_kinds(first->fields[i].text);
        words = words && kinds == 0 && first->fields[i].text.len > 0;
        if (below[i].kind == CSV_TEXT || below[i].values == 0 || first->fields[i].text.len == 0) {
            continue;
        }
        typed = true;
        fits = fits && csv_value_fits(&below[i], first->fields[i].text);
    }
    return typed ? !fits : words;
}

static bool name_taken(const struct csv_file *f, size_t count, struct str name) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(f->columns[i].name, name)) {
            return true;
        }
    }
    return false;
}

// Names are unique without regard to case: name, name_1, name_2; empty ones get column<position>.
static void name_columns(struct csv_file *f, const struct csv_record *header, struct arena *a) {
    for (size_t i = 0; i < f->count; i++) {
        struct str name = STR_NONE;
        if (header && i < header->count) {
            name = str_trim(csv_field_text(&header->fields[i], &f->dialect, a));
            name = arena_str(a, str_slice(name, 0, NAME_MAX_BYTES));
        }
        if (name.len == 0) {
            name = arena_printf(a, "column%zu", i);
        }
        struct str unique = name;
        for (int n = 1; f->count <= INGEST_COLUMNS_MAX && name_taken(f, i, unique); n++) {
            unique = arena_printf(a, STR_FMT "_%d", STR_ARG(name), n);
        }
        f->columns[i].name = unique;
    }
}

// The first row that is not blank.
static enum err_code first_row(struct ingest_upload *u, const struct csv_dialect *d,
                               struct csv_reader *r, const struct csv_record **ret,
                               int64_t *ret_skip, struct err *err) {
    TRY(csv_reader_open(u->path, d, r, err));
    *ret_skip = -1;
    do {
        TRY(csv_reader_next(r, ret, err));
        (*ret_skip)++;
    } while (*ret && (*ret)->blank);
    if (!*ret) {
        return err_set(err, ERR_DATA, "there is nothing in the file but empty lines");
    }
    return ERR_OK;
}

static enum err_code best_dialect(struct ingest_upload *u, struct csv_dialect *ret,
                                  struct err *err) {
    char *buf = arena_alloc(&u->arena, DIALECT_BYTES);
    struct str head = STR_NONE;
    TRY(read_head(u->path, buf, DIALECT_BYTES, &head, err));
    struct csv_dialect list[16];
    const size_t count = candidates(u, uses_cr(head), list);
    struct trial best = {0};
    for (size_t i = 0; i < count; i++) {
        const bool quotes = list[i].quote && file_has(head, list[i].quote);
        if (i > 0 && list[i].quote && !quotes && u->request.quote.len != 1) {
            continue; // says nothing that the plain one does not
        }
        struct trial t = {.dialect = list[i]};
        TRY(try_dialect(u->path, &t, err));
        if (i == 0 || is_better(&t, &best)) {
            best = t;
        }
    }
    *ret = best.dialect;
    if (best.common_count <= 1 && u->request.delimiter.len == 0 && u->format != INGEST_TSV) {
        ret->delimiter = unused_delimiter(head);
    }
    return ERR_OK;
}

enum err_code csv_dialect_find(struct ingest_upload *u, struct csv_file *f, struct err *err) {
    TRY(best_dialect(u, &f->dialect, err));
    DEFER(csv_reader_close) struct csv_reader r = {.fd = -1};
    const struct csv_record *first = NULL;
    TRY(first_row(u, &f->dialect, &r, &first, &f->dialect.skip, err));
    if (first->fault) {
        return err_set(err, ERR_DATA, "line %lld: %s", (long long)first->line, first->fault);
    }
    if (str_starts(first->raw, STR("sep=")) && first->raw.len <= 5) {
        return err_set(err, ERR_DATA,
                       "the first line, \"sep=\", belongs to Excel and not to the data: remove it "
                       "and state the delimiter");
    }
    if (first->count > INGEST_COLUMNS_MAX) {
        return err_set(err, ERR_DATA, "there are %zu columns; at most %d are possible",
                       first->count, INGEST_COLUMNS_MAX);
    }
    f->count = first->count;
    f->columns = arena_array(&u->arena, f->count, sizeof(*f->columns));
    f->stale = true;
    if (u->request.header == INGEST_DETECT) {
        f->dialect.header = true; // so that the first row is no value
        TRY(csv_types(u, f, INGEST_SAMPLE_ROWS, err));
        f->dialect.header = is_header(first, f->columns, f->count);
        f->stale = !f->dialect.header;
    } else {
        f->dialect.header = u->request.header == INGEST_YES;
    }
    name_columns(f, f->dialect.header ? first : NULL, &u->arena);
    return ERR_OK;
}
