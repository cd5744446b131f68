// Client: HTTP to a running server (libcurl behind this one door).
//
// A client is one connection that is kept alive; it belongs to one thread. The server's refusals
// come back as errors with its own code, detail and position; a server that does not answer is
// ERR_BUSY and the message says what was tried. Ctrl-C makes the running request end with
// ERR_CANCELLED, and its connection is closed, which cancels the work at the server.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/args.h"

struct client;

// Where the body of an upload comes from. read gives the number of bytes, 0 at the end, -1 when it
// failed (and keeps why).
struct client_source {
    void *ctx;
    ptrdiff_t (*read)(void *ctx, char *out, size_t room);
    int64_t bytes;                                   // -1: not known
    void (*progress)(void *ctx, int64_t sent_bytes); // may be NULL; called about once a second
};

struct client_request {
    const char *method;
    struct str path;             // with its query, escaped
    const char *accept;          // NULL: application/json
    struct str json;             // body; or
    struct client_source source; // when read is not NULL
    // Takes the pieces of a good answer as they come; false stops. NULL: the answer is kept.
    bool (*take)(void *ctx, struct str piece);
    void *take_ctx;
};

struct client_answer {
    struct buf body;  // without take
    int64_t rows_max; // of a stream that may be cut (X-Tarn-Rows-Max); 0: it is whole
    bool truncated;   // it is cut (X-Tarn-Truncated)
};

#define CLIENT_ANSWER_BYTES_MAX (1ULL << 30)
#define CLIENT_ANSWER ((struct client_answer){.body = BUF(CLIENT_ANSWER_BYTES_MAX)})

// Ctrl-C cancels from here on. client_open does it as well; call it before what is to be cancelled
// earlier.
void client_start(void);
bool client_interrupted(void);

// Server and token from the options --url, --data, --token-file, --cacert and the environment.
MUST_CHECK enum err_code client_open(const struct args *a, struct client **ret, struct err *err);
// Without a token, giving up after timeout_ms; certificates are not checked. For asking who is
// there.
MUST_CHECK enum err_code client_open_probe(const char *url, int64_t timeout_ms, struct client **ret,
                                           struct err *err);
void client_close(struct client *c); // takes NULL
void client_closep(struct client **c);

void client_answer_release(struct client_answer *answer);
MUST_CHECK enum err_code client_send(struct client *c, const struct client_request *r,
                                     struct client_answer *ret, struct err *err);
// The same for small answers: the tree of the JSON that came back (json null when nothing did).
// body may be NULL.
MUST_CHECK enum err_code client_json(struct client *c, const char *method, struct str path,
                                     const struct buf *body, json_t **ret, struct err *err);
// The same for commands that ask once: opens a client and closes it.
MUST_CHECK enum err_code client_ask(const struct args *a, const char *method, struct str path,
                                    const struct buf *body, json_t **ret, struct err *err);

// Adds a text percent-encoded, or one more parameter of a query ("?name=value", then "&...").
void client_escape(struct buf *path, struct str text);
void client_parameter(struct buf *path, const char *name, struct str value);
// The option of that name as such a parameter, if it was given.
void client_option(struct buf *path, const struct args *a, const char *name);
// The path of a thing: the name between the texts, percent-encoded.
void client_path(struct buf *path, const char *before, const char *name, const char *behind);
void client_dataset_path(struct buf *path, const char *name, const char *behind);
