// The folder store: opening, the walk down to an object, and reading.
//
// On disk: <root>/<name> is the object <name>; <root>/.tmp/<pid>-<random> is a write under way.

#define _GNU_SOURCE // statx
#include "store/store_folder_int.h"

#include "store/store_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROOT_MODE = 0700, FOLDER_MODE = 0755, YOUNG_SECONDS = 10 };

void folder_place_closep(struct folder_place *place) {
    closep(&place->fd);
}

enum err_code folder_flush(struct store_folder *f, int fd, struct err *err) {
    int (*flush)(int) = atomic_load(&f->flush);
    if (flush(fd) != 0) {
        atomic_store(&f->broken, true);
        (void)err_errno(err, "cannot flush to disk in \"%s\"", f->root);
        err->code = ERR_IO; // whatever the reason, the outcome has to be looked up
        return ERR_IO;
    }
    return ERR_OK;
}

// Why the entry `part` of a folder is not a folder.
static enum err_code not_a_folder(int fd, const char *part, bool make, struct err *err) {
    struct stat st;
    if (fstatat(fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        return err_set(err, ERR_DENIED, "\"%s\" is a symbolic link, which a bucket does not follow",
                       part);
    }
    if (make) {
        return err_set(err, ERR_INVALID, "\"%s\" is an object, so nothing can stand below it",
                       part);
    }
    return err_set(err, ERR_NOT_FOUND, "no such object");
}

// Its maker may not have flushed it yet. Where the time of birth is not known, the last change
// stands for it, which is never earlier.
static bool folder_is_young(int fd) {
    struct statx st;
    struct timespec now;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_CTIME, &st) != 0 ||
        clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return true;
    }
    int64_t born = (st.stx_mask & STATX_BTIME) ? st.stx_btime.tv_sec : st.stx_ctime.tv_sec;
    return born + YOUNG_SECONDS >= now.tv_sec;
}

// Opens the folder `part` of the folder fd; makes it first if asked to. The entry of a folder that
// is new, by us or by somebody who may not be done with it, is flushed before anything stands on
// it.
static enum err_code step_down(struct store_folder *f, int fd, const char *part, bool make,
                               int *ret, struct err *err) {
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    bool made = false;
    DEFER(closep) int child = openat(fd, part, flags);
    if (child < 0 && errno == ENOENT && make) {
        made = mkdirat(fd, part, FOLDER_MODE) == 0;
        if (!made && errno != EEXIST && errno != ENOENT) {
            return err_errno(err, "cannot make the folder \"%s\"", part);
        }
        child = openat(fd, part, flags);
    }
    if (child < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        return not_a_folder(fd, part, make, err);
    }
    if (child < 0 && errno == ENOENT) {
        return err_set(err, ERR_NOT_FOUND, "no such object");
    }
    if (child < 0) {
        return err_errno(err, "cannot open the folder \"%s\"", part);
    }
    if (made || (make && folder_is_young(child))) {
        TRY(folder_flush(f, fd, err));
    }
    *ret = child;
    child = -1;
    return ERR_OK;
}

static void part_copy(char *ret, struct str part) {
    CHECK(part.len <= FOLDER_PART_MAX);
    memcpy(ret, part.ptr, part.len);
    ret[part.len] = '\0';
}

enum err_code folder_walk(struct store_folder *f, struct str name, bool make,
                          struct folder_place *ret, struct err *err) {
    DEFER(folder_place_closep) struct folder_place at = FOLDER_PLACE;
    at.fd = fcntl(f->root_fd, F_DUPFD_CLOEXEC, 0);
    if (at.fd < 0) {
        return err_errno(err, "cannot open \"%s\"", f->root);
    }
    struct str rest = name;
    struct str part;
    while (str_find_char(rest, '/') >= 0 && str_cut(&rest, '/', &part)) {
        part_copy(at.leaf, part);
        int child = -1;
        TRY(step_down(f, at.fd, at.leaf, make, &child, err));
        closep(&at.fd);
        at.fd = child;
    }
    part_copy(at.leaf, rest);
    *ret = at;
    at.fd = -1;
    return ERR_OK;
}

// Opens the object's file for reading.
static enum err_code open_object(struct store_folder *f, struct str name, int *ret_fd,
                                 uint64_t *ret_bytes, struct err *err) {
    DEFER(folder_place_closep) struct folder_place place = FOLDER_PLACE;
    TRY(folder_walk(f, name, false, &place, err));
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    DEFER(closep) int fd = openat(place.fd, place.leaf, flags);
    if (fd < 0 && errno == ENOENT) {
        return err_set(err, ERR_NOT_FOUND, "no such object: \"" STR_FMT "\"", STR_ARG(name));
    }
    if (fd < 0 && errno == ELOOP) {
        return not_a_folder(place.fd, place.leaf, false, err);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_errno(err, "cannot open \"" STR_FMT "\"", STR_ARG(name));
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, ERR_NOT_FOUND, "\"" STR_FMT "\" is not an object", STR_ARG(name));
    }
    *ret_bytes = (uint64_t)st.st_size;
    *ret_fd = fd;
    fd = -1;
    return ERR_OK;
}

static enum err_code read_all(int fd, uint64_t offset, char *ret, size_t len, struct err *err) {
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, ret + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, "cannot read");
        }
        if (n == 0) {
            return err_set(err, ERR_IO, "the file ended %zu bytes early", len - done);
        }
        done += (size_t)n;
    }
    return ERR_OK;
}

static enum err_code folder_get(struct store *s, struct str name, struct store_range range,
                                struct arena *a, struct str *ret, struct err *err) {
    DEFER(closep) int fd = -1;
    uint64_t bytes = 0;
    TRY(open_object((struct store_folder *)s, name, &fd, &bytes, err));
    if (range.offset > bytes) {
        return err_set(err, ERR_INVALID, "offset %llu is past the end of \"" STR_FMT "\"",
                       (unsigned long long)range.offset, STR_ARG(name));
    }
    uint64_t len = MIN(range.len, bytes - range.offset);
    if (len > STORE_GET_MAX) {
        return err_set(err, ERR_TOO_LARGE, "\"" STR_FMT "\": %llu bytes at once are too many",
                       STR_ARG(name), (unsigned long long)len);
    }
    char *data = arena_alloc(a, (size_t)len + 1);
    if (read_all(fd, range.offset, data, (size_t)len, err) != ERR_OK) {
        return err_prefix(err, "\"" STR_FMT "\": ", STR_ARG(name));
    }
    *ret = (struct str){data, (size_t)len};
    return ERR_OK;
}

static enum err_code folder_size(struct store *s, struct str name, uint64_t *ret, struct err *err) {
    DEFER(closep) int fd = -1;
    return open_object((struct store_folder *)s, name, &fd, ret, err);
}

static enum err_code folder_local(struct store *s, struct str name, struct arena *a,
                                  struct str *ret, struct err *err) {
    struct store_folder *f = (struct store_folder *)s;
    DEFER(closep) int fd = -1;
    uint64_t bytes = 0;
    TRY(open_object(f, name, &fd, &bytes, err));
    *ret = arena_printf(a, "%s/" STR_FMT, f->root, STR_ARG(name));
    return ERR_OK;
}

static void folder_close(struct store *s) {
    struct store_folder *f = (struct store_folder *)s;
    closep(&f->tmp_fd);
    closep(&f->root_fd);
    free(f->root);
    free(f);
}

static void folder_clean(struct store *s) {
    folder_clean_tmp((struct store_folder *)s);
}

static const struct store_ops folder_ops = {
    .name = "folder",
    .close = folder_close,
    .get = folder_get,
    .size = folder_size,
    .put = folder_put,
    .put_file = folder_put_file,
    .settle = folder_settle,
    .list = folder_list,
    .del = folder_delete,
    .clean = folder_clean,
    .local = folder_local,
};

// Makes path and what is missing above it, each entry flushed.
static enum err_code make_root(const char *path, struct err *err) {
    DEFER(arena_release) struct arena scratch = ARENA(PATH_MAX * 4);
    char *copy = arena_cstr(&scratch, str_from(path));
    for (char *end = copy; *end != '\0'; end++) {
        char *slash = strchr(end + 1, '/');
        end = slash ? slash : copy + strlen(copy) - 1;
        if (slash) {
            *slash = '\0';
        }
        if (mkdir(copy, ROOT_MODE) == 0) {
            struct str above = arena_printf(&scratch, "%s/..", copy);
            DEFER(closep) int fd = open(above.ptr, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd < 0 || fsync(fd) != 0) {
                return err_errno(err, "cannot flush \"%s\"", above.ptr);
            }
        } else if (errno != EEXIST) {
            return err_errno(err, "cannot make the folder \"%s\"", copy);
        }
        if (slash) {
            *slash = '/';
        }
    }
    return ERR_OK;
}

enum err_code store_folder_open(const char *root, struct store **ret, struct err *err) {
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    TRY(make_root(root, err));
    struct store_folder *f = xcalloc(1, sizeof *f);
    f->base.ops = &folder_ops;
    f->tmp_fd = -1;
    f->flush = fsync;
    DEFER(store_closep) struct store *s = &f->base;
    f->root_fd = open(root, flags);
    if (f->root_fd < 0) {
        return err_errno(err, "cannot open the folder \"%s\"", root);
    }
    f->root = realpath(root, NULL);
    if (!f->root) {
        return err_errno(err, "cannot find the folder \"%s\"", root);
    }
    if (mkdirat(f->root_fd, ".tmp", ROOT_MODE) != 0 && errno != EEXIST) {
        return err_errno(err, "cannot make \"%s/.tmp\"", f->root);
    }
    f->tmp_fd = openat(f->root_fd, ".tmp", flags | O_NOFOLLOW);
    if (f->tmp_fd < 0) {
        return err_errno(err, "cannot open \"%s/.tmp\"", f->root);
    }
    folder_clean_tmp(f);
    *ret = TAKE(s);
    return ERR_OK;
}

void store_folder_set_fsync(struct store *s, int (*fn)(int fd)) {
    CHECK(s->ops == &folder_ops);
    atomic_store(&((struct store_folder *)s)->flush, fn ? fn : fsync);
}
