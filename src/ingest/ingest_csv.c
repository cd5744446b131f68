// Delimited text: the types of its columns, the SQL that reads it, and what happens to bad rows.
#include "ingest/ingest_csv.h"
#include "table/table_types.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SQL_MAX (64 << 20)
#define WRITE_BYTES (1 << 20)
#define CSV_BUFFER INGEST_ROW_MAX // bytes that a thread reads at once; a row must fit
#define WIDE_COLUMNS 1000         // each takes 32 KiB a thread, several times

// The dataset's types that text can be read as, and from which kinds.
static const struct target {
    enum ice_kind type;
    uint32_t kinds;
} targets[] = {
    {ICE_BOOLEAN, CSV_BIT(CSV_BOOLEAN)},
    {ICE_INT, CSV_BIT(CSV_INT)},
    {ICE_LONG, CSV_BIT(CSV_INT)},
    {ICE_FLOAT, CSV_BIT(CSV_DOUBLE)},
    {ICE_DOUBLE, CSV_BIT(CSV_DOUBLE)},
    {ICE_DECIMAL, CSV_BIT(CSV_DOUBLE)},
    {ICE_DATE, CSV_BIT(CSV_DATE) | CSV_BIT(CSV_DMY_SLASH) | CSV_BIT(CSV_MDY_SLASH) |
                   CSV_BIT(CSV_DMY_DASH) | CSV_BIT(CSV_MDY_DASH) | CSV_BIT(CSV_DMY_DOT)},
    {ICE_TIMESTAMP, CSV_BIT(CSV_TIMESTAMP) | CSV_BIT(CSV_DMY_SLASH) | CSV_BIT(CSV_MDY_SLASH) |
                        CSV_BIT(CSV_DMY_DASH) | CSV_BIT(CSV_MDY_DASH) | CSV_BIT(CSV_DMY_DOT)},
    {ICE_TIMESTAMPTZ, CSV_BIT(CSV_TIMESTAMPTZ)},
    {ICE_TIME, CSV_BIT(CSV_TIME)},
};

// Day and month cannot be told apart in any value.
static bool is_ambiguous(const struct csv_column *c, enum csv_kind k) {
    const bool slash = k == CSV_DMY_SLASH || k == CSV_MDY_SLASH;
    const bool dash = k == CSV_DMY_DASH || k == CSV_MDY_DASH;
    return (slash && c->fits[CSV_DMY_SLASH] == c->fits[CSV_MDY_SLASH]) ||
           (dash && c->fits[CSV_DMY_DASH] == c->fits[CSV_MDY_DASH]);
}

// The kind among `allowed` that most values fit, the preferred one between equals.
static enum csv_kind best_kind(const struct csv_column *c, uint32_t allowed) {
    enum csv_kind best = CSV_TEXT;
    for (size_t k = 0; k < CSV_KIND_COUNT; k++) {
        const enum csv_kind kind = (enum csv_kind)k;
        if ((allowed & CSV_BIT(k)) != 0 && !is_ambiguous(c, kind) &&
            (best == CSV_TEXT || c->fits[k] > c->fits[best])) {
            best = kind;
        }
    }
    return best;
}

// A dataset's type that text must go into at once.
static bool is_rounded(const struct ice_type *t) {
    return t && (t->kind == ICE_FLOAT || t->kind == ICE_DECIMAL);
}

static bool has_bounds(const struct ice_type *t) {
    return t && (t->kind == ICE_INT || t->kind == ICE_DECIMAL);
}

// At least two values in three: the others are mistakes.
static bool are_most(int64_t fits, int64_t values) {
    return fits * 3 >= values * 2;
}

// For a column that the dataset has. False: its type is not to be had from this text.
static bool decide_target(struct csv_column *c, struct arena *a) {
    if (c->target->kind == ICE_STRING) {
        c->kind = CSV_TEXT;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        if (targets[i].type != c->target->kind) {
            continue;
        }
        const enum csv_kind kind = best_kind(c, targets[i].kinds);
        const bool bounds = has_bounds(c->target);
        const int64_t fits = bounds ? c->fits_target : kind == CSV_TEXT ? 0 : c->fits[kind];
        if (kind == CSV_TEXT || !are_most(fits, c->values)) {
            return false;
        }
        c->kind = kind;
        c->narrow = bounds;
        c->bad_rows = fits < c->values;
        c->sql_type = table_type_sql(c->target, a);
        return true;
    }
    return false;
}

static void decide(struct csv_column *c, bool reject, struct arena *a) {
    c->narrow = false;
    c->bad_rows = false;
    if (c->target && decide_target(c, a)) {
        return;
    }
    const enum csv_kind kind = best_kind(c, ~0U);
    const int64_t fits = kind == CSV_TEXT ? 0 : c->fits[kind];
    const bool all = fits == c->values;
    if (c->values == 0 || (!all && !(reject && are_most(fits, c->values)))) {
        c->kind = CSV_TEXT;
        return;
    }
    c->kind = kind;
    c->bad_rows = !all;
    c->sql_type = str_from(csv_kind_sql(kind));
}

bool csv_value_fits(const struct csv_column *c, struct str text) {
    if (c->kind == CSV_TEXT) {
        return true;
    }
    if (c->narrow) {
        return c->target->kind == ICE_INT
                   ? csv_fits_int32(text)
                   : csv_fits_decimal(text, c->target->precision, c->target->scale);
    }
    return (csv_kinds(text) & CSV_BIT(c->kind)) != 0;
}

static void look_at(struct csv_column *c, struct str text) {
    if (text.len == 0) {
        return;
    }
    c->values++;
    uint32_t kinds = csv_kinds(text);
    if (kinds != 0 && has_bounds(c->target)) {
        const struct ice_type *t = c->target;
        c->fits_target += (t->kind == ICE_INT ? csv_fits_int32(text)
                                              : csv_fits_decimal(text, t->precision, t->scale))
                              ? 1
                              : 0;
    }
    while (kinds != 0) {
        c->fits[__builtin_ctz(kinds)]++;
        kinds &= kinds - 1;
    }
}

static void forget(struct csv_file *f) {
    f->faults = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct csv_column *c = &f->columns[i];
        memset(c->fits, 0, sizeof(c->fits));
        c->values = 0;
        c->fits_target = 0;
    }
}

// What is wrong with the form of a row; NULL: nothing.
static const char *form_fault(const struct ingest_upload *u, const struct csv_file *f,
                              const struct csv_record *r, struct arena *a) {
    if (r->fault) {
        return r->fault;
    }
    if (r->count != f->count) {
        return arena_printf(a, "expected %zu columns, found %zu", f->count, r->count).ptr;
    }
    if (u->bad_utf8 && !str_is_utf8(r->raw)) {
        return "there are bytes that are not UTF-8";
    }
    return NULL;
}

// Is there no row here? An empty line is a NULL where there is one column only.
static bool is_no_row(const struct csv_file *f, const struct csv_record *r) {
    return r->blank && f->count > 1;
}

// Reads up to the first row of data.
static enum err_code pass_header(struct csv_reader *r, const struct csv_file *f, struct err *err) {
    const struct csv_record *record = NULL;
    for (int64_t i = 0; i < f->dialect.skip + (f->dialect.header ? 1 : 0); i++) {
        TRY(csv_reader_next(r, &record, err));
    }
    return ERR_OK;
}

enum err_code csv_types(struct ingest_upload *u, struct csv_file *f, int64_t max, struct err *err) {
    DEFER(csv_reader_close) struct csv_reader r = {.fd = -1};
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    TRY(csv_reader_open(u->path, &f->dialect, &r, err));
    TRY(pass_header(&r, f, err));
    forget(f);
    f->stale = false;
    const struct csv_record *record = NULL;
    int64_t rows = 0;
    do {
        TRY(csv_reader_next(&r, &record, err));
        if (!record || is_no_row(f, record)) {
            continue;
        }
        if ((rows++ & 1023) == 0) {
            TRY(upload_check(u, err));
            arena_reset(&a);
        }
        const bool bad = form_fault(u, f, record, &a) != NULL;
        f->faults += bad ? 1 : 0;
        for (size_t i = 0; !bad && i < f->count; i++) {
            look_at(&f->columns[i], record->fields[i].text);
        }
    } while (record && (max == 0 || rows < max));
    f->whole = !record;
    for (size_t i = 0; i < f->count; i++) {
        decide(&f->columns[i], u->request.reject, &u->arena);
    }
    return ERR_OK;
}

static struct str shown(struct str text, size_t max) {
    return str_slice(text, 0, max);
}

static enum err_code note_bad(struct ingest_upload *u, const struct csv_record *r,
                              const struct csv_column *c, struct str reason, struct err *err) {
    const struct ingest_reject bad = {
        .line = r->line,
        .column = c ? c->name : STR_NONE,
        .reason = reason,
        .text = shown(r->raw, INGEST_REJECT_TEXT_MAX),
    };
    return rejects_add(u, &bad, err);
}

// Notes the row if it is a bad one.
static enum err_code judge(struct ingest_upload *u, const struct csv_file *f,
                           const struct csv_record *r, struct arena *a, bool *ret_good,
                           struct err *err) {
    const char *fault = form_fault(u, f, r, a);
    *ret_good = fault == NULL;
    if (fault) {
        return note_bad(u, r, NULL, str_from(fault), err);
    }
    for (size_t i = 0; i < f->count; i++) {
        const struct csv_column *c = &f->columns[i];
        const struct str text = r->fields[i].text;
        if (!c->bad_rows || text.len == 0 || csv_value_fits(c, text)) {
            continue;
        }
        *ret_good = false;
        const struct str value = shown(text, 100);
        return note_bad(u, r, c,
                        arena_printf(a, "could not convert \"" STR_FMT "\" to " STR_FMT,
                                     STR_ARG(value), STR_ARG(c->sql_type)),
                        err);
    }
    return ERR_OK;
}

static enum err_code flush(int fd, struct buf *out, struct err *err) {
    size_t done = 0;
    while (done < out->len) {
        const ssize_t n = write(fd, out->ptr + done, out->len - done);
        if (n < 0 && errno != EINTR) {
            return err_errno(err, "cannot write the spool file");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    buf_reset(out);
    return ERR_OK;
}

// The row in the plainest form that there is.
static void add_plain(struct buf *out, const struct csv_file *f, const struct csv_record *r,
                      struct arena *a) {
    for (size_t i = 0; i < f->count; i++) {
        if (i > 0) {
            buf_add_char(out, ',');
        }
        const struct str text = r->blank ? STR_NONE : csv_field_text(&r->fields[i], &f->dialect, a);
        if (text.len == 0 && f->count > 1) {
            continue;
        }
        buf_add_char(out, '"');
        for (size_t k = 0; k < text.len; k++) {
            if (text.ptr[k] == '"') {
                buf_add_char(out, '"');
            }
            buf_add_char(out, text.ptr[k]);
        }
        buf_add_char(out, '"');
    }
    buf_add_char(out, '\n');
}

enum err_code csv_sort_out(struct ingest_upload *u, struct csv_file *f, struct str path,
                           struct err *err) {
    DEFER(csv_reader_close) struct csv_reader r = {.fd = -1};
    DEFER(arena_release) struct arena a = ARENA((size_t)INGEST_ROW_MAX * 2);
    DEFER(buf_release) struct buf out = BUF(64 << 20);
    DEFER(closep)
    int fd = open(arena_cstr(&u->arena, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, "cannot make a spool file");
    }
    TRY(csv_reader_open(u->path, &f->dialect, &r, err));
    TRY(pass_header(&r, f, err));
    const struct csv_record *record = NULL;
    int64_t rows = 0;
    for (;;) {
        TRY(csv_reader_next(&r, &record, err));
        if (!record) {
            return flush(fd, &out, err);
        }
        if (is_no_row(f, record)) {
            continue;
        }
        if ((rows++ & 255) == 0) {
            TRY(upload_check(u, err));
        }
        arena_reset(&a);
        bool good = false;
        TRY(judge(u, f, record, &a, &good, err));
        if (good) {
            add_plain(&out, f, record, &a);
        }
        if (out.len > WRITE_BYTES) {
            TRY(flush(fd, &out, err));
        }
    }
}

// A file to be read, and how.
struct source {
    struct str path;
    struct csv_dialect dialect;
};

// The value of a text. A reader takes what csv_kinds takes; a type of the dataset's own is a cast
// of what it gives, but for those that would be rounded on that way.
static void add_value(struct buf *sql, const struct csv_column *c, const char *n) {
    const struct engine_reader *r = csv_kind_reader(c->kind);
    if (!r || is_rounded(c->target)) {
        buf_printf(sql, "CAST(trim(%s) AS " STR_FMT ")", n, STR_ARG(c->sql_type));
    } else if (str_is(c->sql_type, csv_kind_sql(c->kind))) {
        buf_printf(sql, "%s(%s)", r->name, n);
    } else {
        buf_printf(sql, "CAST(%s(%s) AS " STR_FMT ")", r->name, n, STR_ARG(c->sql_type));
    }
}

static struct str char_literal(char c, struct arena *a) {
    return c ? sql_literal((struct str){&c, 1}, a) : STR("''");
}

// A table expression: every column is read as text and cast as the types say.
static enum err_code source_sql(const struct csv_file *f, const struct source *s, struct arena *a,
                                struct str *ret, struct err *err) {
    const struct csv_dialect *d = &s->dialect;
    DEFER(buf_release) struct buf sql = BUF(SQL_MAX);
    buf_add_cstr(&sql, "(SELECT ");
    for (size_t i = 0; i < f->count; i++) {
        const struct csv_column *c = &f->columns[i];
        char n[24];
        (void)snprintf(n, sizeof(n), "c%zu", i);
        buf_add_cstr(&sql, i > 0 ? ", " : "");
        if (c->kind == CSV_TEXT) {
            buf_add_cstr(&sql, n);
        } else {
            add_value(&sql, c, n);
        }
        const struct str name = sql_ident(c->name, a);
        buf_printf(&sql, " AS " STR_FMT, STR_ARG(name));
    }
    const struct str file = sql_literal(s->path, a);
    const struct str delimiter = char_literal(d->delimiter, a);
    const struct str quote = char_literal(d->quote, a);
    const struct str escape = char_literal(d->escape, a);
    buf_printf(&sql,
               " FROM read_csv(" STR_FMT ", auto_detect=false, compression='none', comment='', "
               "delim=" STR_FMT ", quote=" STR_FMT ", escape=" STR_FMT ", header=%s, skip=%lld, "
               "max_line_size=%d, buffer_size=%d, parallel=%s, columns={",
               STR_ARG(file), STR_ARG(delimiter), STR_ARG(quote), STR_ARG(escape),
               d->header ? "true" : "false", (long long)d->skip, INGEST_ROW_MAX, CSV_BUFFER,
               f->count > WIDE_COLUMNS ? "false" : "true");
    for (size_t i = 0; i < f->count; i++) {
        buf_printf(&sql, "%s'c%zu': 'VARCHAR'", i > 0 ? ", " : "", i);
    }
    buf_add_cstr(&sql, "}))");
    if (sql.overflow) {
        return err_set(err, ERR_TOO_LARGE, "the names of the columns are too long");
    }
    *ret = arena_str(a, buf_str(&sql));
    return ERR_OK;
}

// The dataset's types, which the columns that it has are read as.
static enum err_code find_targets(struct ingest_upload *u, struct csv_file *f, struct arena *a,
                                  struct err *err) {
    if (u->request.mode != TABLE_APPEND) {
        return ERR_OK;
    }
    struct table_pin pin;
    const struct table_want want = {.name = u->request.dataset};
    TRY(table_pin_at(u->ingest->tables, &want, a, &pin, err));
    for (size_t i = 0; i < f->count; i++) {
        const struct ice_field *field = ice_schema_find(pin.schema, f->columns[i].name);
        f->columns[i].target = field ? &field->type : NULL;
        f->stale = f->stale || field;
    }
    return ERR_OK;
}

// Must every row be looked at before the first try? The engine's casts take more than we do.
static bool needs_whole(const struct ingest_upload *u, const struct csv_file *f) {
    if (u->request.reject || f->faults > 0 || u->bad_utf8) {
        return true;
    }
    for (size_t i = 0; i < f->count; i++) {
        const struct csv_column *c = &f->columns[i];
        const bool text = c->target && c->target->kind == ICE_STRING;
        const bool cast =
            c->kind != CSV_TEXT && (!csv_kind_reader(c->kind) || is_rounded(c->target));
        const bool dates =
            c->values > 0 &&
            (c->fits[CSV_DMY_SLASH] == c->values || c->fits[CSV_DMY_DASH] == c->values ||
             c->fits[CSV_MDY_SLASH] == c->values || c->fits[CSV_MDY_DASH] == c->values);
        if ((c->values == 0 && !text) || cast || c->bad_rows ||
            (dates && c->kind == CSV_TEXT && !text)) {
            return true;
        }
    }
    return false;
}

static bool has_bad_rows(const struct csv_file *f) {
    for (size_t i = 0; i < f->count; i++) {
        if (f->columns[i].bad_rows) {
            return true;
        }
    }
    return f->faults > 0;
}

// The second way: every row was or is looked at, the good ones are written plainly.
static enum err_code write_sorted(struct ingest_upload *u, struct csv_file *f, struct str sha256,
                                  struct arena *a, struct table_written *ret, struct err *err) {
    if (!f->whole) {
        TRY(csv_types(u, f, 0, err));
    }
    const struct str path = upload_path(u, "sorted");
    TRY(csv_sort_out(u, f, path, err));
    if (u->rejected > 0 && !u->request.reject) {
        return rejects_fail(u, err);
    }
    const struct csv_dialect plain = {.delimiter = ',', .quote = '"', .escape = '"'};
    const struct source s = {.path = path, .dialect = plain};
    struct str source = STR_NONE;
    TRY(source_sql(f, &s, a, &source, err));
    return upload_write(u, source, sha256, a, ret, err);
}

enum err_code csv_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                        struct table_written *ret, struct err *err) {
    struct csv_file f = {0};
    TRY(csv_dialect_find(u, &f, err));
    TRY(find_targets(u, &f, &u->arena, err));
    if (f.stale) {
        TRY(csv_types(u, &f, INGEST_SAMPLE_ROWS, err));
    }
    if (!f.whole && needs_whole(u, &f)) {
        TRY(csv_types(u, &f, 0, err));
    }
    if (!has_bad_rows(&f)) {
        const struct source s = {.path = u->path, .dialect = f.dialect};
        struct str source = STR_NONE;
        TRY(source_sql(&f, &s, a, &source, err));
        const enum err_code code = upload_write(u, source, sha256, a, ret, err);
        if (code != ERR_SQL) {
            return code;
        }
    }
    *err = ERR_NONE;
    const enum err_code code = write_sorted(u, &f, sha256, a, ret, err);
    if (code == ERR_SQL) {
        err->code = ERR_DATA;
        return ERR_DATA;
    }
    return code;
}
