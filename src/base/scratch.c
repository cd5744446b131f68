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

enum { TRIES = 100 };

static void remove_folder(const char *path) {
    DIR *folder = opendir(path);
    if (folder != NULL) {
        for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
            (void)unlinkat(dirfd(folder), e->d_name, 0);
        }
        (void)closedir(folder);
    }
    (void)rmdir(path);
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
            remove_folder(path.ptr);
            return err->code;
        }
        if (fd >= 0 && is_there(fd, path.ptr)) {
            *ret = (struct scratch){.fd = fd, .path = xstrdup(path.ptr)};
            fd = -1; // is the caller's now
            return ERR_OK;
        }
    }
    return err_set(err, ERR_IO, "no folder in \"" STR_FMT "\" stays: somebody removes them",
                   STR_ARG(parent));
}

void scratch_remove(struct scratch *s) {
    if (s->path != NULL) {
        remove_folder(s->path);
        (void)close(s->fd);
        free(s->path);
    }
    *s = (struct scratch){.fd = -1};
}

void scratch_clean(struct str parent, struct str prefix) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DIR *folder = opendir(arena_cstr(&a, parent));
    if (folder == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (!str_starts(str_from(e->d_name), prefix)) {
            continue;
        }
        struct str path = arena_printf(&a, STR_FMT "/%s", STR_ARG(parent), e->d_name);
        DEFER(closep) int fd = open_folder(path.ptr);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            remove_folder(path.ptr);
        }
    }
    (void)closedir(folder);
}
