// JSON trees: jansson behind one door, with strict parsing and our own text.
#include "base/json.h"

#include <stdlib.h>

// jansson recurses: what a client sends must not decide how deep. Quotes and brackets are ASCII,
// so the bytes can be looked at one by one.
static bool depth_is_allowed(struct str text) {
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{')) {
            depth++;
        } else if (!in_string && (c == ']' || c == '}')) {
            depth--;
        }
        if (depth > JSON_DEPTH_MAX) {
            return false;
        }
    }
    return true;
}

// jansson ends some messages with the text that it was reading. It is somebody's data: not ours
// to repeat in an answer or a log.
static int reason_len(const json_error_t *error) {
    const char *near = strstr(error->text, " near '");
    return (int)(near ? (size_t)(near - error->text) : strlen(error->text));
}

enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY };

enum err_code json_parse(struct str text, json_t **ret, struct err *err) {
    if (!depth_is_allowed(text)) {
        return err_set(err, ERR_TOO_LARGE, "JSON is nested more than %d levels deep",
                       JSON_DEPTH_MAX);
    }
    json_error_t error;
    json_t *j = json_loadb(text.ptr ? text.ptr : "", text.len, FLAGS, &error);
    if (!j) {
        (void)err_set(err, ERR_INVALID, "not valid JSON: %.*s (line %d, column %d)",
                      reason_len(&error), error.text, error.line, error.column);
        err->position = error.position;
        return err->code;
    }
    *ret = j;
    return ERR_OK;
}

enum err_code json_parse_stored(struct str text, const char *what, json_t **ret, struct err *err) {
    if (!depth_is_allowed(text)) {
        return err_set(err, ERR_CORRUPT, "%s: JSON is nested more than %d levels deep", what,
                       JSON_DEPTH_MAX);
    }
    json_error_t error;
    json_t *j = json_loadb(text.ptr ? text.ptr : "", text.len, FLAGS | JSON_ALLOW_NUL, &error);
    if (!j) {
        return err_set(err, ERR_CORRUPT, "%s: not valid JSON: %.*s (line %d, column %d)", what,
                       reason_len(&error), error.text, error.line, error.column);
    }
    *ret = j;
    return ERR_OK;
}

_Static_assert(sizeof(json_int_t) == sizeof(int64_t), "jansson is built with 64-bit integers");

static struct str string_of(const json_t *j) {
    return (struct str){json_string_value(j), json_string_length(j)};
}

struct member {
    const char *key;
    const json_t *value;
};

static int member_cmp(const void *a, const void *b) {
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

// The members of an object as an array that the caller frees.
static struct member *members_of(const json_t *obj, bool sorted) {
    const size_t count = json_object_size(obj);
    struct member *members = xcalloc(count, sizeof(*members));
    // jansson's iterators ask for an object that may be changed; these do not change it.
    json_t *iterable = (json_t *)(uintptr_t)obj;
    void *at = json_object_iter(iterable);
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct member){json_object_iter_key(at), json_object_iter_value(at)};
        at = json_object_iter_next(iterable, at);
    }
    if (sorted) {
        qsort(members, count, sizeof(*members), member_cmp);
    }
    return members;
}

static void add_tree(struct buf *out, const json_t *j, bool sorted);

static void add_object(struct buf *out, const json_t *obj, bool sorted) {
    DEFER(freep) struct member *members = members_of(obj, sorted);
    const size_t count = json_object_size(obj);
    buf_add_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_add_char(out, ',');
        }
        json_quote(out, str_from(members[i].key));
        buf_add_char(out, ':');
        add_tree(out, members[i].value, sorted);
    }
    buf_add_char(out, '}');
}

static void add_array(struct buf *out, const json_t *array, bool sorted) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0) {
            buf_add_char(out, ',');
        }
        add_tree(out, json_array_get(array, i), sorted);
    }
    buf_add_char(out, ']');
}

// A real stays a real when it is read again: 1 becomes "1.0".
static void add_real(struct buf *out, double v) {
    char text[40];
    const size_t len = fmt_double(v, text);
    buf_add(out, text, len);
    if (!memchr(text, '.', len) && !memchr(text, 'e', len)) {
        buf_add_cstr(out, ".0");
    }
}

static void add_tree(struct buf *out, const json_t *j, bool sorted) {
    char number[32];
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        add_object(out, j, sorted);
        break;
    case JSON_ARRAY:
        add_array(out, j, sorted);
        break;
    case JSON_STRING:
        json_quote(out, string_of(j));
        break;
    case JSON_INTEGER:
        buf_add(out, number, fmt_i64(json_integer_value(j), number));
        break;
    case JSON_REAL:
        add_real(out, json_real_value(j));
        break;
    case JSON_TRUE:
        buf_add_cstr(out, "true");
        break;
    case JSON_FALSE:
        buf_add_cstr(out, "false");
        break;
    case JSON_NULL:
        buf_add_cstr(out, "null");
        break;
    }
}

static struct str text_of(const json_t *j, bool sorted, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(SIZE_MAX / 4);
    add_tree(&out, j, sorted);
    return arena_str(a, buf_str(&out));
}

struct str json_text(const json_t *j, struct arena *a) {
    return text_of(j, false, a);
}

struct str json_text_sorted(const json_t *j, struct arena *a) {
    return text_of(j, true, a);
}

void json_add_text(struct buf *out, const json_t *j) {
    add_tree(out, j, false);
}

// The member unless it is absent or null.
static json_t *member_find(const json_t *obj, const char *key) {
    json_t *j = json_object_get(obj, key);
    return json_is_null(j) ? NULL : j;
}

static enum err_code member_refuse(const json_t *obj, const char *key, const char *type,
                                   struct err *err) {
    if (!json_is_object(obj)) {
        return err_set(err, ERR_INVALID, "expected a JSON object with the member \"%s\"", key);
    }
    if (!member_find(obj, key)) {
        return err_set(err, ERR_INVALID, "\"%s\" is missing", key);
    }
    return err_set(err, ERR_INVALID, "\"%s\" must be %s", key, type);
}

bool json_get_str(const json_t *obj, const char *key, struct str *ret) {
    const json_t *j = member_find(obj, key);
    if (!json_is_string(j)) {
        return false;
    }
    *ret = string_of(j);
    return true;
}

bool json_get_i64(const json_t *obj, const char *key, int64_t *ret) {
    const json_t *j = member_find(obj, key);
    if (!json_is_integer(j)) {
        return false;
    }
    *ret = json_integer_value(j);
    return true;
}

bool json_get_bool(const json_t *obj, const char *key, bool *ret) {
    const json_t *j = member_find(obj, key);
    if (!json_is_boolean(j)) {
        return false;
    }
    *ret = json_is_true(j);
    return true;
}

struct str json_str_of(const json_t *obj, const char *key) {
    struct str s = STR_NONE;
    return json_get_str(obj, key, &s) ? s : STR_NONE;
}

struct str json_str_copy(const json_t *obj, const char *key, struct arena *a) {
    struct str s = STR_NONE;
    return json_get_str(obj, key, &s) ? arena_str(a, s) : STR_NONE;
}

int64_t json_i64_of(const json_t *obj, const char *key) {
    int64_t n = 0;
    return json_get_i64(obj, key, &n) ? n : 0;
}

enum err_code json_need_str(const json_t *obj, const char *key, struct str *ret, struct err *err) {
    return json_get_str(obj, key, ret) ? ERR_OK : member_refuse(obj, key, "a string", err);
}

enum err_code json_need_i64(const json_t *obj, const char *key, int64_t *ret, struct err *err) {
    return json_get_i64(obj, key, ret) ? ERR_OK : member_refuse(obj, key, "an integer", err);
}

enum err_code json_need_array(const json_t *obj, const char *key, json_t **ret, struct err *err) {
    json_t *j = member_find(obj, key);
    if (!json_is_array(j)) {
        return member_refuse(obj, key, "an array", err);
    }
    *ret = j;
    return ERR_OK;
}

enum err_code json_need_object(const json_t *obj, const char *key, json_t **ret, struct err *err) {
    json_t *j = member_find(obj, key);
    if (!json_is_object(j)) {
        return member_refuse(obj, key, "an object", err);
    }
    *ret = j;
    return ERR_OK;
}

static bool is_listed(const char *key, const char *const *keys) {
    for (; *keys; keys++) {
        if (strcmp(key, *keys) == 0) {
            return true;
        }
    }
    return false;
}

static enum err_code key_refuse(const char *key, const char *const *keys, struct err *err) {
    DEFER(buf_release) struct buf known = BUF(sizeof(err->msg));
    for (; *keys; keys++) {
        buf_printf(&known, "%s%s", known.len > 0 ? ", " : "", *keys);
    }
    return err_set(err, ERR_INVALID, "unknown member \"%.100s\"; known are: " STR_FMT, key,
                   STR_ARG(buf_str(&known)));
}

enum err_code json_only_keys(const json_t *obj, const char *const *keys, struct err *err) {
    if (!json_is_object(obj)) {
        return err_set(err, ERR_INVALID, "expected a JSON object");
    }
    DEFER(freep) struct member *members = members_of(obj, false);
    for (size_t i = 0; i < json_object_size(obj); i++) {
        if (!is_listed(members[i].key, keys)) {
            return key_refuse(members[i].key, keys, err);
        }
    }
    return ERR_OK;
}

json_t *json_new_str(struct str s) {
    DEFER(buf_release) struct buf repaired = BUF(SIZE_MAX / 4);
    struct str text = s;
    if (!str_is_utf8(s)) {
        buf_add_utf8(&repaired, s);
        text = buf_str(&repaired);
    }
    json_t *j = json_stringn_nocheck(text.ptr ? text.ptr : "", text.len);
    CHECK(j != NULL);
    return j;
}
