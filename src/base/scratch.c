// Scratch folders: made and locked, removed when their process is gone.
#include "base/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/threads.h"

enum { TRIES = 100 };

// Folders that this process holds: a lock does not tell whose it is.
static struct {
    pthread_mutex_t lock;
    struct stat *items;
    size_t count, cap;
} mine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void held_add(int fd) {
    struct stat st;
    LOCKED(&mine.lock);
    if (fstat(fd, &st) != 0) {
        return;
    }
    if (mine.count == mine.cap) {
        mine.cap = MAX(2 * mine.cap, 8);
        mine.items = xrealloc(mine.items, mine.cap * sizeof(*mine.items));
    }
    mine.items[mine.count++] = st;
}

static struct stat *held_find(int fd) {
    struct stat st;
    const bool there = fstat(fd, &st) == 0;
    for (size_t i = 0; there && i < mine.count; i++) {
        if (mine.items[i].st_ino == st.st_ino && mine.items[i].st_dev == st.st_dev) {
            return &mine.items[i];
        }
    }
    return NULL;
}

static void held_drop(int fd) {
    LOCKED(&mine.lock);
    struct stat *one = held_find(fd);
    if (one != NULL) {
        *one = mine.items[--mine.count];
    }
    if (mine.count == 0) {
        free(mine.items);
        mine.items = NULL;
        mine.cap = 0;
    }
}

static bool is_mine(int fd) {
    LOCKED(&mine.lock);
    return held_find(fd) != NULL;
}

// Returns the number of files.
static size_t remove_folder(const char *path) {
    DIR *folder = opendir(path);
    size_t files = 0;
    if (folder != NULL) {
        for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
            files += unlinkat(dirfd(folder), e->d_name, 0) == 0 ? 1 : 0;
        }
        (void)closedir(folder);
    }
    (void)rmdir(path);
    return files;
}

static int open_folder(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

// Between its making and its locking somebody's clean may have taken the folder away.
static bool is_there(int fd, const char *path) {
    struct stat held;
    struct stat named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

enum err_code scratch_make(struct str parent, struct str prefix, struct scratch *ret,
                           struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    *ret = (struct scratch){.fd = -1};
    for (int i = 0; i < TRIES; i++) {
        struct str path = arena_printf(&a, STR_FMT "/" STR_FMT STR_FMT, STR_ARG(parent),
                                       STR_ARG(prefix), STR_ARG(id_new(&a)));
        if (mkdir(path.ptr, 0700) != 0) {
            return err_errno(err, "cannot make the folder \"%s\"", path.ptr);
        }
        DEFER(closep) int fd = open_folder(path.ptr);
        if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
            (void)err_errno(err, "cannot lock the folder \"%s\"", path.ptr);
            (void)remove_folder(path.ptr);
            return err->code;
        }
        if (fd >= 0 && is_there(fd, path.ptr)) {
            *ret = (struct scratch){.fd = fd, .path = xstrdup(path.ptr)};
            held_add(fd);
            fd = -1; // is the caller's now
            return ERR_OK;
        }
    }
    return err_set(err, ERR_IO, "no folder in \"" STR_FMT "\" stays: somebody removes them",
                   STR_ARG(parent));
}

void scratch_remove(struct scratch *s) {
    if (s->path != NULL) {
        (void)remove_folder(s->path);
        held_drop(s->fd);
        (void)close(s->fd);
        free(s->path);
    }
    *s = (struct scratch){.fd = -1};
}

static size_t clean_one(const char *path) {
    DEFER(closep) int fd = open_folder(path);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? remove_folder(path) : 0;
}

static bool is_others(const char *path) {
    DEFER(closep) int fd = open_folder(path);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK && !is_mine(fd);
}

size_t scratch_clean(struct str parent, struct str prefix) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DIR *folder = opendir(arena_cstr(&a, parent));
    size_t files = 0;
    if (folder == NULL) {
        return 0;
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (str_starts(str_from(e->d_name), prefix)) {
            files += clean_one(arena_printf(&a, STR_FMT "/%s", STR_ARG(parent), e->d_name).ptr);
        }
    }
    (void)closedir(folder);
    return files;
}

bool scratch_is_shared(struct str parent) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DIR *folder = opendir(arena_cstr(&a, parent));
    bool is = false;
    if (folder == NULL) {
        return false;
    }
    for (const struct dirent *e = readdir(folder); e != NULL && !is; e = readdir(folder)) {
        is = e->d_name[0] != '.' &&
             is_others(arena_printf(&a, STR_FMT "/%s", STR_ARG(parent), e->d_name).ptr);
    }
    (void)closedir(folder);
    return is;
}
