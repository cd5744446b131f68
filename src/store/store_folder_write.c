// The folder store: writing. An object appears by link() or rename(), after its bytes are flushed.
//
// A write under way is a file of root/.tmp that its writer holds locked (flock) from its making on.
// The lock goes with the process, whatever kills it, and is seen from other containers as well: a
// file that can be locked is a leftover.

#define _GNU_SOURCE // O_NOFOLLOW and friends
#include "store/store_folder_int.h"

#include "base/hash.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    OBJECT_MODE = 0644, // the root's own mode keeps others out
    COPY_BYTES = 32 * 1024,
    RACES_MAX = 1000,                   // lost in a row against removals of the same folder
    UNLOCKABLE_AGE_MAX_S = 24 * 60 * 60 // leftovers on file systems without flock
};

// A file of .tmp, locked.
struct temp {
    const struct store_folder *folder;
    int fd;
    char name[48];
};

static void temp_closep(struct temp *t) {
    if (t->fd >= 0) {
        (void)unlinkat(t->folder->tmp_fd, t->name, 0);
        closep(&t->fd);
    }
}

static enum err_code temp_open(struct store_folder *f, struct temp *ret, struct err *err) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    for (int tries = 0; tries < RACES_MAX; tries++) {
        struct temp t = {.folder = f};
        (void)snprintf(t.name, sizeof t.name, "%ld-%016llx", (long)getpid(),
                       (unsigned long long)random_u64());
        t.fd = openat(f->tmp_fd, t.name, flags, OBJECT_MODE);
        if (t.fd < 0 && errno == EEXIST) {
            continue;
        }
        if (t.fd < 0) {
            return err_errno(err, "cannot make a file in \"%s/.tmp\"", f->root);
        }
        struct stat st;
        (void)flock(t.fd, LOCK_EX);
        // Between making and locking, a cleaner may have taken it for a leftover.
        if (fstat(t.fd, &st) == 0 && st.st_nlink > 0) {
            *ret = t;
            return ERR_OK;
        }
        temp_closep(&t);
    }
    return err_set(err, ERR_IO, "files in \"%s/.tmp\" keep disappearing", f->root);
}

// Removes a file without an owner: nobody holds its lock. We hold it until the file is gone, so
// that an owner who has made but not yet locked it finds it gone when the lock is its own.
static void remove_leftover(struct store_folder *f, const char *name) {
    struct stat st;
    DEFER(closep) int fd = openat(f->tmp_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    const bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!locked && (errno == EWOULDBLOCK || st.st_mtime + UNLOCKABLE_AGE_MAX_S >= time(NULL))) {
        return;
    }
    log_debug("store_leftover_removed", "name=%s", log_quote(str_from(name)));
    (void)unlinkat(f->tmp_fd, name, 0);
}

static void dir_closep(DIR **dir) {
    if (*dir) {
        (void)closedir(*dir);
    }
}

void folder_clean_tmp(struct store_folder *f) {
    int fd = openat(f->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DEFER(dir_closep) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        closep(&fd);
        return;
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] != '.') {
            remove_leftover(f, entry->d_name);
        }
    }
}

static enum err_code write_all(int fd, struct str data, struct err *err) {
    while (data.len > 0) {
        ssize_t n = write(fd, data.ptr, MIN(data.len, (size_t)1 << 30));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, "cannot write");
        }
        data = str_slice(data, (size_t)n, data.len);
    }
    return ERR_OK;
}

// What is about to become an object: a flushed file.
struct source {
    int dir; // that its name is relative to
    const char *name;
    int fd;
};

// A reply of a network file system may have been lost, so an error is not believed blindly.
static bool move_in(const struct source *source, const struct folder_place *place,
                    enum store_write how) {
    if (how == STORE_OVER) {
        return renameat(source->dir, source->name, place->fd, place->leaf) == 0;
    }
    if (linkat(source->dir, source->name, place->fd, place->leaf, 0) == 0) {
        return true;
    }
    int error = errno;
    struct stat ours;
    struct stat theirs;
    if (fstat(source->fd, &ours) == 0 && ours.st_nlink == 2 &&
        fstatat(place->fd, place->leaf, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino) {
        return true;
    }
    errno = error;
    return false;
}

// The name is taken. An empty folder that somebody left there is removed: *ret_again. ERR_EXISTS
// promises that the object which is there is durable.
static enum err_code name_taken(struct store_folder *f, const struct folder_place *place,
                                bool *ret_again, struct err *err) {
    struct stat st;
    if (fstatat(place->fd, place->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
        *ret_again = unlinkat(place->fd, place->leaf, AT_REMOVEDIR) == 0;
        return err_set(err, ERR_INVALID, "\"%s\" is a folder, so it cannot be an object",
                       place->leaf);
    }
    TRY(folder_flush(f, place->fd, err));
    return err_set(err, ERR_EXISTS, "the object \"%s\" exists", place->leaf);
}

static enum err_code publish_once(struct store_folder *f, const struct source *source,
                                  struct str name, enum store_write how, bool *ret_again,
                                  struct err *err) {
    DEFER(folder_place_closep) struct folder_place place = FOLDER_PLACE;
    enum err_code code = folder_walk(f, name, true, &place, err);
    if (code != ERR_OK) {
        *ret_again = code == ERR_NOT_FOUND;
        return code;
    }
    if (move_in(source, &place, how)) {
        return how == STORE_LATER ? ERR_OK : folder_flush(f, place.fd, err);
    }
    switch (errno) {
    case ENOENT:
        *ret_again = true; // the folder was removed under our feet
        return err_set(err, ERR_IO, "the folder of \"" STR_FMT "\" keeps disappearing",
                       STR_ARG(name));
    case EEXIST:
    case EISDIR:
    case ENOTEMPTY:
        return name_taken(f, &place, ret_again, err);
    case EXDEV:
    case EPERM:
    case EMLINK:
    case EOPNOTSUPP:
        return err_set(err, ERR_UNSUPPORTED, "\"%s\" cannot link \"%s\"", f->root, source->name);
    default:
        return err_errno(err, "cannot create \"" STR_FMT "\"", STR_ARG(name));
    }
}

// Gives the file its name. ERR_UNSUPPORTED when the file system cannot link from there.
static enum err_code publish(struct store_folder *f, const struct source *source, struct str name,
                             enum store_write how, struct err *err) {
    for (int tries = 0; tries < RACES_MAX; tries++) {
        bool again = false;
        enum err_code code = publish_once(f, source, name, how, &again, err);
        if (!again) {
            return code;
        }
    }
    return err_set(err, ERR_IO, "the folder of \"" STR_FMT "\" keeps disappearing", STR_ARG(name));
}

static enum err_code refuse_if_broken(struct store_folder *f, struct err *err) {
    if (atomic_load(&f->broken)) {
        return err_set(err, ERR_IO, "\"%s\" takes no writes, since a flush to disk has failed",
                       f->root);
    }
    return ERR_OK;
}

static enum err_code publish_temp(struct store_folder *f, struct temp *t, struct str name,
                                  enum store_write how, struct err *err) {
    if (how != STORE_LATER) {
        TRY(folder_flush(f, t->fd, err));
    }
    struct source source = {.dir = f->tmp_fd, .name = t->name, .fd = t->fd};
    return publish(f, &source, name, how, err);
}

enum err_code folder_put(struct store *s, struct str name, struct str data, enum store_write how,
                         struct err *err) {
    struct store_folder *f = (struct store_folder *)s;
    TRY(refuse_if_broken(f, err));
    DEFER(temp_closep) struct temp t = {.fd = -1};
    TRY(temp_open(f, &t, err));
    TRY(write_all(t.fd, data, err));
    return publish_temp(f, &t, name, how, err);
}

static enum err_code copy_in(struct store_folder *f, int fd, struct str name, enum store_write how,
                             struct err *err) {
    DEFER(temp_closep) struct temp t = {.fd = -1};
    TRY(temp_open(f, &t, err));
    char block[COPY_BYTES];
    for (off_t at = 0;;) {
        ssize_t n = pread(fd, block, sizeof block, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_errno(err, "cannot read");
        }
        if (n == 0) {
            return publish_temp(f, &t, name, how, err);
        }
        TRY(write_all(t.fd, (struct str){block, (size_t)n}, err));
        at += n;
    }
}

enum err_code folder_put_file(struct store *s, struct str name, const char *path,
                              enum store_write how, struct err *err) {
    struct store_folder *f = (struct store_folder *)s;
    TRY(refuse_if_broken(f, err));
    DEFER(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_errno(err, "cannot open \"%s\"", path);
    }
    struct source source = {.dir = AT_FDCWD, .name = path, .fd = fd};
    enum err_code code = ERR_UNSUPPORTED;
    // A file with a second name, or one that we cannot give our mode, might change behind our back.
    if (st.st_nlink == 1 && fchmod(fd, OBJECT_MODE) == 0) {
        if (how != STORE_LATER) {
            TRY(folder_flush(f, fd, err));
        }
        code = publish(f, &source, name, how, err);
    }
    if (code == ERR_UNSUPPORTED) {
        code = copy_in(f, fd, name, how, err);
    }
    if (code == ERR_OK && unlink(path) != 0 && errno != ENOENT) {
        log_debug("store_source_kept", "path=%s errno=%d", log_quote(str_from(path)), errno);
    }
    return code;
}

static struct str folder_name(struct str name) {
    size_t len = name.len;
    while (len > 0 && name.ptr[len - 1] != '/') {
        len--;
    }
    return str_slice(name, 0, len);
}

static enum err_code settle_file(struct store_folder *f, struct str name, struct err *err) {
    DEFER(folder_place_closep) struct folder_place place = FOLDER_PLACE;
    TRY(folder_walk(f, name, false, &place, err));
    DEFER(closep) int fd = openat(place.fd, place.leaf, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, "cannot open \"" STR_FMT "\"", STR_ARG(name));
    }
    return folder_flush(f, fd, err);
}

static enum err_code settle_folder(struct store_folder *f, struct str name, struct err *err) {
    DEFER(folder_place_closep) struct folder_place place = FOLDER_PLACE;
    TRY(folder_walk(f, name, false, &place, err));
    return folder_flush(f, place.fd, err);
}

// All files first: one flush of the file system's journal serves most of them.
enum err_code folder_settle(struct store *s, const struct str *names, size_t count,
                            struct err *err) {
    struct store_folder *f = (struct store_folder *)s;
    TRY(refuse_if_broken(f, err));
    for (size_t i = 0; i < count; i++) {
        TRY(settle_file(f, names[i], err));
    }
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++) {
            first = !str_eq(folder_name(names[j]), folder_name(names[i]));
        }
        if (first) {
            TRY(settle_folder(f, names[i], err));
        }
    }
    return ERR_OK;
}

// Removes the folders above the object that have become empty.
static void remove_empty(struct store_folder *f, struct str name) {
    for (size_t len = name.len; len > 0; len--) {
        if (name.ptr[len - 1] != '/') {
            continue;
        }
        struct err ignored = ERR_NONE;
        DEFER(folder_place_closep) struct folder_place place = FOLDER_PLACE;
        if (folder_walk(f, str_slice(name, 0, len - 1), false, &place, &ignored) != ERR_OK ||
            unlinkat(place.fd, place.leaf, AT_REMOVEDIR) != 0) {
            return;
        }
    }
}

enum err_code folder_delete(struct store *s, struct str name, struct err *err) {
    struct store_folder *f = (struct store_folder *)s;
    TRY(refuse_if_broken(f, err));
    {
        DEFER(folder_place_closep) struct folder_place place = FOLDER_PLACE;
        enum err_code code = folder_walk(f, name, false, &place, err);
        if (code != ERR_OK) {
            return code == ERR_NOT_FOUND ? ERR_OK : code;
        }
        if (unlinkat(place.fd, place.leaf, 0) != 0 && errno != ENOENT && errno != EISDIR) {
            return err_errno(err, "cannot delete \"" STR_FMT "\"", STR_ARG(name));
        }
        TRY(folder_flush(f, place.fd, err)); // also when it was gone: who removed it may have died
    }
    remove_empty(f, name);
    return ERR_OK;
}
