// CSV (RFC 4180) and TSV: a header line, then a line per row of the engine's texts.
//
// CSV quotes what has a comma, a quote or a line break in it; NULL is an empty field, the empty
// string is "". TSV has no quotes: tab, line breaks and backslash are \t, \n, \r and \\, NULL is
// \N.
#include "encode/encode_int.h"

static void csv_open(struct encoder *e) {
    (void)e;
}

static bool csv_plain(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (c == ',' || c == '"' || c == '\n' || c == '\r') {
            return false;
        }
    }
    return s.len > 0;
}

static void csv_add(struct str s, struct buf *out) {
    if (csv_plain(s)) {
        buf_add_str(out, s);
        return;
    }
    buf_add_char(out, '"');
    struct str rest = s;
    struct str piece = STR_NONE;
    while (str_cut(&rest, '"', &piece)) {
        buf_add_str(out, piece);
        // The quote that ended the piece, if one did.
        if (piece.ptr + piece.len < s.ptr + s.len) {
            buf_add_cstr(out, "\"\"");
        }
    }
    buf_add_char(out, '"');
}

static void tsv_add(struct str s, struct buf *out) {
    for (size_t i = 0; i < s.len; i++) {
        static const char special[] = "\t\n\r\\";
        static const char letters[] = "tnr\\";
        const char *at = s.ptr[i] != '\0' ? strchr(special, s.ptr[i]) : NULL;
        if (at) {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, at ? letters[at - special] : s.ptr[i]);
    }
}

static void add_text(const struct encoder *e, struct str s, struct buf *out) {
    if (e->options.format == ENCODE_CSV) {
        csv_add(s, out);
    } else {
        tsv_add(s, out);
    }
}

static void add_field(const struct encoder *e, const struct vec *v, size_t row, struct buf *out) {
    if (vec_is_null(v, row)) {
        buf_add_cstr(out, e->options.format == ENCODE_CSV ? "" : "\\N");
        return;
    }
    if (v->type->kind == VEC_VARCHAR || v->type->kind == VEC_JSON) {
        add_text(e, vec_str(v, row), out);
        return;
    }
    char text[TEXT_MAX];
    const char *end = text_bounded(v, row, TEXT_SQL, text);
    if (end) {
        buf_add(out, text, (size_t)(end - text)); // these have nothing to quote
        return;
    }
    DEFER(buf_release) struct buf value = BUF(SIZE_MAX / 2);
    encode_text(v, row, &value);
    add_text(e, buf_str(&value), out);
}

static void end_field(const struct encoder *e, size_t i, struct buf *out) {
    const bool csv = e->options.format == ENCODE_CSV;
    if (i + 1 < e->column_count) {
        buf_add_char(out, csv ? ',' : '\t');
    } else {
        buf_add_cstr(out, csv ? "\r\n" : "\n");
    }
}

static void csv_head(struct encoder *e, struct buf *out) {
    for (size_t i = 0; i < e->column_count; i++) {
        add_text(e, e->columns[i].name, out);
        end_field(e, i, out);
    }
}

static enum err_code csv_rows(struct encoder *e, const struct encode_rows *rows, struct buf *out,
                              struct err *err) {
    (void)err;
    for (size_t n = 0; n < rows->count && !out->overflow; n++) {
        for (size_t i = 0; i < e->column_count; i++) {
            add_field(e, &rows->chunk->columns[i], rows->first + n, out);
            end_field(e, i, out);
        }
    }
    return ERR_OK;
}

static void csv_tail(struct encoder *e, struct buf *out) {
    (void)e;
    (void)out;
}

const struct encode_ops encode_csv_ops = {csv_open, csv_head, csv_rows, csv_tail};
