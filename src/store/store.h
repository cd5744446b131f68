// Object store: named, immutable blobs in a bucket.
//
// The rest of the server sees only this file. A name is relative and '/'-separated; each part is
// 1 to 255 bytes of UTF-8 without control characters or '\\', and is not "." or ".."; a name has at
// most 1024 bytes and does not start with ".tmp/". Bad names are ERR_INVALID in every store and
// never reach the medium. Choose names so that none is another's folder: where the medium has
// folders, writing "a/b" beside an object "a" (or the other way round) is ERR_INVALID.
//
// An object is whole or absent. put_new is exclusive: of any number of racing writers of one name,
// in any number of processes, exactly one gets ERR_OK and the rest ERR_EXISTS; this is what makes
// the catalog's commit atomic. ERR_OK means durable (file and folder flushed). A write that fails
// with ERR_IO, ERR_TIMEOUT or ERR_BUSY leaves the outcome to be looked up: the object is wholly
// there or wholly absent, and one that is there is durable once a put_new of it says ERR_EXISTS.
// Other codes mean that nothing was written. After a failed flush the store refuses writes (ERR_IO)
// until it is opened again, since the kernel may have dropped the pages.
//
// Threads: a store may be used from any thread at the same time.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct store;

struct store_entry {
    struct str name;
    uint64_t bytes;
    int64_t modified_us; // wall clock
};

struct store_list {
    struct store_entry *entries; // sorted bytewise by name
    size_t count;
    struct str next; // pass as `after` for the next page; empty at the end
};

// Bytes [offset, offset+len) of an object; len UINT64_MAX is all the rest.
struct store_range {
    uint64_t offset, len;
};

#define STORE_WHOLE ((struct store_range){0, UINT64_MAX})

// What to list: at most max entries (1 to 10000) whose name starts with prefix (any bytes, "" for
// all) and is greater than `after`.
struct store_page {
    struct str prefix, after;
    size_t max;
};

// How an object comes to be.
enum store_write {
    STORE_OVER,  // in the place of one that is there
    STORE_NEW,   // only if there is none
    STORE_LATER, // the same, durable only after settle
};

struct store_ops {
    const char *name; // "folder", "memory", "fault"
    void (*close)(struct store *s);
    enum err_code (*get)(struct store *s, struct str name, struct store_range range,
                         struct arena *a, struct str *ret, struct err *err);
    enum err_code (*size)(struct store *s, struct str name, uint64_t *ret, struct err *err);
    enum err_code (*put)(struct store *s, struct str name, struct str data, enum store_write how,
                         struct err *err);
    enum err_code (*put_file)(struct store *s, struct str name, const char *path,
                              enum store_write how, struct err *err);
    enum err_code (*settle)(struct store *s, const struct str *names, size_t count,
                            struct err *err);
    enum err_code (*list)(struct store *s, const struct store_page *page, struct arena *a,
                          struct store_list *ret, struct err *err);
    enum err_code (*del)(struct store *s, struct str name, struct err *err);
    enum err_code (*local)(struct store *s, struct str name, struct arena *a, struct str *ret,
                           struct err *err);
    void (*clean)(struct store *s); // NULL: nothing is ever left
};

struct store {
    const struct store_ops *ops;
};

// A folder, made when it is absent (mode 0700). Temporary files live in <root>/.tmp, on the same
// file system; those of dead processes are removed at open. Symbolic links below root are never
// followed: what stands behind one is ERR_DENIED, and listings do not show it.
MUST_CHECK enum err_code store_folder_open(const char *root, struct store **ret, struct err *err);
// Everything in memory; gone at close. The twin of the others in tests.
struct store *store_memory_new(void);

void store_close(struct store *s); // takes NULL
void store_closep(struct store **s);

// The whole object, or a range of it that is cut at the object's end. ERR_NOT_FOUND; ERR_INVALID
// when the offset is past the end. At most STORE_GET_MAX bytes (ERR_TOO_LARGE); *ret lives as long
// as the arena.
#define STORE_GET_MAX (1ULL << 30)
MUST_CHECK enum err_code store_get(struct store *s, struct str name, struct arena *a,
                                   struct str *ret, struct err *err);
MUST_CHECK enum err_code store_get_range(struct store *s, struct str name, struct store_range range,
                                         struct arena *a, struct str *ret, struct err *err);
MUST_CHECK enum err_code store_size(struct store *s, struct str name, uint64_t *ret,
                                    struct err *err);

// Creates the object; ERR_EXISTS when the name is taken.
MUST_CHECK enum err_code store_put_new(struct store *s, struct str name, struct str data,
                                       struct err *err);
// Creates or replaces it, atomically. Only for hints; nothing that must be right depends on it.
MUST_CHECK enum err_code store_put(struct store *s, struct str name, struct str data,
                                   struct err *err);
// The same as put_new from a local file, which is consumed: on ERR_OK it is gone from `path`
// (moved without a copy where the store is a folder on the same file system).
MUST_CHECK enum err_code store_put_file(struct store *s, struct str name, const char *path,
                                        struct err *err);

// The same two, but durable only once store_settle of their names says ERR_OK: for objects that
// nothing leads to before. What a crash leaves of one until then is whole, torn or absent. Many
// that are settled together cost little more than one.
MUST_CHECK enum err_code store_put_later(struct store *s, struct str name, struct str data,
                                         struct err *err);
MUST_CHECK enum err_code store_put_file_later(struct store *s, struct str name, const char *path,
                                              struct err *err);
MUST_CHECK enum err_code store_settle(struct store *s, const struct str *names, size_t count,
                                      struct err *err);

// Names under ".tmp" are never shown. Pass ret->next as the next page's `after`.
MUST_CHECK enum err_code store_list(struct store *s, const struct store_page *page, struct arena *a,
                                    struct store_list *ret, struct err *err);
// Removes what writes of dead processes left under ".tmp"; opening a folder does so too.
void store_clean(struct store *s);
// Absent already is ERR_OK. Folders that become empty are removed where the medium has folders.
MUST_CHECK enum err_code store_delete(struct store *s, struct str name, struct err *err);
// Path of a local file with the object's bytes, for the engine's readers: valid until the object
// is deleted or replaced. ERR_NOT_FOUND. A store without local files makes a private copy.
MUST_CHECK enum err_code store_local(struct store *s, struct str name, struct arena *a,
                                     struct str *ret, struct err *err);

// Name check on its own, for those who build names. The message says what is wrong and at which
// byte; it does not repeat the name.
MUST_CHECK enum err_code store_check_name(struct str name, struct err *err);
