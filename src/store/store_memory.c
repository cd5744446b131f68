// The memory store: a sorted array of objects under one lock; the twin of the others in tests.

#include "store/store.h"

#include "base/clock.h"
#include "base/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct object {
    char *name;
    size_t name_len;
    char *data;
    size_t len;
    int64_t modified_us;
    char *copy; // path of the private copy that store_local made, or NULL
};

struct store_memory {
    struct store base;
    pthread_mutex_t lock; // guards all below
    struct object *objects;
    size_t count;
    size_t cap;
    char *folder; // of the private copies, made when first needed
    uint64_t copies;
};

static void copy_release(struct object *o) {
    if (o->copy) {
        (void)unlink(o->copy);
        free(o->copy);
        o->copy = NULL;
    }
}

static void object_release(struct object *o) {
    copy_release(o);
    free(o->name);
    free(o->data);
}

static struct str object_name(const struct object *o) {
    return (struct str){o->name, o->name_len};
}

static char *bytes_new(struct str s) {
    char *bytes = xmalloc(s.len + 1);
    if (s.len > 0) {
        memcpy(bytes, s.ptr, s.len);
    }
    bytes[s.len] = '\0';
    return bytes;
}

// Position of the first object whose name is not smaller.
static size_t lower_bound(const struct store_memory *m, struct str name) {
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(object_name(&m->objects[middle]), name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct object *object_find(const struct store_memory *m, struct str name) {
    size_t at = lower_bound(m, name);
    if (at < m->count && str_eq(object_name(&m->objects[at]), name)) {
        return &m->objects[at];
    }
    return NULL;
}

static enum err_code object_need(const struct store_memory *m, struct str name, struct object **ret,
                                 struct err *err) {
    *ret = object_find(m, name);
    if (!*ret) {
        return err_set(err, ERR_NOT_FOUND, "no such object: \"" STR_FMT "\"", STR_ARG(name));
    }
    return ERR_OK;
}

static enum err_code memory_get(struct store *s, struct str name, struct store_range range,
                                struct arena *a, struct str *ret, struct err *err) {
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    struct object *o = NULL;
    TRY(object_need(m, name, &o, err));
    if (range.offset > o->len) {
        return err_set(err, ERR_INVALID, "offset %llu is past the end of \"" STR_FMT "\"",
                       (unsigned long long)range.offset, STR_ARG(name));
    }
    uint64_t len = MIN(range.len, o->len - range.offset);
    if (len > STORE_GET_MAX) {
        return err_set(err, ERR_TOO_LARGE, "\"" STR_FMT "\": %llu bytes at once are too many",
                       STR_ARG(name), (unsigned long long)len);
    }
    *ret = arena_str(a, (struct str){o->data + range.offset, (size_t)len});
    return ERR_OK;
}

static enum err_code memory_size(struct store *s, struct str name, uint64_t *ret, struct err *err) {
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    struct object *o = NULL;
    TRY(object_need(m, name, &o, err));
    *ret = o->len;
    return ERR_OK;
}

// Refuses what a store with folders cannot have: an object that is also a folder.
static enum err_code check_folders(const struct store_memory *m, struct str name, struct err *err) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '/' && object_find(m, str_slice(name, 0, i))) {
            return err_set(err, ERR_INVALID,
                           "\"" STR_FMT "\" is an object, so nothing can stand "
                           "below it",
                           STR_ARG(str_slice(name, 0, i)));
        }
    }
    DEFER(buf_release) struct buf folder = BUF(name.len + 2);
    buf_add_str(&folder, name);
    buf_add_char(&folder, '/');
    size_t at = lower_bound(m, buf_str(&folder));
    if (at < m->count && str_starts(object_name(&m->objects[at]), buf_str(&folder))) {
        return err_set(err, ERR_INVALID, "\"" STR_FMT "\" is a folder, so it cannot be an object",
                       STR_ARG(name));
    }
    return ERR_OK;
}

static void object_insert(struct store_memory *m, struct str name) {
    if (m->count == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 16;
        m->objects = xrealloc(m->objects, m->cap * sizeof *m->objects);
    }
    size_t at = lower_bound(m, name);
    struct object *o = &m->objects[at];
    memmove(o + 1, o, (m->count - at) * sizeof *o);
    *o = (struct object){.name = bytes_new(name), .name_len = name.len};
    m->count++;
}

static void object_data_release(struct object *o) {
    copy_release(o);
    free(o->data);
    o->data = NULL;
}

static enum err_code memory_put(struct store *s, struct str name, struct str data,
                                enum store_write how, struct err *err) {
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    struct object *o = object_find(m, name);
    if (o && how != STORE_OVER) {
        return err_set(err, ERR_EXISTS, "the object \"" STR_FMT "\" exists", STR_ARG(name));
    }
    if (!o) {
        TRY(check_folders(m, name, err));
        object_insert(m, name);
        o = object_find(m, name);
    }
    object_data_release(o);
    o->data = bytes_new(data);
    o->len = data.len;
    o->modified_us = clock_wall_us();
    return ERR_OK;
}

static enum err_code file_read(const char *path, struct buf *ret, struct err *err) {
    DEFER(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_errno(err, "cannot open \"%s\"", path);
    }
    ret->max = (size_t)st.st_size;
    while (ret->len < (size_t)st.st_size) {
        char *room = buf_reserve(ret, (size_t)st.st_size - ret->len);
        ssize_t n = read(fd, room, (size_t)st.st_size - ret->len);
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            return err_errno(err, "cannot read \"%s\"", path);
        }
        ret->len += n > 0 ? (size_t)n : 0;
    }
    return ERR_OK;
}

static enum err_code memory_put_file(struct store *s, struct str name, const char *path,
                                     enum store_write how, struct err *err) {
    DEFER(buf_release) struct buf data = BUF(0);
    TRY(file_read(path, &data, err));
    TRY(memory_put(s, name, buf_str(&data), how, err));
    (void)unlink(path);
    return ERR_OK;
}

static enum err_code memory_settle(struct store *s, const struct str *names, size_t count,
                                   struct err *err) {
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    for (size_t i = 0; i < count; i++) {
        if (!object_find(m, names[i])) {
            return err_set(err, ERR_NOT_FOUND, "no object \"" STR_FMT "\"", STR_ARG(names[i]));
        }
    }
    return ERR_OK;
}

static enum err_code memory_list(struct store *s, const struct store_page *page, struct arena *a,
                                 struct store_list *ret, struct err *err) {
    (void)err;
    const struct str prefix = page->prefix;
    const struct str after = page->after;
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    struct store_list list = {0};
    struct str last = STR_NONE;
    size_t cap = 0;
    size_t at = lower_bound(m, str_cmp(prefix, after) > 0 ? prefix : after);
    for (; at < m->count; at++) {
        const struct object *o = &m->objects[at];
        if (!str_starts(object_name(o), prefix)) {
            // Names with the prefix stand together, and `after` may lie before or behind them.
            if (str_cmp(object_name(o), prefix) > 0) {
                break;
            }
            continue;
        }
        if (str_cmp(object_name(o), after) <= 0) {
            continue;
        }
        if (list.count == page->max) {
            list.next = last;
            break;
        }
        list.entries = arena_grow(a, list.entries, &cap, list.count + 1, sizeof *list.entries);
        last = arena_str(a, object_name(o));
        list.entries[list.count++] =
            (struct store_entry){.name = last, .bytes = o->len, .modified_us = o->modified_us};
    }
    *ret = list;
    return ERR_OK;
}

static enum err_code memory_delete(struct store *s, struct str name, struct err *err) {
    (void)err;
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    struct object *o = object_find(m, name);
    if (o) {
        object_release(o);
        size_t at = (size_t)(o - m->objects);
        memmove(o, o + 1, (m->count - at - 1) * sizeof *o);
        m->count--;
    }
    return ERR_OK;
}

static enum err_code folder_make(struct store_memory *m, struct err *err) {
    if (m->folder) {
        return ERR_OK;
    }
    const char *tmp = getenv("TMPDIR");
    DEFER(buf_release) struct buf path = BUF(4096);
    buf_printf(&path, "%s/tarn-memory-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    if (path.overflow || !mkdtemp(path.ptr)) {
        return err_errno(err, "cannot make a temporary folder");
    }
    m->folder = xstrdup(path.ptr);
    return ERR_OK;
}

static enum err_code file_write(const char *path, const struct object *o, struct err *err) {
    DEFER(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;
    while (fd >= 0 && done < o->len) {
        ssize_t n = write(fd, o->data + done, o->len - done);
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    if (fd < 0 || done < o->len) {
        return err_errno(err, "cannot write \"%s\"", path);
    }
    return ERR_OK;
}

static enum err_code memory_local(struct store *s, struct str name, struct arena *a,
                                  struct str *ret, struct err *err) {
    struct store_memory *m = (struct store_memory *)s;
    LOCKED(&m->lock);
    struct object *o = NULL;
    TRY(object_need(m, name, &o, err));
    if (!o->copy) {
        TRY(folder_make(m, err));
        DEFER(buf_release) struct buf path = BUF(8192);
        buf_printf(&path, "%s/%llu", m->folder, (unsigned long long)m->copies++);
        TRY(file_write(path.ptr, o, err));
        o->copy = xstrdup(path.ptr);
    }
    *ret = arena_str(a, str_from(o->copy));
    return ERR_OK;
}

static void memory_close(struct store *s) {
    struct store_memory *m = (struct store_memory *)s;
    for (size_t i = 0; i < m->count; i++) {
        object_release(&m->objects[i]);
    }
    if (m->folder) {
        (void)rmdir(m->folder);
    }
    free(m->folder);
    free(m->objects);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .close = memory_close,
    .get = memory_get,
    .size = memory_size,
    .put = memory_put,
    .put_file = memory_put_file,
    .settle = memory_settle,
    .list = memory_list,
    .del = memory_delete,
    .local = memory_local,
};

struct store *store_memory_new(void) {
    struct store_memory *m = xcalloc(1, sizeof *m);
    m->base.ops = &memory_ops;
    CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
    return &m->base;
}
