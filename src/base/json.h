// JSON: parsing of requests, configuration and metadata (jansson behind this one door), and a
// streaming writer for everything that is large.
//
// A json_t is reference-counted by jansson; a tree belongs to one thread. DEFER(json_decrefp),
// which jansson brings itself: DEFER(json_decrefp) json_t *j = NULL;
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fmt.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 512

// Strict: UTF-8, no duplicate keys, no trailing bytes, integers within int64, no NUL in strings.
// ERR_INVALID names line and column, and err->position is the byte; ERR_TOO_LARGE when arrays and
// objects nest deeper than JSON_DEPTH_MAX. Any JSON value may stand at the top.
MUST_CHECK enum err_code json_parse(struct str text, json_t **ret, struct err *err);
// The same for our own stored files: bad text is ERR_CORRUPT, `what` is named, and strings may
// hold whatever json_new_str took.
MUST_CHECK enum err_code json_parse_stored(struct str text, const char *what, json_t **ret,
                                           struct err *err);
// Compact text, keys in insertion order unless sorted is asked for. Lives in the arena.
struct str json_text(const json_t *j, struct arena *a);
struct str json_text_sorted(const json_t *j, struct arena *a);
void json_add_text(struct buf *out, const json_t *j);

// Members with their type checked. get_* return false when absent, null or of another type; need_*
// make that ERR_INVALID with the member's name. Strings and trees live as long as obj.
bool json_get_str(const json_t *obj, const char *key, struct str *ret);
bool json_get_i64(const json_t *obj, const char *key, int64_t *ret);
bool json_get_bool(const json_t *obj, const char *key, bool *ret);
// The same for members that may be missing: STR_NONE or 0 stands for them. A copy lives in the
// arena.
struct str json_str_of(const json_t *obj, const char *key);
struct str json_str_copy(const json_t *obj, const char *key, struct arena *a);
int64_t json_i64_of(const json_t *obj, const char *key);
MUST_CHECK enum err_code json_need_str(const json_t *obj, const char *key, struct str *ret,
                                       struct err *err);
MUST_CHECK enum err_code json_need_i64(const json_t *obj, const char *key, int64_t *ret,
                                       struct err *err);
MUST_CHECK enum err_code json_need_array(const json_t *obj, const char *key, json_t **ret,
                                         struct err *err);
MUST_CHECK enum err_code json_need_object(const json_t *obj, const char *key, json_t **ret,
                                          struct err *err);
// ERR_INVALID for a member that is not in the NULL-terminated list: a misspelt option is an error.
MUST_CHECK enum err_code json_only_keys(const json_t *obj, const char *const *keys,
                                        struct err *err);
// A new reference: a JSON string. Bytes that are not UTF-8 become U+FFFD.
json_t *json_new_str(struct str s);

// Streaming writer. It appends to a buf; the caller empties the buf when it likes (between any
// two calls). Commas are placed by the writer, also between several values at the top; at most
// JSONW_DEPTH_MAX arrays and objects may be open.
#define JSONW_DEPTH_MAX 63
struct jsonw {
    struct buf *out;
    uint64_t first; // bit d: no comma needed yet at depth d
    int depth;
};

#define JSONW(buf_ptr) ((struct jsonw){.out = (buf_ptr), .first = 1})

void jsonw_object(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_end_object(struct jsonw *w);
void jsonw_end_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, struct str key);
void jsonw_str(struct jsonw *w, struct str s); // bytes that are not UTF-8 become U+FFFD
void jsonw_i64(struct jsonw *w, int64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_raw(struct jsonw *w, struct str json);  // text that is JSON already
void jsonw_json(struct jsonw *w, const json_t *j); // a tree
// "key": value in one call.
void jsonw_field_str(struct jsonw *w, const char *key, struct str v);
void jsonw_field_i64(struct jsonw *w, const char *key, int64_t v);
void jsonw_field_bool(struct jsonw *w, const char *key, bool v);

// s as a JSON string literal with its quotes.
void json_quote(struct buf *out, struct str s);
