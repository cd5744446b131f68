// Encoders: what all formats share, and the choice between them.
#include "encode/encode_int.h"

#include "base/json.h"

#include <stdlib.h>

static const struct encode_format_row {
    const struct encode_ops *ops;
    const char *content_type;
} formats[] = {
    [ENCODE_JSON] = {&encode_json_ops, "application/json"},
    [ENCODE_NDJSON] = {&encode_json_ops, "application/x-ndjson"},
    [ENCODE_CSV] = {&encode_csv_ops, "text/csv; charset=utf-8; header=present"},
    [ENCODE_TSV] = {&encode_csv_ops, "text/tab-separated-values; charset=utf-8"},
    [ENCODE_ARROW] = {&encode_arrow_ops, "application/vnd.apache.arrow.stream"},
};

static bool name_taken(const struct encode_column *columns, size_t count, struct str name) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq(columns[i].name, name)) {
            return true;
        }
    }
    return false;
}

// Copies the columns; a name that an earlier column has gets _1, _2 ... behind it, but none that
// any other column has.
static struct encode_column *different_names(const struct encode_column *columns, size_t count,
                                             struct arena *a) {
    struct encode_column *ret = arena_array(a, count, sizeof(*ret));
    for (size_t i = 0; i < count; i++) {
        struct str name = columns[i].name;
        for (size_t n = 1; name_taken(ret, i, name); n++) {
            name = arena_printf(a, STR_FMT "_%zu", STR_ARG(columns[i].name), n);
            name = name_taken(columns, count, name) ? columns[i].name : name;
        }
        ret[i] = (struct encode_column){arena_str(a, name), columns[i].type};
    }
    return ret;
}

struct encoder *encoder_new(const struct encode_options *o, const struct encode_column *columns,
                            size_t column_count) {
    struct encoder *e = xcalloc(1, sizeof(*e));
    e->options = *o;
    e->ops = formats[o->format].ops;
    e->arena = ARENA(SIZE_MAX);
    e->scratch = ARENA(SIZE_MAX);
    e->columns = different_names(columns, column_count, &e->arena);
    e->column_count = column_count;
    e->ops->open(e);
    return e;
}

void encoder_free(struct encoder *e) {
    if (e) {
        arena_release(&e->scratch);
        arena_release(&e->arena);
        free(e);
    }
}

void encoder_freep(struct encoder **e) {
    encoder_free(*e);
    *e = NULL;
}

void encoder_head(struct encoder *e, struct buf *out) {
    e->ops->head(e, out);
}

enum err_code encoder_rows(struct encoder *e, const struct encode_rows *rows, struct buf *out,
                           struct err *err) {
    CHECK(rows->chunk->column_count == e->column_count);
    CHECK(rows->first <= rows->chunk->rows && rows->count <= rows->chunk->rows - rows->first);
    return rows->count > 0 ? e->ops->rows(e, rows, out, err) : ERR_OK;
}

void encoder_tail(struct encoder *e, struct buf *out) {
    e->ops->tail(e, out);
}

const char *encode_content_type(enum encode_format f) {
    return formats[f].content_type;
}

void encode_columns(const struct encode_column *columns, size_t column_count, struct buf *out) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct encode_column *named = different_names(columns, column_count, &a);
    struct jsonw w = JSONW(out);
    jsonw_array(&w);
    for (size_t i = 0; i < column_count; i++) {
        jsonw_object(&w);
        jsonw_field_str(&w, "name", named[i].name);
        jsonw_field_str(&w, "type", named[i].type->text);
        jsonw_end_object(&w);
    }
    jsonw_end_array(&w);
}
