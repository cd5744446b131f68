// Errors: a closed set of codes for programs, one message for people.
//
// A function that can fail returns enum err_code and fills *err once, where the failure arises;
// callers pass it up with TRY. Only the edge (api/, main, workers) logs it. err is never NULL.
#pragma once

#include <stdint.h>

#include "base/attr.h"

// name, HTTP status, wire text. A new code needs a caller that behaves differently.
#define ERR_MAP(X)                                                                                 \
    X(OK, 200, "ok")                                                                               \
    X(INVALID, 400, "invalid_argument")                                                            \
    X(UNAUTHENTICATED, 401, "unauthenticated")                                                     \
    X(DENIED, 403, "permission_denied")                                                            \
    X(NOT_FOUND, 404, "not_found")                                                                 \
    X(METHOD, 405, "method_not_allowed")                                                           \
    X(NOT_ACCEPTABLE, 406, "not_acceptable")                                                       \
    X(CONFLICT, 409, "conflict")                                                                   \
    X(EXISTS, 409, "already_exists")                                                               \
    X(SCHEMA, 409, "schema_mismatch")                                                              \
    X(TOO_LARGE, 413, "too_large")                                                                 \
    X(UNSUPPORTED, 415, "unsupported_format")                                                      \
    X(SQL, 422, "sql_error")                                                                       \
    X(REFUSED, 422, "statement_refused")                                                           \
    X(DATA, 422, "bad_data")                                                                       \
    X(LIMIT, 429, "limit_exceeded")                                                                \
    X(CANCELLED, 499, "cancelled")                                                                 \
    X(IO, 500, "io_error")                                                                         \
    X(CORRUPT, 500, "corrupt_data")                                                                \
    X(INTERNAL, 500, "internal_error")                                                             \
    X(UNKNOWN, 500, "outcome_unknown")                                                             \
    X(BUSY, 503, "unavailable")                                                                    \
    X(TIMEOUT, 504, "deadline_exceeded")                                                           \
    X(NO_SPACE, 507, "no_space")

enum err_code {
#define X(name, http, text) ERR_##name,
    ERR_MAP(X)
#undef X
};

struct err {
    enum err_code code;
    int line;         // where it arose
    const char *file; // a string literal
    int64_t position; // byte offset in the statement or file that it speaks of; -1: none
    char msg[512];
};

#define ERR_NONE ((struct err){.position = -1})

// Fills *err and returns the code: return err_set(err, ERR_NOT_FOUND, "no table \"%s\"", name);
#define err_set(err, code, ...)                                                                    \
    ({                                                                                             \
        const enum err_code err_set_ = (code);                                                     \
        err_fill(err, err_set_, __FILE__, __LINE__, __VA_ARGS__);                                  \
        err_set_; /* known where it is called, so that analysers see what TRY does */              \
    })
// The same with ": <strerror(errno)>" behind the message; ENOSPC and EDQUOT become ERR_NO_SPACE.
#define err_errno(err, ...) err_fill_errno(err, __FILE__, __LINE__, __VA_ARGS__)

void err_fill(struct err *err, enum err_code code, const char *file, int line, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
enum err_code err_fill_errno(struct err *err, const char *file, int line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
// Puts text before the message and keeps code and origin. Returns the code.
enum err_code err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *err_text(enum err_code code); // wire text: "not_found"
int err_http(enum err_code code);         // HTTP status

// Passes a failure up unchanged. The only macro that hides a return.
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum err_code try_code_ = (call);                                                          \
        if (try_code_ != ERR_OK) {                                                                 \
            return try_code_;                                                                      \
        }                                                                                          \
    } while (0)
