// Requests: the head as libmicrohttpd left it in its buffer, checked strictly and decoded.
#include "http/http_int.h"

#include "base/clock.h"

// libmicrohttpd cuts the head into strings inside one buffer: a CR LF became two NULs, a colon
// one. So it can be seen from where the strings stand whether each line ended in CR LF and was
// not folded, and whether NULs came in: the next string then does not stand where it must.
struct head_scan {
    struct http_conn *conn;
    uintptr_t expected; // where the next header's name must stand
    const char *wrong;  // what is wrong, if anything
};

// Stands in for the cookies, see http_request_begin.
static const char no_cookies[] = "";

bool http_has_only(struct str s, struct str others) {
    for (size_t i = 0; i < s.len; i++) {
        const char ch = s.ptr[i];
        const char low = (char)(ch | 0x20);
        if (!(ch >= '0' && ch <= '9') && !(low >= 'a' && low <= 'z') &&
            str_find_char(others, ch) < 0) {
            return false;
        }
    }
    return true;
}

static bool is_token(struct str s) {
    return s.len > 0 && http_has_only(s, STR("!#$%&'*+-.^_`|~"));
}

static bool has_control(struct str s, bool tab_allowed) {
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char ch = (unsigned char)s.ptr[i];
        if ((ch < 0x20 && !(ch == '\t' && tab_allowed)) || ch == 0x7f) {
            return true;
        }
    }
    return false;
}

static enum MHD_Result scan_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                   size_t key_size, const char *value, size_t value_size) {
    (void)kind;
    struct head_scan *scan = cls;
    struct http_conn *c = scan->conn;
    if (value == no_cookies) {
        return MHD_YES;
    }
    const char *after_colon = key + key_size + 1;
    if ((uintptr_t)key != scan->expected || (uintptr_t)value < (uintptr_t)after_colon) {
        scan->wrong = "a line of the head is folded, has a NUL, or does not end in CR LF";
        return MHD_NO;
    }
    const struct str name = {key, key_size};
    const struct str raw = {value, value_size};
    if (!is_token(name) || has_control(raw, true)) {
        scan->wrong = "a header has a character that is not allowed there";
        return MHD_NO;
    }
    scan->expected = (uintptr_t)value + value_size + 2;
    c->headers = arena_grow(&c->request.arena, c->headers, &c->header_cap, c->header_count + 1,
                            sizeof(*c->headers));
    c->headers[c->header_count++] = (struct http_pair){name, str_trim(raw)};
    return c->header_count <= HTTP_HEADERS_MAX ? MHD_YES : MHD_NO;
}

static enum err_code too_large(struct http_conn *c, int status, const char *what, struct err *err) {
    c->request.fail_status = status;
    return err_set(err, ERR_TOO_LARGE, "%s", what);
}

static enum err_code check_lines(struct http_conn *c, const char *method, const char *version,
                                 struct err *err) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const size_t head_bytes = info ? info->header_size : SIZE_MAX;
    if (head_bytes > (size_t)c->server->head_max) {
        return too_large(c, 431, "the head of the request is too large", err);
    }
    if ((uintptr_t)method + strlen(method) + 1 != (uintptr_t)c->raw_target ||
        (uintptr_t)c->raw_target + c->raw_target_len + 1 != (uintptr_t)version) {
        return err_set(err, ERR_INVALID, "the request line is malformed");
    }
    struct head_scan scan = {.conn = c, .expected = (uintptr_t)version + strlen("HTTP/1.1") + 2};
    (void)MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, scan_header, &scan);
    if (c->header_count > HTTP_HEADERS_MAX) {
        return too_large(c, 431, "the request has too many headers", err);
    }
    if (!scan.wrong && scan.expected + 2 != (uintptr_t)method + head_bytes) {
        scan.wrong = "a line of the head is folded, has a NUL, or does not end in CR LF";
    }
    return scan.wrong ? err_set(err, ERR_INVALID, "%s", scan.wrong) : ERR_OK;
}

// How often the header is there; *ret is its first value.
static size_t find_header(const struct http_conn *c, const char *name, struct str *ret) {
    size_t count = 0;
    for (size_t i = 0; i < c->header_count; i++) {
        if (str_eq_nocase(c->headers[i].name, str_from(name)) && count++ == 0) {
            *ret = c->headers[i].value;
        }
    }
    return count;
}

static enum err_code check_host(struct http_conn *c, struct err *err) {
    struct str host = STR_NONE;
    const size_t count = find_header(c, "Host", &host);
    if (count > 1 || (count == 0 && !c->http_1_0)) {
        return err_set(err, ERR_INVALID, "a request has one Host header");
    }
    return http_has_only(host, STR("-._~%:[]!$&'()*+;="))
               ? ERR_OK
               : err_set(err, ERR_INVALID, "the Host header is malformed");
}

static enum err_code check_length(struct http_conn *c, struct err *err) {
    struct str length = STR_NONE;
    struct str coding = STR_NONE;
    const size_t lengths = find_header(c, "Content-Length", &length);
    const size_t codings = find_header(c, "Transfer-Encoding", &coding);
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0)) {
        return err_set(err, ERR_INVALID, "the length of the body is given twice");
    }
    if (codings > 0) {
        c->body.length = -1;
        const bool chunked = str_eq_nocase(coding, STR("chunked")) && !c->http_1_0;
        return chunked ? ERR_OK
                       : err_set(err, ERR_INVALID, "the only Transfer-Encoding here is chunked");
    }
    uint64_t bytes = 0;
    if (lengths > 0 && !str_to_u64(length, &bytes)) {
        return err_set(err, ERR_INVALID, "the Content-Length is malformed");
    }
    if (bytes > INT64_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the body is too large");
    }
    c->body.length = (int64_t)bytes;
    return ERR_OK;
}

int http_hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool http_percent_decode(struct str s, bool plus, struct arena *a, struct str *ret) {
    char *out = arena_alloc(a, s.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        if (ch == '%') {
            const int high = i + 2 < s.len ? http_hex_digit(s.ptr[i + 1]) : -1;
            const int low = i + 2 < s.len ? http_hex_digit(s.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            ch = (char)(high * 16 + low);
            i += 2;
        } else if (ch == '+' && plus) {
            ch = ' ';
        }
        out[len++] = ch;
    }
    *ret = (struct str){out, len};
    return true;
}

// An encoded '/' would be two things at once: part of a name here, a separator elsewhere.
static bool hides_separator(struct str raw) {
    for (size_t i = 0; i + 2 < raw.len; i++) {
        const struct str escape = {raw.ptr + i, 3};
        if (str_eq_nocase(escape, STR("%2f")) || str_eq_nocase(escape, STR("%5c"))) {
            return true;
        }
    }
    return str_find_char(raw, '\\') >= 0;
}

static bool segments_are_plain(struct str path) {
    struct str rest = str_slice(path, 1, path.len);
    struct str segment = STR_NONE;
    while (str_cut(&rest, '/', &segment)) {
        if (segment.len == 0 || str_is(segment, ".") || str_is(segment, "..")) {
            return false;
        }
    }
    return true;
}

static enum err_code parse_path(struct http_request *r, struct str raw, struct err *err) {
    if (!str_starts(raw, STR("/"))) {
        return err_set(err, ERR_INVALID, "the target of a request starts with '/'");
    }
    struct str path = STR_NONE;
    if (hides_separator(raw) || !http_percent_decode(raw, false, &r->arena, &path) ||
        has_control(path, false) || !str_is_utf8(path) || !segments_are_plain(path)) {
        return err_set(err, ERR_INVALID, "the path of the request is malformed");
    }
    r->path = path;
    return ERR_OK;
}

static enum err_code parse_query(struct http_request *r, struct str rest, struct err *err) {
    size_t cap = 0;
    struct str item = STR_NONE;
    while (str_cut(&rest, '&', &item)) {
        if (item.len == 0) {
            continue;
        }
        struct str value = item;
        struct str name = STR_NONE;
        struct http_pair pair = {STR_NONE, STR_NONE};
        if (!str_cut(&value, '=', &name) ||
            !http_percent_decode(name, true, &r->arena, &pair.name) ||
            !http_percent_decode(value, true, &r->arena, &pair.value) || !str_is_utf8(pair.name) ||
            !str_is_utf8(pair.value) || str_find_char(pair.name, '\0') >= 0 ||
            str_find_char(pair.value, '\0') >= 0) {
            return err_set(err, ERR_INVALID, "the query of the request is malformed");
        }
        if (r->query_count == HTTP_QUERY_MAX) {
            return err_set(err, ERR_INVALID, "the query has more than %d parameters",
                           HTTP_QUERY_MAX);
        }
        r->query = arena_grow(&r->arena, r->query, &cap, r->query_count + 1, sizeof(*r->query));
        r->query[r->query_count++] = pair;
    }
    return ERR_OK;
}

static enum err_code parse_target(struct http_request *r, struct err *err) {
    if (has_control(r->target, false) || str_find_char(r->target, ' ') >= 0 ||
        str_find_char(r->target, '#') >= 0) {
        return err_set(err, ERR_INVALID, "the target has a character that is not allowed there");
    }
    const ptrdiff_t mark = str_find_char(r->target, '?');
    const size_t end = mark < 0 ? r->target.len : (size_t)mark;
    TRY(parse_path(r, str_slice(r->target, 0, end), err));
    return parse_query(r, str_slice(r->target, end + 1, r->target.len), err);
}

static enum http_method parse_method(struct str text) {
    static const struct {
        const char *text;
        enum http_method method;
    } methods[] = {
        {"GET", HTTP_GET}, {"HEAD", HTTP_HEAD},     {"POST", HTTP_POST},
        {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE}, {"PATCH", HTTP_PATCH},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (str_is(text, methods[i].text)) {
            return methods[i].method;
        }
    }
    return HTTP_OTHER;
}

void http_request_begin(struct http_conn *c, const char *target) {
    struct http_request *r = &c->request;
    c->active = true;
    c->raw_target = target;
    c->raw_target_len = strlen(target);
    r->target = arena_str(&r->arena, (struct str){target, MIN(c->raw_target_len, HTTP_TARGET_MAX)});
    r->remote = str_from(c->remote);
    r->tls = c->server->tls;
    r->start_us = clock_mono_us();
    r->conn = c;

    // libmicrohttpd would now parse the query into its own buffer, and later the cookies; both go
    // on after a failure and then answer twice. We do without: an early end of the query and an
    // empty cookie header before the client's leave it nothing to do. The buffer is not constant.
    char *query = strchr((char *)(uintptr_t)target, '?');
    if (query && query[1] != '\0') {
        query[1] = '\0';
    }
    (void)MHD_set_connection_value(c->mhd, MHD_HEADER_KIND, "Cookie", no_cookies);
}

enum err_code http_request_check(struct http_conn *c, const char *method, const char *version,
                                 struct err *err) {
    struct http_request *r = &c->request;
    r->start_us = clock_mono_us();
    r->method_text = str_from(method);
    r->method = parse_method(r->method_text);
    c->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    c->body.length = -1; // until it is known, so that an early refusal does not wait for a body
    if (c->raw_target_len > HTTP_TARGET_MAX) {
        return too_large(c, 414, "the target of the request is too long", err);
    }
    TRY(check_lines(c, method, version, err));
    if (!is_token(r->method_text)) {
        return err_set(err, ERR_INVALID, "the method is malformed");
    }
    TRY(check_host(c, err));
    TRY(check_length(c, err));
    TRY(parse_target(r, err));
    return r->arena.over ? too_large(c, 431, "the head of the request is too large", err) : ERR_OK;
}

void http_request_end(struct http_conn *c) {
    struct http_request *r = &c->request;
    arena_reset(&r->arena);
    const struct arena kept = r->arena;
    *r = (struct http_request){.arena = kept};
    c->active = c->headed = c->checked = c->close = c->http_1_0 = false;
    c->raw_target = NULL;
    c->raw_target_len = 0;
    c->headers = NULL;
    c->header_count = c->header_cap = 0;
}

bool http_header(struct http_request *r, const char *name, struct str *ret) {
    return find_header(r->conn, name, ret) > 0;
}

bool http_query(const struct http_request *r, const char *name, struct str *ret) {
    for (size_t i = 0; i < r->query_count; i++) {
        if (str_is(r->query[i].name, name)) {
            *ret = r->query[i].value;
            return true;
        }
    }
    return false;
}
