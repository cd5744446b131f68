// Forms: push parsers that cut multipart/form-data and urlencoded bodies into their parts.
//
// Both hold back only what could be the beginning of a delimiter or an escape, so a part of any
// size passes through. multipart (RFC 7578, RFC 2046): "\r\n--boundary" ends a part; the first
// delimiter may lack the CR LF. A CR stands in the delimiter only at its beginning, therefore a
// match that fails can only begin anew at the byte where it failed.
#include "http/http_int.h"

#include <stdlib.h>

enum {
    BOUNDARY_MAX = 70,
    HEAD_MAX = 8 * 1024, // of one part, and of a urlencoded name
    VALUE_PIECE = 4 * 1024,
    PART_ARENA = 64 * 1024, // never reached: heads are bounded
};

enum form_state {
    FORM_DATA,   // in a part, or before the first one; looks for the delimiter
    FORM_AFTER,  // right behind a delimiter
    FORM_HEAD,   // in the headers of a part
    FORM_CLOSED, // behind the last delimiter
    FORM_NAME,   // urlencoded: before '='
    FORM_VALUE,  // urlencoded: behind '='
};

struct http_form {
    struct http_part_sink sink;
    enum form_state state;
    bool in_part; // what comes is data of `part`; false before the first delimiter
    struct http_part part;
    struct arena arena; // the strings of `part`

    char delimiter[4 + BOUNDARY_MAX];
    size_t delimiter_len;
    size_t matched;   // bytes of the delimiter that have been seen
    struct buf head;  // headers of a part; in FORM_AFTER what follows the delimiter; names
    struct buf value; // urlencoded: decoded bytes of the value
    char escape[3];   // urlencoded: an escape that is not complete
    size_t escape_len;
};

static enum err_code malformed(struct err *err, const char *what) {
    return err_set(err, ERR_INVALID, "the form is malformed: %s", what);
}

static enum err_code emit(struct http_form *f, struct str piece, struct err *err) {
    if (!f->in_part || piece.len == 0) {
        return ERR_OK;
    }
    TRY(f->sink.write(f->sink.ctx, &f->part, piece, err));
    f->part.first = false;
    return ERR_OK;
}

static enum err_code end_part(struct http_form *f, struct err *err) {
    if (f->in_part && f->part.first) {
        TRY(f->sink.write(f->sink.ctx, &f->part, STR_NONE, err));
    }
    f->in_part = false;
    return ERR_OK;
}

static void begin_part(struct http_form *f, struct http_part part) {
    f->part = part;
    f->part.first = true;
    f->in_part = true;
    f->matched = 0;
    buf_reset(&f->head);
}

// Takes data until the end of a delimiter or of the piece; *ret_taken says how many bytes.
static enum err_code take_data(struct http_form *f, struct str piece, size_t *ret_taken,
                               struct err *err) {
    size_t at = 0;
    size_t from = 0; // data not yet emitted begins here
    while (at < piece.len && f->matched < f->delimiter_len) {
        if (f->matched == 0) {
            const ptrdiff_t cr = str_find_char(str_slice(piece, at, piece.len), '\r');
            at = cr < 0 ? piece.len : at + (size_t)cr;
            TRY(emit(f, str_slice(piece, from, at), err));
            from = at;
            f->matched = cr < 0 ? 0 : 1;
            at += f->matched;
        } else if (piece.ptr[at] == f->delimiter[f->matched]) {
            f->matched++;
            at++;
        } else {
            // No delimiter: what looked like one is data, and may have come in an earlier piece.
            TRY(emit(f, (struct str){f->delimiter, f->matched}, err));
            f->matched = 0;
            from = at;
        }
    }
    if (f->matched == f->delimiter_len) {
        TRY(end_part(f, err));
        f->state = FORM_AFTER;
        buf_reset(&f->head);
    }
    *ret_taken = at;
    return ERR_OK;
}

// Behind a delimiter: "--" ends the form; blanks and CR LF begin a part.
static enum err_code take_after(struct http_form *f, char ch, struct err *err) {
    const char before = f->head.len > 0 ? f->head.ptr[0] : '\0';
    if (before == '\0' && (ch == ' ' || ch == '\t')) {
        return ERR_OK;
    }
    if (before == '\0' && (ch == '-' || ch == '\r')) {
        buf_add_char(&f->head, ch);
        return ERR_OK;
    }
    if (before == '-' && ch == '-') {
        f->state = FORM_CLOSED;
        return ERR_OK;
    }
    if (before == '\r' && ch == '\n') {
        f->state = FORM_HEAD;
        buf_reset(&f->head);
        return ERR_OK;
    }
    return malformed(err, "something follows a boundary");
}

// The quoted text that s begins with; \" and \\ are undone. *ret_len is what was read.
static bool unquote(struct str s, struct arena *a, struct str *ret, size_t *ret_len) {
    char *out = arena_alloc(a, s.len);
    size_t len = 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '"') {
            *ret = (struct str){out, len};
            *ret_len = i + 1;
            return true;
        }
        const bool escape =
            s.ptr[i] == '\\' && i + 1 < s.len && (s.ptr[i + 1] == '"' || s.ptr[i + 1] == '\\');
        i += escape;
        out[len++] = s.ptr[i];
    }
    return false;
}

// The next parameter of a header value; *rest begins at its ';'. An empty name: there is none.
static enum err_code next_parameter(struct str *rest, struct arena *a, struct http_pair *ret,
                                    struct err *err) {
    struct str s = str_trim(*rest);
    *ret = (struct http_pair){STR_NONE, STR_NONE};
    if (s.len > 0 && s.ptr[0] != ';') {
        return malformed(err, "a parameter of a header");
    }
    s = str_trim(str_slice(s, 1, s.len));
    *rest = STR_NONE;
    if (s.len == 0) {
        return ERR_OK;
    }
    const ptrdiff_t equals = str_find_char(s, '=');
    if (equals <= 0) {
        return malformed(err, "a parameter of a header");
    }
    struct http_pair pair = {str_trim(str_slice(s, 0, (size_t)equals)), STR_NONE};
    s = str_trim(str_slice(s, (size_t)equals + 1, s.len));
    if (str_starts(s, STR("\""))) {
        size_t len = 0;
        if (!unquote(s, a, &pair.value, &len)) {
            return malformed(err, "a quote is not closed");
        }
        *rest = str_slice(s, len, s.len);
    } else {
        const ptrdiff_t end = str_find_char(s, ';');
        pair.value = str_trim(str_slice(s, 0, end < 0 ? s.len : (size_t)end));
        *rest = end < 0 ? STR_NONE : str_slice(s, (size_t)end, s.len);
    }
    *ret = pair;
    return ERR_OK;
}

static bool is_clean(struct str s) {
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char ch = (unsigned char)s.ptr[i];
        if (ch < 0x20 || ch == 0x7f) {
            return false;
        }
    }
    return str_is_utf8(s);
}

// form-data; name="a b"; filename="x.csv"
static enum err_code read_disposition(struct http_form *f, struct str value, struct http_part *part,
                                      struct err *err) {
    const ptrdiff_t end = str_find_char(value, ';');
    const struct str kind = str_trim(str_slice(value, 0, end < 0 ? value.len : (size_t)end));
    if (end < 0 || !str_eq_nocase(kind, STR("form-data"))) {
        return malformed(err, "a part without form-data and a name");
    }
    struct str rest = str_slice(value, (size_t)end, value.len);
    struct http_pair pair = {STR_NONE, STR_NONE};
    do {
        TRY(next_parameter(&rest, &f->arena, &pair, err));
        if (str_eq_nocase(pair.name, STR("name"))) {
            part->name = pair.value;
        } else if (str_eq_nocase(pair.name, STR("filename"))) {
            part->filename = pair.value;
        }
    } while (pair.name.len > 0);
    return is_clean(part->name) && is_clean(part->filename)
               ? ERR_OK
               : malformed(err, "a name that is not plain UTF-8");
}

static enum err_code read_head(struct http_form *f, struct err *err) {
    arena_reset(&f->arena);
    struct str rest = arena_str(&f->arena, buf_str(&f->head));
    struct http_part part = {.first = true};
    struct str line = STR_NONE;
    bool disposed = false;
    while (str_cut(&rest, '\n', &line)) {
        struct str value = str_slice(line, 0, line.len > 0 ? line.len - 1 : 0);
        struct str name = STR_NONE;
        if (value.len == 0) {
            break;
        }
        if (line.ptr[line.len - 1] != '\r' || !str_cut(&value, ':', &name) || value.ptr == NULL) {
            return malformed(err, "a header of a part");
        }
        value = str_trim(value);
        if (str_eq_nocase(name, STR("Content-Disposition"))) {
            TRY(read_disposition(f, value, &part, err));
            disposed = true;
        } else if (str_eq_nocase(name, STR("Content-Type"))) {
            part.content_type = value;
        }
    }
    if (!disposed || part.name.len == 0) {
        return malformed(err, "a part without form-data and a name");
    }
    begin_part(f, part);
    f->state = FORM_DATA;
    return ERR_OK;
}

static enum err_code take_head(struct http_form *f, char ch, struct err *err) {
    buf_add_char(&f->head, ch);
    if (f->head.overflow) {
        return malformed(err, "the headers of a part are too long");
    }
    const struct str head = buf_str(&f->head);
    return str_ends(head, STR("\r\n\r\n")) || str_is(head, "\r\n") ? read_head(f, err) : ERR_OK;
}

static enum err_code decode(struct http_form *f, char ch, struct buf *out, struct err *err) {
    if (f->escape_len == 0 && ch != '%') {
        buf_add_char(out, ch);
        if (ch == '+') {
            out->ptr[out->len - 1] = ' ';
        }
        return ERR_OK;
    }
    f->escape[f->escape_len++] = ch;
    if (f->escape_len < sizeof(f->escape)) {
        return ERR_OK;
    }
    const int high = http_hex_digit(f->escape[1]);
    const int low = http_hex_digit(f->escape[2]);
    f->escape_len = 0;
    if (high < 0 || low < 0) {
        return malformed(err, "an escape");
    }
    buf_add_char(out, (char)(high * 16 + low));
    return ERR_OK;
}

// Behind a name, complete or with an empty value.
static enum err_code begin_field(struct http_form *f, struct err *err) {
    arena_reset(&f->arena);
    const struct str name = arena_str(&f->arena, buf_str(&f->head));
    if (f->escape_len > 0 || f->head.overflow || !is_clean(name)) {
        return malformed(err, "the name of a field");
    }
    begin_part(f, (struct http_part){.name = name});
    buf_reset(&f->value);
    f->state = FORM_VALUE;
    return ERR_OK;
}

static enum err_code end_field(struct http_form *f, struct err *err) {
    if (f->state == FORM_NAME && f->head.len == 0 && f->escape_len == 0) {
        return ERR_OK;
    }
    if (f->state == FORM_NAME) {
        TRY(begin_field(f, err));
    }
    if (f->escape_len > 0) {
        return malformed(err, "an escape");
    }
    TRY(emit(f, buf_str(&f->value), err));
    TRY(end_part(f, err));
    buf_reset(&f->head);
    f->state = FORM_NAME;
    return ERR_OK;
}

static enum err_code take_field(struct http_form *f, char ch, struct err *err) {
    if (ch == '&') {
        return end_field(f, err);
    }
    if (f->state == FORM_NAME && ch == '=') {
        return begin_field(f, err);
    }
    if (f->state == FORM_NAME) {
        TRY(decode(f, ch, &f->head, err));
        return f->head.overflow ? malformed(err, "the name of a field is too long") : ERR_OK;
    }
    if (f->value.len == VALUE_PIECE) {
        TRY(emit(f, buf_str(&f->value), err));
        buf_reset(&f->value);
    }
    return decode(f, ch, &f->value, err);
}

static enum err_code read_boundary(struct http_form *f, struct str rest, struct err *err) {
    struct str boundary = STR_NONE;
    struct http_pair pair = {STR_NONE, STR_NONE};
    do {
        TRY(next_parameter(&rest, &f->arena, &pair, err));
        if (str_eq_nocase(pair.name, STR("boundary"))) {
            boundary = pair.value;
        }
    } while (pair.name.len > 0);
    const bool fits = boundary.len > 0 && boundary.len <= BOUNDARY_MAX;
    if (!fits || !http_has_only(boundary, STR("'()+_,-./:=? ")) || str_ends(boundary, STR(" "))) {
        return malformed(err, "the boundary in the Content-Type");
    }
    memcpy(f->delimiter, "\r\n--", 4);
    memcpy(f->delimiter + 4, boundary.ptr, boundary.len);
    f->delimiter_len = 4 + boundary.len;
    f->matched = 2; // the body may begin with the delimiter, without its CR LF
    return ERR_OK;
}

enum err_code http_form_open(struct str content_type, struct http_part_sink sink,
                             struct http_form **ret, struct err *err) {
    const ptrdiff_t end = str_find_char(content_type, ';');
    const size_t kind_end = end < 0 ? content_type.len : (size_t)end;
    const struct str kind = str_trim(str_slice(content_type, 0, kind_end));
    const bool multipart = str_eq_nocase(kind, STR("multipart/form-data"));
    if (!multipart && !str_eq_nocase(kind, STR("application/x-www-form-urlencoded"))) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the body must be multipart/form-data or application/x-www-form-urlencoded");
    }
    struct http_form *f = xcalloc(1, sizeof(*f));
    f->sink = sink;
    f->arena = ARENA(PART_ARENA);
    f->head = BUF(HEAD_MAX);
    f->value = BUF(VALUE_PIECE);
    f->state = multipart ? FORM_DATA : FORM_NAME;
    const struct str parameters = str_slice(content_type, kind_end, content_type.len);
    if (multipart && read_boundary(f, parameters, err) != ERR_OK) {
        http_form_close(f);
        return err->code;
    }
    *ret = f;
    return ERR_OK;
}

enum err_code http_form_piece(struct http_form *f, struct str piece, struct err *err) {
    size_t at = 0;
    while (at < piece.len && f->state != FORM_CLOSED) {
        size_t taken = 1;
        switch (f->state) {
        case FORM_DATA:
            TRY(take_data(f, str_slice(piece, at, piece.len), &taken, err));
            break;
        case FORM_AFTER:
            TRY(take_after(f, piece.ptr[at], err));
            break;
        case FORM_HEAD:
            TRY(take_head(f, piece.ptr[at], err));
            break;
        case FORM_NAME:
        case FORM_VALUE:
            TRY(take_field(f, piece.ptr[at], err));
            break;
        case FORM_CLOSED:
            break;
        }
        at += taken;
    }
    return ERR_OK;
}

enum err_code http_form_end(struct http_form *f, struct err *err) {
    if (f->state == FORM_NAME || f->state == FORM_VALUE) {
        return end_field(f, err);
    }
    return f->state == FORM_CLOSED ? ERR_OK : malformed(err, "it ends before its last boundary");
}

void http_form_close(struct http_form *f) {
    if (f) {
        arena_release(&f->arena);
        buf_release(&f->head);
        buf_release(&f->value);
        free(f);
    }
}
