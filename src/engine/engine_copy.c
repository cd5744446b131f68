// COPY to Parquet, and the statistics of the files that it wrote.
//
// The statement answers one row per file: filename VARCHAR, count, file_size_bytes and
// footer_size_bytes UBIGINT, column_statistics MAP(VARCHAR, MAP(VARCHAR, VARCHAR)), partition_keys.
// The outer key is the column's path ("st"."x"), the inner map has column_size_bytes, num_values,
// null_count, min, max and, for floating point, has_nan; what is missing is not known.
#include "engine/engine_int.h"

enum { COLUMN_NAME, COLUMN_ROWS, COLUMN_BYTES, COLUMN_FOOTER, COLUMN_STATS, COLUMNS };

#define STATEMENT_MAX (64U << 20)

static void add_statement(const struct engine_copy *c, struct arena *a, struct buf *out) {
    buf_add_cstr(out, "COPY (");
    buf_add_str(out, c->select);
    buf_add_cstr(out, "\n) TO "); // the line break ends a comment
    buf_add_str(out, sql_literal(c->path, a));
    buf_printf(out, " (FORMAT parquet, COMPRESSION %s, RETURN_STATS",
               c->codec != NULL ? c->codec : "zstd");
    if (c->field_ids.len > 0) {
        buf_add_cstr(out, ", FIELD_IDS ");
        buf_add_str(out, c->field_ids);
    }
    if (c->kv.len > 0) {
        buf_add_cstr(out, ", KV_METADATA ");
        buf_add_str(out, c->kv);
    }
    if (c->group_rows > 0) {
        buf_printf(out, ", ROW_GROUP_SIZE %lld", (long long)c->group_rows);
    }
    if (c->file_bytes > 0) {
        buf_printf(out, ", FILE_SIZE_BYTES %lld, PER_THREAD_OUTPUT false",
                   (long long)c->file_bytes);
    }
    buf_add_char(out, ')');
}

// One part of a column path, quoted or not; *at moves behind it and its dot.
static struct str path_part(struct str path, size_t *at, struct arena *a) {
    char *out = arena_alloc(a, path.len - *at + 1);
    size_t len = 0;
    size_t i = *at;
    const bool quoted = i < path.len && path.ptr[i] == '"';
    i += quoted ? 1 : 0;
    while (i < path.len && (quoted || path.ptr[i] != '.')) {
        if (quoted && path.ptr[i] == '"') {
            i++;
            if (i == path.len || path.ptr[i] != '"') {
                break; // the closing quote; two of them stand for one
            }
        }
        out[len++] = path.ptr[i++];
    }
    *at = i + 1;
    return (struct str){out, len};
}

static void read_path(struct str path, struct arena *a, struct engine_column_stats *ret) {
    size_t cap = 0;
    for (size_t at = 0; at < path.len;) {
        ret->parts = arena_grow(a, ret->parts, &cap, ret->part_count + 1, sizeof(*ret->parts));
        ret->parts[ret->part_count++] = path_part(path, &at, a);
    }
    DEFER(buf_release) struct buf joined = BUF(STATEMENT_MAX);
    for (size_t i = 0; i < ret->part_count; i++) {
        buf_add_cstr(&joined, i > 0 ? "." : "");
        buf_add_str(&joined, ret->parts[i]);
    }
    ret->path = arena_str(a, buf_str(&joined));
}

static void read_stat(struct str key, struct str value, struct arena *a,
                      struct engine_column_stats *ret) {
    if (str_is(key, "column_size_bytes")) {
        (void)str_to_i64(value, &ret->column_bytes);
    } else if (str_is(key, "num_values")) {
        (void)str_to_i64(value, &ret->num_values);
    } else if (str_is(key, "null_count")) {
        (void)str_to_i64(value, &ret->null_count);
    } else if (str_is(key, "min")) {
        ret->has_min = true;
        ret->min = arena_str(a, value);
    } else if (str_is(key, "max")) {
        ret->has_max = true;
        ret->max = arena_str(a, value);
    } else if (str_is(key, "has_nan")) {
        ret->nan_known = true;
        ret->has_nan = str_is(value, "true");
    }
}

static void read_column(const struct vec *stats, struct vec_list range, struct arena *a,
                        struct engine_column_stats *ret) {
    const struct vec *pair = &stats->children[0];
    for (uint64_t i = range.offset; i < range.offset + range.length; i++) {
        if (!vec_is_null(&pair->children[1], i)) {
            read_stat(vec_str(&pair->children[0], i), vec_str(&pair->children[1], i), a, ret);
        }
    }
}

static void read_columns(const struct vec *map, size_t row, struct arena *a,
                         struct engine_file_stats *ret) {
    if (vec_is_null(map, row)) {
        return;
    }
    const struct vec_list range = ((const struct vec_list *)map->data)[row];
    const struct vec *pair = &map->children[0];
    const struct vec *stats = &pair->children[1];
    ret->columns = arena_array(a, range.length, sizeof(*ret->columns));
    ret->column_count = range.length;
    for (uint64_t i = 0; i < range.length; i++) {
        const uint64_t at = range.offset + i;
        struct engine_column_stats *column = &ret->columns[i];
        *column =
            (struct engine_column_stats){.column_bytes = -1, .num_values = -1, .null_count = -1};
        read_path(vec_str(&pair->children[0], at), a, column);
        read_column(stats, ((const struct vec_list *)stats->data)[at], a, column);
    }
}

static enum err_code check_shape(const struct rows *r, struct err *err) {
    static const enum vec_kind kinds[COLUMNS] = {VEC_VARCHAR, VEC_UINT64, VEC_UINT64, VEC_UINT64,
                                                 VEC_MAP};
    bool ok = rows_column_count(r) >= COLUMNS;
    for (size_t i = 0; ok && i < COLUMNS; i++) {
        ok = rows_column_type(r, i)->kind == kinds[i];
    }
    return ok ? ERR_OK : err_set(err, ERR_INTERNAL, "COPY answered with unexpected columns");
}

static int64_t count_at(const struct vec_chunk *chunk, size_t column, size_t row) {
    const uint64_t v = ((const uint64_t *)chunk->columns[column].data)[row];
    return vec_is_null(&chunk->columns[column], row) ? -1 : (int64_t)v;
}

static void read_file(const struct vec_chunk *chunk, size_t row, struct arena *a,
                      struct engine_file_stats *ret) {
    *ret = (struct engine_file_stats){
        .path = arena_str(a, vec_str(&chunk->columns[COLUMN_NAME], row)),
        .rows = count_at(chunk, COLUMN_ROWS, row),
        .bytes = count_at(chunk, COLUMN_BYTES, row),
        .footer_bytes = count_at(chunk, COLUMN_FOOTER, row),
    };
    read_columns(&chunk->columns[COLUMN_STATS], row, a, ret);
}

static enum err_code copy(struct session *s, struct str sql, struct arena *a,
                          struct engine_file_stats **ret, size_t *ret_count, struct err *err) {
    DEFER(rows_closep) struct rows *r = NULL;
    TRY(session_query_once(s, sql, &r, err));
    TRY(check_shape(r, err));
    struct engine_file_stats *files = NULL;
    size_t count = 0;
    size_t cap = 0;
    const struct vec_chunk *chunk = NULL;
    do {
        TRY(rows_next(r, &chunk, err));
        for (size_t i = 0; chunk && i < chunk->rows; i++) {
            files = arena_grow(a, files, &cap, count + 1, sizeof(*files));
            read_file(chunk, i, a, &files[count++]);
        }
    } while (chunk);
    *ret = files;
    *ret_count = count;
    return ERR_OK;
}

// Its rows are read once more, into nothing, for the reason of a failure that the engine has lost.
static enum err_code find_reason(struct session *s, struct str select, struct err *err) {
    DEFER(rows_closep) struct rows *r = NULL;
    struct err reason = ERR_NONE;
    const struct vec_chunk *chunk = NULL;
    enum err_code code = session_query(s, select, &r, &reason);
    do {
        code = code == ERR_OK ? rows_next(r, &chunk, &reason) : code;
    } while (code == ERR_OK && chunk);
    *err = code == ERR_OK ? *err : reason;
    return err->code;
}

enum err_code engine_copy_to(struct session *s, const struct engine_copy *c, struct arena *a,
                             struct engine_file_stats **ret, size_t *ret_count, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(STATEMENT_MAX);
    add_statement(c, a, &sql);
    if (sql.overflow) {
        return err_set(err, ERR_TOO_LARGE, "the statement that writes the file is too long");
    }
    const enum err_code code = copy(s, buf_str(&sql), a, ret, ret_count, err);
    return code == ERR_BUSY ? find_reason(s, c->select, err) : code;
}
