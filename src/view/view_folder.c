// The folder of masked files: which there are, who holds them, and which go when there are too
// many.
//
// Files are made elsewhere and come here by rename, so each is there wholly or not at all. They are
// not flushed: after a loss of power one may be torn. Its name says how long it is, and one that is
// found (it was made by another process, or before this one began) must have that length and both
// marks of Parquet.
//
// What the index says is right as long as nobody else has changed the folder since it was listed,
// which the folder's own time tells. Use is noted in memory, and now and then as the file's time,
// so that processes see each other's.
//
// A file comes under a shared lock on the folder, if the generation is still the one that its
// making began in; clearing has the lock for itself.
#define _GNU_SOURCE // O_PATH

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "view/view_int.h"

#define TOUCH_US INT64_C(60000000)
#define STEP_NS INT64_C(20000000)  // two changes that are so near may leave the same time
#define TWIN_US INT64_C(600000000) // of two that processes made at once one goes, if unused so long
#define GENERATION "generation"
#define SUFFIX ".parquet"
#define VIEW_ID_LEN 8

// ---- Names

static bool take(struct str *rest, char mark, size_t len, struct str *ret) {
    if (rest->len < len + 1 || rest->ptr[0] != mark) {
        return false;
    }
    *ret = str_slice(*rest, 1, len + 1);
    *rest = str_slice(*rest, len + 1, rest->len);
    return true;
}

static bool take_number(struct str *rest, char mark, int64_t *ret) {
    size_t len = 0;
    struct str digits;
    while (len + 1 < rest->len && rest->ptr[len + 1] >= '0' && rest->ptr[len + 1] <= '9') {
        len++;
    }
    return take(rest, mark, len, &digits) && str_to_i64(digits, ret);
}

static void copy(char *to, struct str from) {
    memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
}

// One word, so that no search for a number finds it in a name.
static bool parse_name(const char *name, struct masked *ret) {
    struct str rest = str_from(name);
    struct str view;
    struct str key;
    if (!take(&rest, 'v', VIEW_ID_LEN, &view) || !take_number(&rest, 'n', &ret->number) ||
        !take(&rest, 'k', VIEW_KEY_LEN, &key) || !take_number(&rest, 'r', &ret->rows) ||
        !take_number(&rest, 'b', &ret->bytes) || !str_is(rest, SUFFIX)) {
        return false;
    }
    copy(ret->view, view);
    copy(ret->key, key);
    return true;
}

static struct str path_of(const struct views *v, const char *name, struct arena *a) {
    return arena_printf(a, "%s/%s", v->folder, name);
}

// ---- The index. All with the lock held.

static void masked_free(struct masked *m) {
    free(m->name);
    free(m);
}

static void count(struct views *v, const struct masked *m, int sign) {
    v->bytes += sign * m->bytes;
    counter_add(COUNTER_view_files, sign);
    counter_add(COUNTER_view_bytes, sign * m->bytes);
}

static void index_drop(struct views *v, struct masked *m) {
    CHECK(v->files != NULL); // it holds m at least
    HASH_DEL(v->files, m);
    DL_DELETE(v->by_use, m);
    m->there = false;
    count(v, m, -1);
    if (m->holders == 0) {
        masked_free(m);
    }
}

// Behind those that were used before it.
static void index_place(struct views *v, struct masked *m) {
    struct masked *before = v->by_use != NULL ? v->by_use->prev : NULL; // the last one
    while (before != NULL && before->used_us > m->used_us) {
        before = before != v->by_use ? before->prev : NULL;
    }
    if (before != NULL) {
        DL_APPEND_ELEM(v->by_use, before, m);
    } else {
        DL_PREPEND(v->by_use, m);
    }
}

static struct masked *index_find(struct views *v, const char *key) {
    struct masked *m = NULL;
    HASH_FIND(hh, v->files, key, VIEW_KEY_LEN, m);
    return m;
}

static struct masked *index_add(struct views *v, const struct masked *from, const char *name) {
    struct masked *m = xcalloc(1, sizeof(*m));
    *m = *from;
    m->name = xstrdup(name);
    m->there = true;
    m->seen = v->listings;
    HASH_ADD(hh, v->files, key, VIEW_KEY_LEN, m);
    index_place(v, m);
    count(v, m, 1);
    return m;
}

// ---- Listing

static int64_t time_us(const struct timespec *t) {
    return (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000;
}

// Is it what its name says?
static bool is_sound(int folder, const char *name, struct masked *m) {
    struct stat st;
    char marks[8];
    DEFER(closep) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    m->used_us = m->touched_us = time_us(&st.st_mtim);
    return st.st_size == m->bytes && m->bytes >= 12 && pread(fd, marks, 4, 0) == 4 &&
           pread(fd, marks + 4, 4, (off_t)m->bytes - 4) == 4 && memcmp(marks, "PAR1PAR1", 8) == 0;
}

static void list_one(struct views *v, int folder, const char *name) {
    struct masked found = {0};
    if (!parse_name(name, &found)) {
        return;
    }
    struct masked *known = index_find(v, found.key);
    if (known != NULL && strcmp(known->name, name) == 0) {
        known->seen = v->listings;
        return;
    }
    const bool sound = is_sound(folder, name, &found);
    if (sound && known == NULL) {
        (void)index_add(v, &found, name);
    } else if (!sound || found.used_us < clock_wall_us() - TWIN_US) {
        (void)unlinkat(folder, name, 0);
    }
}

static void list(struct views *v, DIR *folder) {
    struct masked *m = NULL;
    struct masked *next = NULL;
    v->listings++;
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        list_one(v, dirfd(folder), e->d_name);
    }
    DL_FOREACH_SAFE(v->by_use, m, next) {
        if (m->seen != v->listings) {
            index_drop(v, m);
        }
    }
}

void view_folder_sync(struct views *v) {
    struct stat st;
    struct timespec now;
    if (stat(v->folder, &st) != 0 || (v->listed_for_sure && st.st_mtim.tv_sec == v->listed.tv_sec &&
                                      st.st_mtim.tv_nsec == v->listed.tv_nsec)) {
        return;
    }
    DIR *folder = opendir(v->folder);
    if (folder == NULL) {
        return;
    }
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    list(v, folder);
    (void)closedir(folder);
    v->listed = st.st_mtim;
    v->listed_for_sure =
        (now.tv_sec - st.st_mtim.tv_sec) * INT64_C(1000000000) + now.tv_nsec - st.st_mtim.tv_nsec >
        STEP_NS;
}

// ---- Use

static void note_use(struct views *v, struct masked *m) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    m->used_us = clock_wall_us();
    DL_DELETE(v->by_use, m);
    index_place(v, m);
    if (m->used_us - m->touched_us > TOUCH_US) {
        m->touched_us = m->used_us;
        (void)utimensat(AT_FDCWD, path_of(v, m->name, &a).ptr, NULL, AT_SYMLINK_NOFOLLOW);
    }
}

struct masked *view_folder_hold(struct views *v, const char *key) {
    struct masked *m = index_find(v, key);
    if (m != NULL) {
        m->holders++;
        note_use(v, m);
    }
    return m;
}

void view_folder_unhold(struct views *v, struct masked *m) {
    (void)v;
    m->holders--;
    if (m->holders == 0 && !m->there) {
        masked_free(m);
    }
}

// ---- Room

// Used since, by another process?
static bool was_used(struct views *v, struct masked *m) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct stat st;
    if (stat(path_of(v, m->name, &a).ptr, &st) != 0 || time_us(&st.st_mtim) <= m->used_us) {
        return false;
    }
    m->used_us = m->touched_us = time_us(&st.st_mtim);
    DL_DELETE(v->by_use, m);
    index_place(v, m);
    return true;
}

static struct masked *least_used(struct views *v) {
    struct masked *m = v->by_use;
    while (m != NULL) {
        struct masked *next = m->next;
        if (m->holders == 0 && !was_used(v, m)) {
            return m;
        }
        m = next;
    }
    return NULL;
}

static void remove_file(struct views *v, struct masked *m) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    (void)unlink(path_of(v, m->name, &a).ptr);
    index_drop(v, m);
}

static void make_room(struct views *v) {
    struct masked *m = NULL;
    while (v->bytes > v->bytes_max && (m = least_used(v)) != NULL) {
        remove_file(v, m);
        v->stats.evicted++;
        counter_add(COUNTER_view_evictions, 1);
    }
}

// ---- Generation

// The folder, locked until the descriptor is closed.
static enum err_code lock_folder(struct views *v, int how, int *ret, struct err *err) {
    *ret = open(v->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code;
    do {
        code = *ret >= 0 ? flock(*ret, how) : -1;
    } while (code != 0 && *ret >= 0 && errno == EINTR);
    return code == 0 ? ERR_OK : err_errno(err, "cannot lock the folder of masked files");
}

static bool read_generation(struct views *v, char ret[VIEW_KEY_LEN]) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(closep) int fd = open(path_of(v, GENERATION, &a).ptr, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && read(fd, ret, VIEW_KEY_LEN) == VIEW_KEY_LEN;
}

// With the folder locked against everybody else.
static enum err_code write_generation(struct views *v, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    uint8_t random[VIEW_KEY_LEN / 2];
    random_bytes(random, sizeof(random));
    const struct str text = hex_bytes(random, sizeof(random), &a);
    const struct str path = path_of(v, GENERATION ".new", &a);
    DEFER(closep)
    int fd = open(path.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) != 0 ||
        rename(path.ptr, path_of(v, GENERATION, &a).ptr) != 0) {
        return err_errno(err, "cannot renew the generation of masked files");
    }
    return ERR_OK;
}

static enum err_code first_generation(struct views *v, struct err *err) {
    char there[VIEW_KEY_LEN];
    DEFER(closep) int folder = -1;
    TRY(lock_folder(v, LOCK_EX, &folder, err));
    return read_generation(v, there) ? ERR_OK : write_generation(v, err);
}

enum err_code view_generation(struct views *v, struct arena *a, struct str *ret, struct err *err) {
    char text[VIEW_KEY_LEN];
    if (!read_generation(v, text)) {
        TRY(first_generation(v, err));
    }
    if (!read_generation(v, text)) {
        return err_set(err, ERR_IO, "the folder of masked files cannot be read");
    }
    *ret = arena_str(a, (struct str){text, sizeof(text)});
    return ERR_OK;
}

// ---- What comes and goes

// With the lock held.
static enum err_code keep(struct views *v, const struct view_new *n, const char *name,
                          struct masked **ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct masked found = {0};
    struct masked *m = index_find(v, n->job->key);
    if (m != NULL) { // another process was quicker
        (void)unlink(n->path);
        m->holders += n->job->waiters;
        *ret = m;
        return ERR_OK;
    }
    if (rename(n->path, path_of(v, name, &a).ptr) != 0) {
        return err_errno(err, "cannot keep a masked file");
    }
    CHECK(parse_name(name, &found));
    found.used_us = found.touched_us = clock_wall_us();
    found.holders = n->job->waiters + 1; // one for itself, while room is made
    m = index_add(v, &found, name);
    make_room(v);
    m->holders--;
    if (v->bytes > v->bytes_max) {
        m->holders = 0;
        remove_file(v, m);
        return err_set(
            err, ERR_NO_SPACE,
            "masked files take more than the %lld bytes that there are for them, and the "
            "others are in use: try again later, or raise view.cache",
            (long long)v->bytes_max);
    }
    *ret = m;
    return ERR_OK;
}

enum err_code view_folder_add(struct views *v, const struct view_new *n, struct masked **ret,
                              struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    char generation[VIEW_KEY_LEN];
    DEFER(closep) int folder = -1;
    const struct str name = arena_printf(
        &a, "v" STR_FMT "n%lldk%sr%lldb%lld" SUFFIX, STR_ARG(str_slice(n->view, 0, VIEW_ID_LEN)),
        (long long)n->number, n->job->key, (long long)n->rows, (long long)n->bytes);
    TRY(lock_folder(v, LOCK_SH, &folder, err));
    if (!read_generation(v, generation) ||
        !str_eq(n->generation, (struct str){generation, sizeof(generation)})) {
        return err_set(err, ERR_BUSY, "masked files were removed meanwhile");
    }
    LOCKED(&v->lock);
    return keep(v, n, name.ptr, ret, err);
}

// Files of a folder but the generation's.
static void unlink_all(const char *path) {
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (e->d_name[0] != '.' && strcmp(e->d_name, GENERATION) != 0) {
            (void)unlinkat(dirfd(folder), e->d_name, 0);
        }
    }
    (void)closedir(folder);
}

// Also what other processes make now: then they cannot keep it.
static void unlink_making(struct views *v) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DIR *cache = opendir(v->cache);
    if (cache == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(cache); e != NULL; e = readdir(cache)) {
        if (str_starts(str_from(e->d_name), STR(SCRATCH_MASKING))) {
            unlink_all(arena_printf(&a, "%s/%s", v->cache, e->d_name).ptr);
        }
    }
    (void)closedir(cache);
}

// Is nothing left that has the name of a masked file?
static bool is_cleared(const struct views *v) {
    struct masked found;
    DIR *folder = opendir(v->folder);
    bool cleared = folder != NULL;
    for (const struct dirent *e = folder != NULL ? readdir(folder) : NULL; e != NULL;
         e = readdir(folder)) {
        cleared = cleared && !parse_name(e->d_name, &found);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return cleared;
}

enum err_code view_folder_clear(struct views *v, void (*then)(struct views *v), struct err *err) {
    DEFER(closep) int folder = -1;
    TRY(lock_folder(v, LOCK_EX, &folder, err));
    TRY(write_generation(v, err));
    LOCKED(&v->lock);
    then(v);
    unlink_all(v->folder);
    unlink_making(v);
    while (v->by_use != NULL) {
        index_drop(v, v->by_use);
    }
    return is_cleared(v)
               ? ERR_OK
               : err_set(err, ERR_IO, "masked files in \"%s\" cannot be removed", v->folder);
}

// ---- Tidying

static bool is_wanted(const struct masked *m, const struct catalog_view *views, size_t view_count) {
    for (size_t i = 0; i < view_count; i++) {
        if (m->number == views[i].number &&
            str_eq(str_from(m->view), str_slice(views[i].id, 0, VIEW_ID_LEN))) {
            return true;
        }
    }
    return false;
}

void views_tidy(struct views *v) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct catalog_view *views;
    size_t view_count;
    struct err err = ERR_NONE;
    if (txlog_refresh(catalog_log(v->catalog), 0, 0, &err) != ERR_OK ||
        catalog_view_list(v->catalog, STR_NONE, &a, &views, &view_count, &err) != ERR_OK) {
        log_warn("view.tidy", "code=%s", err_text(err.code));
        return;
    }
    LOCKED(&v->lock);
    view_folder_sync(v);
    struct masked *m = NULL;
    struct masked *next = NULL;
    DL_FOREACH_SAFE(v->by_use, m, next) {
        if (is_wanted(m, views, view_count)) {
            continue;
        }
        if (m->holders == 0) {
            remove_file(v, m);
        } else { // the first to go
            m->used_us = 0;
            DL_DELETE(v->by_use, m);
            DL_PREPEND(v->by_use, m);
        }
    }
}

// ---- Life

enum err_code view_folder_open(struct views *v, struct err *err) {
    if (mkdir(v->folder, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, "cannot make the folder \"%s\"", v->folder);
    }
    (void)scratch_clean(str_from(v->cache), STR(SCRATCH_MASKING));
    TRY(scratch_make(str_from(v->cache), STR(SCRATCH_MASKING), &v->making, err));
    TRY(first_generation(v, err));
    LOCKED(&v->lock);
    view_folder_sync(v);
    make_room(v);
    return ERR_OK;
}

void view_folder_close(struct views *v) {
    while (v->by_use != NULL) {
        CHECK(v->by_use->holders == 0);
        index_drop(v, v->by_use);
    }
    scratch_remove(&v->making);
}
