// HTTP/1.1 server: listener, requests, answers. Knows nothing of tables.
//
// One thread per connection (libmicrohttpd behind this one door), so handlers may block. For each
// request, in its connection's thread:
//   head(ctx, r)     the head is complete, the body not read. Refuse early with http_answer, or say
//                    where the body goes: http_body_to_memory, http_body_to_sink,
//                    http_body_to_parts. Without a choice a body is ERR_TOO_LARGE.
//   handle(ctx, r)   the body is complete. Must answer exactly once. Not called when head or a sink
//                    has answered or failed: then the answer is the one of `fail`.
//   fail(ctx, r, e)  the server itself refuses the request (limits, form), or a sink or the first
//                    piece of a stream failed; must answer with r->fail_status. It may come
//                    without a head before it: then path and headers may be empty.
//   done(ctx, r)     the answer is sent or the client gone: r->status, r->bytes_out, r->hung_up.
//                    Called once for every request that head or fail saw; release what hangs on
//                    r->user here.
//
// A monitor watches the sockets: when the client of a request in work hangs up (or closes its
// sending side), r->cancel.set becomes true and what http_on_cancel named is called.
//
// What it refuses itself, through `fail`: a Content-Length beside a Transfer-Encoding, two
// Content-Lengths, a malformed one, a Transfer-Encoding other than chunked, no Host in 1.1, folded
// header lines, bare line feeds, NUL or control characters, paths with "..", "//" or "%2f", heads
// or targets past their limits. Connections refused for their form are closed. HEAD is GET without
// the body. README.md says what remains.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/threads.h"

struct http_server;
struct http_conn;

struct http_pair {
    struct str name, value;
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_PATCH, HTTP_OTHER };

struct http_request {
    struct arena arena; // everything of this request; limit from the options
    enum http_method method;
    struct str method_text;
    struct str path;   // percent-decoded, UTF-8, starts with '/'; "//", "." and ".." are refused
    struct str target; // as it came
    struct http_pair *query; // decoded; order kept
    size_t query_count;
    struct str remote; // "127.0.0.1:50001"
    bool tls;
    struct str body;      // after http_body_to_memory
    int64_t body_bytes;   // received so far
    int64_t start_us;     // clock_mono_us when the head was complete
    struct cancel cancel; // see http_on_cancel
    int fail_status;      // in fail: the status to answer with
    void *user;
    // For done:
    int status;
    int64_t bytes_out;
    bool hung_up;
    struct http_conn *conn; // opaque
};

struct http_handler {
    void *ctx;
    void (*head)(void *ctx, struct http_request *r);
    void (*handle)(void *ctx, struct http_request *r);
    void (*fail)(void *ctx, struct http_request *r, const struct err *e);
    void (*done)(void *ctx, struct http_request *r);
};

struct http_options {
    struct str listen;            // "127.0.0.1:8787", "[::1]:0", ":8787" for every address
    struct str tls_cert, tls_key; // PEM files; both or neither
    int64_t connections_max, head_max, arena_max;
    int64_t idle_timeout_ms;
};

// Listens and serves until http_server_close. ERR_INVALID for a bad address or certificate (says
// which), ERR_BUSY when the port is taken.
MUST_CHECK enum err_code http_server_open(const struct http_options *o,
                                          const struct http_handler *handler,
                                          struct http_server **ret, struct err *err);
int http_server_port(const struct http_server *s);
// Stops accepting; waits for requests in work at most timeout_ms, then cancels the rest. Idle
// connections are closed at once. True when all ended by themselves.
bool http_server_drain(struct http_server *s, int64_t timeout_ms);
void http_server_hurry(struct http_server *s); // from any thread: the time of drain is over now
void http_server_close(struct http_server *s); // takes NULL; after drain

// Calls fn(arg) once when the request is cancelled, from the monitor's thread; at once, from here,
// if it is already. NULL takes it back: after that fn neither runs nor will run, so arg may go.
// fn must be short and call nothing of this header.
void http_on_cancel(struct http_request *r, void (*fn)(void *arg), void *arg);

// Is this a loopback address ("127.0.0.1:8787", "[::1]:1", "localhost:1")?
bool http_listen_is_loopback(struct str listen);

// First header or query parameter of that name (headers: case-insensitive); false when absent.
bool http_header(struct http_request *r, const char *name, struct str *ret);
bool http_query(const struct http_request *r, const char *name, struct str *ret);

// In head: where the body goes. Past max bytes: fail with ERR_TOO_LARGE, the rest is not read. What
// the ctx of a sink or stream points to must live until done.
void http_body_to_memory(struct http_request *r, int64_t max);
// Pieces as they arrive, in order, in the connection's thread. A failure stops the upload and is
// passed to fail.
struct http_sink {
    void *ctx;
    enum err_code (*write)(void *ctx, struct str piece, struct err *err);
};
void http_body_to_sink(struct http_request *r, struct http_sink sink, int64_t max);
// multipart/form-data and application/x-www-form-urlencoded (else ERR_UNSUPPORTED): the same, with
// the part each piece belongs to. filename is empty for plain fields. first is true at the first
// piece of a part; a part without bytes has one empty piece.
struct http_part {
    struct str name, filename, content_type;
    bool first;
};
struct http_part_sink {
    void *ctx;
    enum err_code (*write)(void *ctx, const struct http_part *part, struct str piece,
                           struct err *err);
};
void http_body_to_parts(struct http_request *r, struct http_part_sink sink, int64_t max);

// Answers. Header values are checked for control characters (CHECK fails: they are ours).
// http_set_header may be called before either; Content-Type, Content-Length, Date and Connection
// are the server's. The body is copied; content_type NULL leaves that header out.
void http_set_header(struct http_request *r, const char *name, struct str value);
void http_answer(struct http_request *r, int status, const char *content_type, struct str body);
// Body of unknown length, pulled as the client takes it: next fills out (empty buf, bounded by its
// max of 64 MiB; 32 to 256 KiB are good) with the next piece; *last says that it is the final one.
// The first piece is pulled at once: if it fails, `fail` answers. A later failure cuts the
// connection, so that the client cannot take half an answer for a whole one.
struct http_stream {
    void *ctx;
    enum err_code (*next)(void *ctx, struct buf *out, bool *last, struct err *err);
};
void http_answer_stream(struct http_request *r, int status, const char *content_type,
                        struct http_stream stream);
