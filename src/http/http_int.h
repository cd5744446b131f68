// Connection and request as the files of this folder share them.
#pragma once

#include "base/threads.h"
#include "http/http.h"

#include <microhttpd.h>

enum {
    HTTP_TARGET_MAX = 8 * 1024,
    HTTP_HEADERS_MAX = 100,
    HTTP_QUERY_MAX = 256,
    HTTP_PIECE_MAX = 64 * 1024 * 1024,  // of a streamed answer
    HTTP_KEPT_MAX = 64 * 1024,          // a larger buffer is not kept for the next request
    HTTP_SWALLOW_MAX = 256 * 1024,      // of a refused body that is read rather than cut off
    HTTP_HEAD_TIMEOUT_MS = 8 * 1000,    // from the first byte of a head to its last
    HTTP_STACK_BYTES = 8 * 1024 * 1024, // address space: the SQL parser recurses
};

// What the connection's thread does; the monitor cuts a connection off that waits too long.
enum http_state {
    HTTP_IDLE,   // between requests, or in a head
    HTTP_BODY,   // waits for a piece of the body
    HTTP_WORK,   // in the handler
    HTTP_SEND,   // waits for the client to take the answer
    HTTP_LINGER, // answered; reads what the client still sends, so that it gets to see the answer
};

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_MEMORY, HTTP_BODY_SINK, HTTP_BODY_PARTS };

struct http_form;

struct http_body {
    enum http_body_kind kind;
    int64_t max;
    int64_t length; // announced; -1: chunked
    bool complete;  // the last byte has come
    bool failed;    // the rest is thrown away
    struct buf memory;
    struct http_sink sink;
    struct http_form *form;
};

struct http_answer {
    bool given;
    bool queued;   // libmicrohttpd has it, or it was sent past it
    bool streamed; // in more than one piece
    int status;
    const char *content_type;
    struct buf body; // the body, or the current piece of the stream
    size_t sent;     // of the piece
    bool last;       // the piece is the final one
    bool broken;     // the stream failed
    struct http_stream stream;
    struct http_pair *headers; // in the arena
    size_t header_count, header_cap;
};

// What the monitor remembers of a connection between two looks; its thread only.
struct http_watch {
    int state;
    unsigned turns;
    uint64_t bytes, idle_bytes;
    int64_t changed_us, head_us;
};

struct http_conn {
    struct http_server *server;
    struct http_conn *prev, *next; // guarded by server->lock
    bool dead;                     // guarded by server->lock: closed, the monitor frees it
    int fd;
    struct MHD_Connection *mhd;
    char remote[64];

    _Atomic int state;      // enum http_state
    _Atomic unsigned turns; // counts callbacks, so that the monitor sees progress
    struct http_watch watch;

    pthread_mutex_t lock; // guards the next five, and that on_cancel does not outlive its request
    bool in_work;         // between head and the end of the answer's making
    bool cancellable;     // a hang-up now means that nobody wants the answer
    bool hung_up;         // the client has closed its side
    void (*on_cancel)(void *arg);
    void *on_cancel_arg;

    // The rest belongs to the connection's thread.
    bool active; // a request line has come and its request is not done
    bool headed; // head or fail has seen the request: done is due
    bool checked;
    bool close; // after this answer
    const char *raw_target;
    size_t raw_target_len;
    bool http_1_0;
    struct http_request request;
    struct http_pair *headers;
    size_t header_count, header_cap;
    struct http_body body;
    struct http_answer answer;
};

struct http_server {
    struct http_handler handler;
    struct MHD_Daemon *daemon;
    int listen_fd, port;
    bool tls;
    int64_t head_max, arena_max, idle_timeout_us;
    struct buf cert, key;
    char complaint[256]; // what libmicrohttpd says when it does not start
    _Atomic bool draining;
    _Atomic bool cancelling; // what begins now is cancelled
    _Atomic bool hurrying;   // drain waits no longer
    _Atomic int working;     // requests from head to done

    pthread_t monitor;
    int epoll_fd, wake_fd;
    _Atomic bool stopping;
    pthread_mutex_t lock; // guards conns and dead
    struct http_conn *conns, *dead;
};

// http_server.c
void http_work_begin(struct http_conn *c);
void http_conn_free(struct http_conn *c);

// http_listen.c: ERR_INVALID for a bad address, ERR_BUSY when the port is taken.
MUST_CHECK enum err_code http_listen_open(struct str listen, int *ret_fd, int *ret_port,
                                          struct err *err);

// http_request.c: the head.
// At the request line; target is libmicrohttpd's text, not yet decoded.
void http_request_begin(struct http_conn *c, const char *target);
// When the head is complete.
MUST_CHECK enum err_code http_request_check(struct http_conn *c, const char *method,
                                            const char *version, struct err *err);
void http_request_end(struct http_conn *c);
// Percent-decoding; plus: '+' is a blank. False for a malformed escape.
bool http_percent_decode(struct str s, bool plus, struct arena *a, struct str *ret);
int http_hex_digit(char c);                          // -1: it is none
bool http_has_only(struct str s, struct str others); // letters, digits and the others

// http_body.c
// After head: is the announced body wanted?
MUST_CHECK enum err_code http_body_check(struct http_conn *c, struct err *err);
MUST_CHECK enum err_code http_body_piece(struct http_conn *c, struct str piece, struct err *err);
MUST_CHECK enum err_code http_body_end(struct http_conn *c, struct err *err);
void http_body_reset(struct http_conn *c);

// http_form.c: push parser of multipart/form-data and urlencoded bodies.
MUST_CHECK enum err_code http_form_open(struct str content_type, struct http_part_sink sink,
                                        struct http_form **ret, struct err *err);
MUST_CHECK enum err_code http_form_piece(struct http_form *f, struct str piece, struct err *err);
MUST_CHECK enum err_code http_form_end(struct http_form *f, struct err *err);
void http_form_close(struct http_form *f); // takes NULL

// http_answer.c
// Lets `fail` answer; status 0 takes the one of the error.
void http_refuse(struct http_conn *c, const struct err *err, int status);
// Gives the answer to libmicrohttpd, which sends it when it is asked to next.
enum MHD_Result http_answer_queue(struct http_conn *c);
// Sends the answer past libmicrohttpd and shuts the sending side: in the midst of a body it takes
// no answer, and some of its own refusals would be written twice.
void http_answer_send(struct http_conn *c);
void http_answer_reset(struct http_conn *c);
// Reads for a while what the client still sends after its answer: closing a socket with unread
// bytes resets it, and the answer may be lost on the way.
void http_linger(struct http_conn *c);

// http_tls.c
// False when not all of it could be sent until then.
bool http_send(struct http_conn *c, struct str data, int64_t deadline_us);
void http_send_end(struct http_conn *c); // nothing more will be sent

// http_monitor.c
void http_monitor_start(struct http_server *s);
void http_monitor_stop(struct http_server *s);
void http_monitor_add(struct http_conn *c);
void http_monitor_remove(struct http_conn *c); // the monitor frees it when nothing refers to it
// Cuts the connections that no request keeps busy, or all; returns how many there are.
size_t http_monitor_cut(struct http_server *s, bool all);
void http_monitor_cancel_all(struct http_server *s);
