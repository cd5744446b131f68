// JSON and Parquet: what the engine reads by itself, with types taken from the whole file.
#include "ingest/ingest_csv.h"
#include "table/table_types.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SQL_MAX (16 << 20)
#define LOOK_BYTES ((size_t)1 << 20)

// How the objects stand in the file, in the engine's words.
enum layout { LAYOUT_ARRAY, LAYOUT_LINES, LAYOUT_LOOSE };
static const char *const layout_names[] = {"array", "newline_delimited", "unstructured"};

// Behind the object that begins at `at`: position of its closing brace, or the length.
static size_t object_end(struct str s, size_t at) {
    int depth = 0;
    bool inside = false; // a string
    for (size_t i = at; i < s.len; i++) {
        const char c = s.ptr[i];
        if (inside) {
            i += c == '\\' ? 1 : 0;
            inside = c != '"';
            continue;
        }
        inside = c == '"';
        depth += c == '{' || c == '[' ? 1 : 0;
        depth -= c == '}' || c == ']' ? 1 : 0;
        if (depth == 0) {
            return i;
        }
    }
    return s.len;
}

static size_t skip_space(struct str s, size_t at) {
    while (at < s.len && (s.ptr[at] == ' ' || (s.ptr[at] >= '\t' && s.ptr[at] <= '\r'))) {
        at++;
    }
    return at;
}

// One object a line is what the engine reads fastest; anything else is read one by one.
static enum layout find_layout(const struct ingest_upload *u, struct str head) {
    const size_t at = skip_space(head, 0);
    if (u->format == INGEST_NDJSON) {
        return LAYOUT_LINES;
    }
    if (at < head.len && head.ptr[at] == '[') {
        return LAYOUT_ARRAY;
    }
    const size_t end = object_end(head, at);
    const struct str first = str_slice(head, at, end);
    size_t next = end + 1;
    while (next < head.len && (head.ptr[next] == ' ' || head.ptr[next] == '\r')) {
        next++;
    }
    const bool alone = next >= head.len || head.ptr[next] == '\n';
    return str_find_char(first, '\n') < 0 && alone ? LAYOUT_LINES : LAYOUT_LOOSE;
}

static enum err_code look(struct ingest_upload *u, enum layout *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(LOOK_BYTES * 2);
    DEFER(closep) int fd = open(arena_cstr(&a, u->path), O_RDONLY | O_CLOEXEC);
    char *buf = arena_alloc(&a, LOOK_BYTES);
    const ssize_t len = fd >= 0 ? pread(fd, buf, LOOK_BYTES, 0) : -1;
    if (len < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    struct str head = {buf, (size_t)len};
    if (str_starts(head, STR("\xEF\xBB\xBF"))) {
        head = str_slice(head, 3, head.len);
    }
    *ret = find_layout(u, head);
    const size_t open_at = skip_space(head, 0);
    const size_t at = skip_space(head, open_at + 1);
    if (*ret != LAYOUT_ARRAY || at >= head.len) {
        return ERR_OK;
    }
    if (head.ptr[at] == ']') {
        return err_set(err, ERR_DATA, "the array is empty: there are no columns to be found");
    }
    if (head.ptr[at] != '{') {
        return err_set(err, ERR_DATA, "the array must consist of objects: [{...}, {...}]");
    }
    return ERR_OK;
}

// columns: the literal of names and types; empty: the engine finds them in the whole file.
static struct str json_source(struct str path, enum layout layout, struct str columns,
                              struct arena *a) {
    const struct str file = sql_literal(path, a);
    const struct str types =
        columns.len > 0 ? arena_printf(a, "columns=" STR_FMT, STR_ARG(columns))
                        : STR("sample_size=-1, maximum_depth=20, map_inference_threshold=-1, "
                              "field_appearance_threshold=0, convert_strings_to_integers=false");
    return arena_printf(a,
                        "read_json(" STR_FMT ", format='%s', records='true', "
                        "compression='uncompressed', maximum_object_size=%d, " STR_FMT ")",
                        STR_ARG(file), layout_names[layout], INGEST_OBJECT_MAX, STR_ARG(types));
}

// What the reader says about the data is bad data; the memory limit and the like stay.
static enum err_code as_data(enum err_code code, struct err *err) {
    static const struct {
        const char *seen, *said;
    } sayings[] = {
        {"maximum_object_size", "an object is larger than 32 MiB"},
        {"expected records", "there must be objects with fields, and nothing but objects"},
    };
    if (code != ERR_SQL) {
        return code;
    }
    for (size_t i = 0; i < ARRAY_LEN(sayings); i++) {
        if (str_find(str_from(err->msg), str_from(sayings[i].seen)) >= 0) {
            return err_set(err, ERR_DATA, "%s", sayings[i].said);
        }
    }
    err->code = ERR_DATA;
    err->position = -1; // it was one in our own statement
    return ERR_DATA;
}

static bool is_whole(const struct vec_type *t) {
    return t->kind >= VEC_INT8 && t->kind <= VEC_INT64;
}

// May a JSON value that looks like `from` be read as the dataset's type without a loss that
// nobody notices?
static bool reads_as(const struct vec_type *from, const struct ice_type *to) {
    switch (to->kind) {
    case ICE_STRING:
        return true;
    case ICE_INT:
    case ICE_LONG:
    case ICE_DECIMAL:
        return is_whole(from) || from->kind == VEC_JSON;
    case ICE_FLOAT:
    case ICE_DOUBLE:
        return is_whole(from) || from->kind == VEC_DOUBLE || from->kind == VEC_JSON;
    case ICE_TIMESTAMP:
        return from->kind == VEC_DATE || from->kind == VEC_TIMESTAMP || from->kind == VEC_JSON;
    case ICE_BINARY:
    case ICE_FIXED:
        return false;
    default:
        return from->kind == VEC_JSON; // nothing but NULLs
    }
}

struct json_columns {
    struct buf *out;
    const struct ice_schema *schema; // of the dataset; NULL: none
    struct arena *arena;
    bool renamed; // the engine had to tell two names apart
};

static void add_column(struct json_columns *c, const struct rows *r, size_t i) {
    const struct str name = rows_column_name(r, i);
    const struct vec_type *type = rows_column_type(r, i);
    const struct ice_field *field = c->schema ? ice_schema_find(c->schema, name) : NULL;
    const struct str sql =
        field && reads_as(type, &field->type) ? table_type_sql(&field->type, c->arena) : type->text;
    const struct str key = sql_literal(name, c->arena);
    const struct str value = sql_literal(sql, c->arena);
    buf_printf(c->out, "%s" STR_FMT ": " STR_FMT, i > 0 ? ", " : "{", STR_ARG(key), STR_ARG(value));
    for (size_t k = 0; k < i; k++) {
        const struct str other = rows_column_name(r, k);
        c->renamed = c->renamed || (name.len > other.len && name.ptr[other.len] == '_' &&
                                    str_eq_nocase(str_slice(name, 0, other.len), other));
    }
}

// The types that the whole file has, as a literal for the reader.
static enum err_code find_columns(struct ingest_upload *u, enum layout layout, struct str path,
                                  struct arena *a, struct str *ret, struct err *err) {
    struct table_pin pin = {0};
    if (u->request.mode == TABLE_APPEND) {
        const struct table_want want = {.name = u->request.dataset};
        TRY(table_pin_at(u->ingest->tables, &want, a, &pin, err));
    }
    const struct str source = json_source(path, layout, STR_NONE, a);
    const struct str sql = arena_printf(a, "SELECT * FROM " STR_FMT " LIMIT 0", STR_ARG(source));
    DEFER(rows_closep) struct rows *r = NULL;
    TRY(session_query(u->session, sql, &r, err));
    DEFER(buf_release) struct buf out = BUF(SQL_MAX);
    const size_t count = rows_column_count(r);
    if (count > INGEST_COLUMNS_MAX) {
        return err_set(err, ERR_DATA, "there are %zu fields; at most %d are possible", count,
                       INGEST_COLUMNS_MAX);
    }
    struct json_columns c = {.out = &out, .schema = pin.schema, .arena = a};
    for (size_t i = 0; i < count; i++) {
        add_column(&c, r, i);
    }
    buf_add_cstr(&out, "}");
    // With a renamed column only the engine knows which field it means.
    *ret = c.renamed || out.overflow ? STR_NONE : arena_str(a, buf_str(&out));
    return ERR_OK;
}

static enum err_code write_from(struct ingest_upload *u, enum layout layout, struct str sha256,
                                struct arena *a, struct table_written *ret, struct err *err) {
    struct str columns = STR_NONE;
    TRY(find_columns(u, layout, u->path, a, &columns, err));
    return upload_write(u, json_source(u->path, layout, columns, a), sha256, a, ret, err);
}

// The lines that are not objects, as the engine sees them.
static enum err_code query_bad_lines(struct ingest_upload *u, struct arena *a, struct rows **ret,
                                     struct err *err) {
    const struct str file = sql_literal(u->path, a);
    const struct str sql = arena_printf(
        a,
        "SELECT n, CASE WHEN json_valid(c) THEN 'this is not an object' ELSE 'this is not JSON' "
        "END FROM (SELECT row_number() OVER () AS n, c FROM read_csv(" STR_FMT
        ", auto_detect=false, columns={'c': 'VARCHAR'}, delim='\x01', quote='', escape='', "
        "header=false, comment='', compression='none', strict_mode=false, max_line_size=%d)) "
        "WHERE c IS NOT NULL AND trim(c) <> '' AND "
        "CASE WHEN json_valid(c) THEN json_type(c) <> 'OBJECT' ELSE true END",
        STR_ARG(file), INGEST_OBJECT_MAX);
    return session_query(u->session, sql, ret, err);
}

// Walks over the bad lines, in the order of the file.
struct bad_lines {
    struct rows *rows;
    const struct vec_chunk *chunk;
    size_t at;
    int64_t line; // 0: no more
    struct str reason;
};

static enum err_code next_bad_line(struct bad_lines *b, struct err *err) {
    b->at++;
    if (!b->chunk || b->at >= b->chunk->rows) {
        TRY(rows_next(b->rows, &b->chunk, err));
        b->at = 0;
    }
    b->line = b->chunk ? ((const int64_t *)b->chunk->columns[0].data)[b->at] : 0;
    b->reason = b->chunk ? vec_str(&b->chunk->columns[1], b->at) : STR_NONE;
    return ERR_OK;
}

static enum err_code put_line(FILE *file, struct str line, struct err *err) {
    const bool good = fwrite(line.ptr, 1, line.len, file) == line.len && fputc('\n', file) != EOF;
    return good ? ERR_OK : err_errno(err, "cannot write a spool file");
}

static void fclosep(FILE **f) {
    if (*f) {
        (void)fclose(*f);
    }
}

// Copies the good lines to `path` and notes the others.
static enum err_code sort_lines(struct ingest_upload *u, struct bad_lines *b, struct str path,
                                struct err *err) {
    static const struct csv_dialect lines = {.delimiter = '\x01'};
    DEFER(csv_reader_close) struct csv_reader r = {.fd = -1};
    DEFER(fclosep) FILE *file = fopen(path.ptr, "wxe");
    if (!file) {
        return err_errno(err, "cannot make a spool file");
    }
    TRY(csv_reader_open(u->path, &lines, &r, err));
    const struct csv_record *record = NULL;
    TRY(next_bad_line(b, err));
    for (;;) {
        TRY(csv_reader_next(&r, &record, err));
        if (!record) {
            break;
        }
        if (record->line != b->line) {
            TRY(put_line(file, record->raw, err));
            continue;
        }
        const struct ingest_reject bad = {
            .line = record->line,
            .reason = b->reason,
            .text = str_slice(record->raw, 0, INGEST_REJECT_TEXT_MAX),
        };
        TRY(rejects_add(u, &bad, err));
        TRY(next_bad_line(b, err));
        TRY(upload_check(u, err));
    }
    return fclose(TAKE(file)) == 0 ? ERR_OK : err_errno(err, "cannot write a spool file");
}

static enum err_code sort_out(struct ingest_upload *u, struct arena *a, struct err *err) {
    DEFER(rows_closep) struct rows *rows = NULL;
    TRY(query_bad_lines(u, a, &rows, err));
    struct bad_lines b = {.rows = rows};
    const struct str path = upload_path(u, "sorted");
    TRY(sort_lines(u, &b, path, err));
    (void)unlink(arena_cstr(a, u->path));
    u->path = path;
    return ERR_OK;
}

enum err_code json_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                         struct table_written *ret, struct err *err) {
    enum layout layout = LAYOUT_LOOSE;
    if (u->bad_utf8) {
        return err_set(err, ERR_DATA, "byte %lld is not UTF-8, which JSON must be",
                       (long long)u->scan.invalid);
    }
    TRY(look(u, &layout, err));
    u->format = layout == LAYOUT_LINES ? INGEST_NDJSON : INGEST_JSON;
    const enum err_code code = write_from(u, layout, sha256, a, ret, err);
    if (code != ERR_SQL || layout != LAYOUT_LINES) {
        return as_data(code, err);
    }
    // Which lines are it?
    struct err why = *err;
    *err = ERR_NONE;
    TRY(as_data(sort_out(u, a, err), err));
    if (u->rejected == 0) {
        *err = why;
        return as_data(code, err);
    }
    if (!u->request.reject) {
        return rejects_fail(u, err);
    }
    return as_data(write_from(u, layout, sha256, a, ret, err), err);
}

// An I/O error that names our file is the reader's; others are the bucket's. The engine's errors
// name files without their folders.
static bool names_upload(const struct ingest_upload *u, const struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 12);
    const struct str path = str_slice(u->path, u->folder.len + 1, u->path.len);
    const struct str quoted = arena_printf(&a, "\"" STR_FMT "\"", STR_ARG(path));
    return str_find(str_from(err->msg), quoted) >= 0;
}

// The footer and the pages are read by the engine; what it cannot read is bad data.
enum err_code parquet_write(struct ingest_upload *u, struct str sha256, struct arena *a,
                            struct table_written *ret, struct err *err) {
    const struct str file = sql_literal(u->path, a);
    const struct str source = arena_printf(a,
                                           "read_parquet(" STR_FMT ", hive_partitioning=false, "
                                           "union_by_name=false)",
                                           STR_ARG(file));
    const enum err_code code = upload_write(u, source, sha256, a, ret, err);
    const bool encrypted = str_find(str_from(err->msg), STR("ncrypt")) >= 0;
    if (code == ERR_SQL && encrypted) {
        return err_set(err, ERR_UNSUPPORTED, "the Parquet file is encrypted");
    }
    if (code == ERR_IO && names_upload(u, err)) {
        return err_set(err, ERR_DATA,
                       "the Parquet file cannot be read: parts of " STR_FMT
                       " are missing or damaged",
                       STR_ARG(upload_name(u)));
    }
    if (code == ERR_SQL) {
        ingest_clean_message(u->folder, upload_name(u), err);
        err->code = ERR_DATA;
        err->position = -1; // it was one in our own statement
        return err_prefix(err, "the Parquet file cannot be read: ");
    }
    return code;
}
