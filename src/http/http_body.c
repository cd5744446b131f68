// Request bodies: counts the bytes and hands them to memory, a sink or the form parser.
#include "http/http_int.h"

static enum err_code too_large(const struct http_conn *c, struct err *err) {
    return err_set(err, ERR_TOO_LARGE, "the body is larger than %lld bytes",
                   (long long)c->body.max);
}

static void choose(struct http_conn *c, enum http_body_kind kind, int64_t max) {
    CHECK(c->body.kind == HTTP_BODY_NONE && max >= 0);
    c->body.kind = kind;
    c->body.max = max;
}

void http_body_to_memory(struct http_request *r, int64_t max) {
    choose(r->conn, HTTP_BODY_MEMORY, max);
    r->conn->body.memory.max = (size_t)max;
}

void http_body_to_sink(struct http_request *r, struct http_sink sink, int64_t max) {
    choose(r->conn, HTTP_BODY_SINK, max);
    r->conn->body.sink = sink;
}

void http_body_to_parts(struct http_request *r, struct http_part_sink sink, int64_t max) {
    struct http_conn *c = r->conn;
    choose(c, HTTP_BODY_PARTS, max);
    struct str type = STR_NONE;
    (void)http_header(r, "Content-Type", &type);
    struct err err = ERR_NONE;
    if (http_form_open(type, sink, &c->body.form, &err) != ERR_OK) {
        http_refuse(c, &err, 0);
    }
}

enum err_code http_body_check(struct http_conn *c, struct err *err) {
    const struct http_body *b = &c->body;
    if (b->length != 0 && b->kind == HTTP_BODY_NONE) {
        return err_set(err, ERR_TOO_LARGE, "this request takes no body");
    }
    return b->length > b->max ? too_large(c, err) : ERR_OK;
}

enum err_code http_body_piece(struct http_conn *c, struct str piece, struct err *err) {
    struct http_body *b = &c->body;
    if (c->request.body_bytes > b->max) {
        return too_large(c, err);
    }
    switch (b->kind) {
    case HTTP_BODY_SINK:
        return b->sink.write(b->sink.ctx, piece, err);
    case HTTP_BODY_PARTS:
        return http_form_piece(b->form, piece, err);
    case HTTP_BODY_MEMORY:
        buf_add_str(&b->memory, piece);
        return b->memory.overflow ? too_large(c, err) : ERR_OK;
    case HTTP_BODY_NONE:
        break;
    }
    CHECK(false);
}

enum err_code http_body_end(struct http_conn *c, struct err *err) {
    if (c->body.kind == HTTP_BODY_PARTS) {
        TRY(http_form_end(c->body.form, err));
    }
    c->request.body = buf_str(&c->body.memory);
    return ERR_OK;
}

void http_body_reset(struct http_conn *c) {
    struct http_body *b = &c->body;
    http_form_close(b->form);
    if (b->memory.cap > HTTP_KEPT_MAX) {
        buf_release(&b->memory);
    }
    buf_reset(&b->memory);
    *b = (struct http_body){.memory = b->memory};
}
