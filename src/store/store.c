// The part that all stores share: name checks, limits and counters around their operations.

#include "store/store.h"

#include "base/counters.h"

#include <sys/stat.h>

enum { NAME_BYTES_MAX = 1024, PART_BYTES_MAX = 255, LIST_ENTRIES_MAX = 10000 };

static enum err_code check_part(struct str part, size_t at, struct err *err) {
    if (part.len == 0) {
        return err_set(err, ERR_INVALID, "object name has an empty part at byte %zu", at);
    }
    if (part.len > PART_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "object name has a part of %zu bytes; %d are allowed",
                       part.len, PART_BYTES_MAX);
    }
    if (str_is(part, ".") || str_is(part, "..")) {
        return err_set(err, ERR_INVALID, "object name has \".\" or \"..\" as a part at byte %zu",
                       at);
    }
    if (at == 0 && str_is(part, ".tmp")) {
        return err_set(err, ERR_INVALID, "object name starts with \".tmp\", which is reserved");
    }
    return ERR_OK;
}

static bool is_control(struct str s, size_t i) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (c < 0x20 || c == 0x7f) {
        return true;
    }
    // U+0080 to U+009F.
    return c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0;
}

enum err_code store_check_name(struct str name, struct err *err) {
    if (name.len == 0 || name.len > NAME_BYTES_MAX) {
        return err_set(err, ERR_INVALID, "object name has %zu bytes; 1 to %d are allowed", name.len,
                       NAME_BYTES_MAX);
    }
    size_t start = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (is_control(name, i) || name.ptr[i] == '\\') {
            return err_set(err, ERR_INVALID,
                           "object name has a control character or a backslash at byte %zu", i);
        }
        if (name.ptr[i] == '/') {
            TRY(check_part(str_slice(name, start, i), start, err));
            start = i + 1;
        }
    }
    TRY(check_part(str_slice(name, start, name.len), start, err));
    if (!str_is_utf8(name)) {
        return err_set(err, ERR_INVALID, "object name is not UTF-8");
    }
    return ERR_OK;
}

// Counts what went wrong; what a caller may expect to happen is not an error of the store.
static enum err_code counted(enum err_code code) {
    switch (code) {
    case ERR_OK:
    case ERR_NOT_FOUND:
    case ERR_INVALID:
    case ERR_TOO_LARGE:
        break;
    case ERR_EXISTS:
        counter_add(COUNTER_store_conflicts, 1);
        break;
    default:
        counter_add(COUNTER_store_errors, 1);
        break;
    }
    return code;
}

void store_close(struct store *s) {
    if (s) {
        s->ops->close(s);
    }
}

void store_closep(struct store **s) {
    store_close(*s);
}

enum err_code store_get(struct store *s, struct str name, struct arena *a, struct str *ret,
                        struct err *err) {
    return store_get_range(s, name, STORE_WHOLE, a, ret, err);
}

enum err_code store_get_range(struct store *s, struct str name, struct store_range range,
                              struct arena *a, struct str *ret, struct err *err) {
    TRY(store_check_name(name, err));
    struct str data = STR_NONE;
    counter_add(COUNTER_store_gets, 1);
    TRY(counted(s->ops->get(s, name, range, a, &data, err)));
    counter_add(COUNTER_store_bytes_read, (int64_t)data.len);
    *ret = data;
    return ERR_OK;
}

enum err_code store_size(struct store *s, struct str name, uint64_t *ret, struct err *err) {
    TRY(store_check_name(name, err));
    return counted(s->ops->size(s, name, ret, err));
}

static enum err_code put(struct store *s, struct str name, struct str data, enum store_write how,
                         struct err *err) {
    TRY(store_check_name(name, err));
    TRY(counted(s->ops->put(s, name, data, how, err)));
    counter_add(COUNTER_store_puts, 1);
    counter_add(COUNTER_store_bytes_written, (int64_t)data.len);
    return ERR_OK;
}

enum err_code store_put_new(struct store *s, struct str name, struct str data, struct err *err) {
    return put(s, name, data, STORE_NEW, err);
}

enum err_code store_put(struct store *s, struct str name, struct str data, struct err *err) {
    return put(s, name, data, STORE_OVER, err);
}

enum err_code store_put_later(struct store *s, struct str name, struct str data, struct err *err) {
    return put(s, name, data, STORE_LATER, err);
}

static enum err_code put_file(struct store *s, struct str name, const char *path,
                              enum store_write how, struct err *err) {
    TRY(store_check_name(name, err));
    struct stat st;
    if (lstat(path, &st) != 0) {
        return err_errno(err, "cannot read \"%s\"", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, ERR_INVALID, "\"%s\" is not a regular file", path);
    }
    TRY(counted(s->ops->put_file(s, name, path, how, err)));
    counter_add(COUNTER_store_puts, 1);
    counter_add(COUNTER_store_bytes_written, (int64_t)st.st_size);
    return ERR_OK;
}

enum err_code store_put_file(struct store *s, struct str name, const char *path, struct err *err) {
    return put_file(s, name, path, STORE_NEW, err);
}

enum err_code store_put_file_later(struct store *s, struct str name, const char *path,
                                   struct err *err) {
    return put_file(s, name, path, STORE_LATER, err);
}

enum err_code store_settle(struct store *s, const struct str *names, size_t count,
                           struct err *err) {
    for (size_t i = 0; i < count; i++) {
        TRY(store_check_name(names[i], err));
    }
    return count == 0 ? ERR_OK : counted(s->ops->settle(s, names, count, err));
}

enum err_code store_list(struct store *s, const struct store_page *page, struct arena *a,
                         struct store_list *ret, struct err *err) {
    if (page->max < 1 || page->max > LIST_ENTRIES_MAX) {
        return err_set(err, ERR_INVALID, "a listing has 1 to %d entries, not %zu", LIST_ENTRIES_MAX,
                       page->max);
    }
    counter_add(COUNTER_store_lists, 1);
    return counted(s->ops->list(s, page, a, ret, err));
}

void store_clean(struct store *s) {
    if (s->ops->clean != NULL) {
        s->ops->clean(s);
    }
}

enum err_code store_delete(struct store *s, struct str name, struct err *err) {
    TRY(store_check_name(name, err));
    counter_add(COUNTER_store_deletes, 1);
    return counted(s->ops->del(s, name, err));
}

enum err_code store_local(struct store *s, struct str name, struct arena *a, struct str *ret,
                          struct err *err) {
    TRY(store_check_name(name, err));
    return counted(s->ops->local(s, name, a, ret, err));
}
