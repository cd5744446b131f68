// The folder store: listing. Folders are walked in the order of the names that they hold.

#define _GNU_SOURCE // DT_REG
#include "store/store_folder_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct lister {
    struct str prefix, after;
    size_t max;
    struct arena *scratch;
    struct arena *results;
    struct store_list list;
    size_t cap;
    struct str last; // name of the newest entry
    bool more;
};

// An entry of a folder; the name is the whole one from the root, with a '/' behind if it is a
// folder, so that sorting these sorts all that stands below them.
struct found {
    struct str name;
    bool is_folder;
};

static int found_cmp(const void *a, const void *b) {
    return str_cmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static void dir_closep(DIR **dir) {
    if (*dir) {
        (void)closedir(*dir);
    }
}

// Whether the folder can hold names that are asked for.
static bool folder_matters(const struct lister *l, struct str name) {
    if (!str_starts(name, l->prefix) && !str_starts(l->prefix, name)) {
        return false;
    }
    return str_cmp(name, l->after) > 0 || str_starts(l->after, name);
}

static bool object_matters(const struct lister *l, struct str name) {
    return str_starts(name, l->prefix) && str_cmp(name, l->after) > 0;
}

// Looks at one entry; false if it is none of ours.
static bool classify(const struct lister *l, int fd, const struct dirent *entry, struct str folder,
                     struct found *ret) {
    if (str_is(str_from(entry->d_name), ".") || str_is(str_from(entry->d_name), "..")) {
        return false;
    }
    unsigned char type = entry->d_type;
    struct stat st;
    if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        type = S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_UNKNOWN;
    }
    if (type != DT_REG && type != DT_DIR) {
        return false;
    }
    struct err ignored = ERR_NONE;
    ret->is_folder = type == DT_DIR;
    ret->name = arena_printf(l->scratch, STR_FMT "%s%s", STR_ARG(folder), entry->d_name,
                             ret->is_folder ? "/" : "");
    struct str plain = str_slice(ret->name, 0, ret->name.len - (ret->is_folder ? 1 : 0));
    if (store_check_name(plain, &ignored) != ERR_OK) {
        return false;
    }
    return ret->is_folder ? folder_matters(l, ret->name) : object_matters(l, ret->name);
}

static enum err_code add_object(struct lister *l, int fd, struct str folder, struct str name,
                                struct err *err) {
    struct stat st;
    const char *leaf = name.ptr + folder.len; // NUL-terminated by arena_printf
    if (fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return ERR_OK; // deleted meanwhile
        }
        return err_errno(err, "cannot look at \"" STR_FMT "\"", STR_ARG(name));
    }
    struct store_list *list = &l->list;
    if (list->count == l->max) {
        l->more = true;
        list->next = l->last;
        return ERR_OK;
    }
    list->entries =
        arena_grow(l->results, list->entries, &l->cap, list->count + 1, sizeof *list->entries);
    l->last = arena_str(l->results, name);
    list->entries[list->count++] = (struct store_entry){
        .name = l->last,
        .bytes = (uint64_t)st.st_size,
        .modified_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000,
    };
    return ERR_OK;
}

// Lists what is in the open folder fd, which is closed, and below. `folder` is its name: "" or
// ending in '/'.
static enum err_code list_folder(struct lister *l, int fd, struct str folder, struct err *err) {
    DEFER(dir_closep) DIR *dir = fdopendir(fd);
    if (!dir) {
        closep(&fd);
        return err_errno(err, "cannot list \"" STR_FMT "\"", STR_ARG(folder));
    }
    struct found *found = NULL;
    size_t count = 0;
    size_t cap = 0;
    errno = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        struct found one;
        if (classify(l, fd, entry, folder, &one)) {
            found = arena_grow(l->scratch, found, &cap, count + 1, sizeof *found);
            found[count++] = one;
        }
        errno = 0;
    }
    if (errno != 0) {
        return err_errno(err, "cannot list \"" STR_FMT "\"", STR_ARG(folder));
    }
    if (count > 0) {
        qsort(found, count, sizeof *found, found_cmp);
    }
    for (size_t i = 0; i < count && !l->more; i++) {
        if (!found[i].is_folder) {
            TRY(add_object(l, fd, folder, found[i].name, err));
            continue;
        }
        const char *leaf =
            arena_cstr(l->scratch, str_slice(found[i].name, folder.len, found[i].name.len - 1));
        int below = openat(fd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
            return err_errno(err, "cannot open \"" STR_FMT "\"", STR_ARG(found[i].name));
        }
        if (below >= 0) {
            TRY(list_folder(l, below, found[i].name, err));
        }
    }
    return ERR_OK;
}

enum err_code folder_list(struct store *s, const struct store_page *page, struct arena *a,
                          struct store_list *ret, struct err *err) {
    struct store_folder *f = (struct store_folder *)s;
    DEFER(arena_release) struct arena scratch = ARENA(SIZE_MAX);
    struct lister l = {.prefix = page->prefix,
                       .after = page->after,
                       .max = page->max,
                       .scratch = &scratch,
                       .results = a};
    int fd = openat(f->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, "cannot open \"%s\"", f->root);
    }
    TRY(list_folder(&l, fd, STR_NONE, err));
    *ret = l.list;
    return ERR_OK;
}
