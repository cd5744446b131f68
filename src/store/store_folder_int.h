// What the source files of the folder store share.
#pragma once

#include <stdatomic.h>

#include "store/store.h"

struct store_folder {
    struct store base;
    char *root;          // absolute
    int root_fd;         // of root
    int tmp_fd;          // of root/.tmp
    _Atomic bool broken; // a flush has failed: no more writes
    int (*_Atomic flush)(int fd);
};

enum { FOLDER_PART_MAX = 255 };

// The folder that holds an object, open, and the object's name inside it.
struct folder_place {
    int fd;
    char leaf[FOLDER_PART_MAX + 1];
};

#define FOLDER_PLACE ((struct folder_place){.fd = -1})

void folder_place_closep(struct folder_place *place);

// Goes down from the root part by part, never through a symbolic link, which is what keeps every
// name inside the root. ERR_NOT_FOUND when a folder is missing. With `make` missing ones are made
// and flushed; then ERR_NOT_FOUND means that somebody removed one meanwhile: try again.
MUST_CHECK enum err_code folder_walk(struct store_folder *f, struct str name, bool make,
                                     struct folder_place *ret, struct err *err);
// Flushes an open file or folder; a failure breaks the store.
MUST_CHECK enum err_code folder_flush(struct store_folder *f, int fd, struct err *err);

enum err_code folder_put(struct store *s, struct str name, struct str data, enum store_write how,
                         struct err *err);
enum err_code folder_put_file(struct store *s, struct str name, const char *path,
                              enum store_write how, struct err *err);
enum err_code folder_settle(struct store *s, const struct str *names, size_t count,
                            struct err *err);
enum err_code folder_delete(struct store *s, struct str name, struct err *err);
enum err_code folder_list(struct store *s, const struct store_page *page, struct arena *a,
                          struct store_list *ret, struct err *err);
// Removes the temporary files of dead processes.
void folder_clean_tmp(struct store_folder *f);
