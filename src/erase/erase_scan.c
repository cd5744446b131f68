// The scan: walks all objects of the bucket and the local files, and searches each by its kind.

#include "erase/erase_scan_int.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_PAGE 1000
#define PIECE_BYTES (4U << 20)
#define DECODED_MAX (256U << 20) // of an object that is decoded as a whole

// Findings

static bool is_end(enum err_code code) {
    return code == ERR_CANCELLED || code == ERR_TIMEOUT;
}

void scan_found(struct scanner *s, struct str object, const char *where, int64_t count) {
    struct erase_scanned *d = &s->done;
    if (count <= 0) {
        return;
    }
    d->found += count;
    // One object's findings stand together.
    for (size_t i = d->finding_count; i > 0 && str_eq(d->findings[i - 1].object, object); i--) {
        if (str_is(d->findings[i - 1].where, where)) {
            d->findings[i - 1].count += count;
            return;
        }
    }
    if (d->finding_count == ERASE_FINDINGS_MAX) {
        return;
    }
    d->findings = arena_grow(s->arena, d->findings, &s->finding_cap, d->finding_count + 1,
                             sizeof(*d->findings));
    d->findings[d->finding_count++] = (struct erase_finding){
        arena_str(s->arena, object), arena_str(s->arena, str_from(where)), count};
}

void scan_found_at(struct scanner *s, struct str object, const char *what, struct str name,
                   int64_t count) {
    DEFER(arena_release) struct arena a = ARENA(1U << 20);
    if (count > 0) {
        scan_found(s, object, arena_printf(&a, "%s " STR_FMT, what, STR_ARG(name)).ptr, count);
    }
}

bool scan_is_key(const struct scanner *s, struct str name) {
    for (size_t i = 0; i < s->request->column_count; i++) {
        if (str_eq_nocase(s->request->columns[i], name)) {
            return true;
        }
    }
    return false;
}

int64_t scan_text(const struct scanner *s, struct str text, bool key) {
    const int64_t n = erase_match_text(s->matcher, text);
    return n == 0 && key && erase_match_cell(s->matcher, text) ? 1 : n;
}

bool scan_is_uuid(const struct scanner *s, const uint8_t *bytes) {
    static const char hex[] = "0123456789abcdef";
    char text[36];
    char *at = text;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15];
    }
    return erase_match_cell(s->matcher, (struct str){text, sizeof(text)});
}

static void progress(const struct scanner *s) {
    upkeep_progress(s->job, s->done.bytes, MAX(s->bytes_total, s->done.bytes));
}

// Bytes, piece by piece

// Something with bytes: an object of a bucket, or else an open local file.
struct source {
    struct store *store;
    struct str name;
    int fd;
    uint64_t bytes;
};

static enum err_code read_file(int fd, struct store_range range, struct arena *a, struct str *ret,
                               struct err *err) {
    char *to = arena_alloc(a, range.len);
    size_t done = 0;
    while (done < range.len) {
        const ssize_t n = pread(fd, to + done, range.len - done, (off_t)(range.offset + done));
        if (n < 0 && errno != EINTR) {
            return err_errno(err, "cannot read a local file");
        }
        if (n == 0) {
            break; // it became shorter
        }
        done += n > 0 ? (size_t)n : 0;
    }
    *ret = (struct str){to, done};
    return ERR_OK;
}

static enum err_code read_piece(const struct source *from, struct store_range range,
                                struct arena *a, struct str *ret, struct err *err) {
    if (from->store == NULL) {
        return read_file(from->fd, range, a, ret, err);
    }
    return store_get_range(from->store, from->name, range, a, ret, err);
}

// text: digits of integer keys count as well. A piece is read with the byte before it and as many
// behind as a value that begins in it may need.
static enum err_code search_bytes(struct scanner *s, const struct source *from, bool text,
                                  int64_t *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const uint64_t behind = erase_matcher_longest(s->matcher) + 1;
    *ret = 0;
    for (uint64_t at = 0; at < from->bytes; at += PIECE_BYTES) {
        const uint64_t before = at > 0 ? 1 : 0;
        const uint64_t end = MIN(at + PIECE_BYTES + behind, from->bytes);
        struct str bytes;
        TRY(upkeep_check(s->job, err));
        TRY(read_piece(from, (struct store_range){at - before, end - at + before}, &a, &bytes,
                       err));
        const struct erase_match_part part = {
            .bytes = bytes, .from = before, .to = before + PIECE_BYTES, .text = text};
        *ret += erase_match_part(s->matcher, &part);
        arena_reset(&a);
    }
    return ERR_OK;
}

// What decoding came to. A finding is that it could not be done.
static enum err_code undecoded(struct scanner *s, struct str object, enum err_code code,
                               struct err *err) {
    if (is_end(code)) {
        return code;
    }
    *err = ERR_NONE;
    scan_found(s, object, "cannot be decoded", 1);
    return ERR_OK;
}

// Objects

static bool is_gone(const struct source *from) {
    struct err ignored = ERR_NONE;
    uint64_t bytes;
    return store_size(from->store, from->name, &bytes, &ignored) == ERR_NOT_FOUND;
}

static enum err_code decode_whole(struct scanner *s, const struct source *from, bool avro,
                                  int64_t *ret_count, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    struct str data;
    if (from->bytes > DECODED_MAX) {
        return err_set(err, ERR_TOO_LARGE, "it is too large to be decoded");
    }
    TRY(store_get(from->store, from->name, &a, &data, err));
    return avro ? scan_avro(s, from->name, data, err)
                : scan_json(s, from->name, data, ret_count, err);
}

static enum err_code decode_parquet(struct scanner *s, const struct source *from, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 20);
    struct str path;
    TRY(store_local(from->store, from->name, &a, &path, err));
    return scan_parquet(s, from->name, path, err);
}

// JSON that was decoded has no other texts than those that were found.
static enum err_code scan_object(struct scanner *s, const struct source *from, struct err *err) {
    struct erase_scanned *d = &s->done;
    enum err_code code = ERR_OK;
    int64_t found = 0;
    int64_t in_bytes = 0;
    bool text = false;
    if (str_ends(from->name, STR(".parquet"))) {
        d->parquet++;
        code = decode_parquet(s, from, err);
    } else if (str_ends(from->name, STR(".avro"))) {
        d->avro++;
        code = decode_whole(s, from, true, &found, err);
    } else if (str_ends(from->name, STR(".json"))) {
        d->json++;
        code = decode_whole(s, from, false, &found, err);
        text = code != ERR_OK;
    } else {
        d->other++;
        text = true;
    }
    if (code != ERR_OK) {
        if (!is_end(code) && is_gone(from)) {
            return ERR_NOT_FOUND;
        }
        TRY(undecoded(s, from->name, code, err));
    }
    TRY(search_bytes(s, from, text, &in_bytes, err));
    scan_found(s, from->name, "bytes", found > 0 ? 0 : in_bytes);
    return ERR_OK;
}

static int compare(const void *x, const void *y) {
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool is_left_out(const struct scanner *s, struct str name) {
    return s->request->leave_out_count > 0 &&
           bsearch(&name, s->leave_out, s->request->leave_out_count, sizeof(name), compare) != NULL;
}

static enum err_code scan_entry(struct scanner *s, struct store *store,
                                const struct store_entry *entry, struct err *err) {
    const struct source from = {.store = store, .name = entry->name, .bytes = entry->bytes};
    if (is_left_out(s, entry->name)) {
        return ERR_OK;
    }
    TRY(upkeep_check(s->job, err));
    const struct erase_scanned before = s->done;
    const enum err_code code = scan_object(s, &from, err);
    if (code != ERR_OK && !is_end(code)) {
        *err = ERR_NONE;
        if (code == ERR_NOT_FOUND || is_gone(&from)) {
            // It has gone meanwhile, and with it what was found in it.
            struct erase_finding *findings = s->done.findings;
            s->done = before;
            s->done.findings = findings;
            return ERR_OK;
        }
        scan_found(s, entry->name, "cannot be read", 1);
    }
    scan_found(s, entry->name, "name", erase_match_name(s->matcher, entry->name));
    s->done.objects++;
    s->done.bytes += (int64_t)entry->bytes;
    progress(s);
    return is_end(code) ? code : ERR_OK;
}

// Calls for each object of the bucket; visit NULL only adds up their bytes.
static enum err_code each_object(struct scanner *s, struct store *store, bool visit,
                                 struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    DEFER(buf_release) struct buf after = BUF(1U << 16);
    do {
        struct store_list list;
        const struct store_page page = {.after = buf_str(&after), .max = LIST_PAGE};
        TRY(upkeep_check(s->job, err));
        TRY(store_list(store, &page, &a, &list, err));
        for (size_t i = 0; i < list.count; i++) {
            if (visit) {
                TRY(scan_entry(s, store, &list.entries[i], err));
            } else {
                s->bytes_total += (int64_t)list.entries[i].bytes;
            }
        }
        buf_reset(&after);
        buf_add_str(&after, list.next);
        arena_reset(&a);
    } while (after.len > 0);
    return ERR_OK;
}

// Local files

static bool is_whole_parquet(const struct source *from, struct str path) {
    char ends[8];
    return str_ends(path, STR(".parquet")) && from->bytes >= 12 &&
           pread(from->fd, ends, 4, 0) == 4 &&
           pread(from->fd, ends + 4, 4, (off_t)from->bytes - 4) == 4 &&
           memcmp(ends, "PAR1PAR1", 8) == 0;
}

// name: its path below the data folder.
static enum err_code scan_local(struct scanner *s, const char *path, struct str name,
                                struct err *err) {
    DEFER(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    int64_t n = 0;
    TRY(upkeep_check(s->job, err));
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return ERR_OK; // it has gone meanwhile, or is nothing that holds bytes
    }
    const struct source from = {.fd = fd, .bytes = (uint64_t)st.st_size};
    const int64_t rows = s->done.rows;
    enum err_code code = ERR_OK;
    if (is_whole_parquet(&from, str_from(path))) {
        code = scan_parquet(s, name, str_from(path), err);
        s->done.rows = rows;
        if (code != ERR_OK && access(path, F_OK) == 0) {
            TRY(undecoded(s, name, code, err));
        } else if (is_end(code)) {
            return code;
        }
    }
    code = search_bytes(s, &from, true, &n, err);
    scan_found(s, name, "bytes", n);
    scan_found(s, name, "name", erase_match_name(s->matcher, name));
    if (code != ERR_OK && !is_end(code)) {
        *err = ERR_NONE;
        scan_found(s, name, "cannot be read", 1);
        code = ERR_OK;
    }
    s->done.local_files++;
    s->done.bytes += st.st_size;
    progress(s);
    return code;
}

static void fts_closep(FTS **tree) {
    if (*tree != NULL) {
        (void)fts_close(*tree);
    }
}

static enum err_code scan_folder(struct scanner *s, const char *folder, struct err *err) {
    DEFER(freep) char *root = xstrdup(folder);
    char *roots[] = {root, NULL};
    size_t len = strlen(root);
    while (len > 1 && root[len - 1] == '/') {
        root[--len] = '\0';
    }
    const char *slash = strrchr(root, '/');
    const size_t above = slash != NULL ? (size_t)(slash - root) + 1 : 0;
    if (len == 0) {
        return ERR_OK;
    }
    DEFER(fts_closep) FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL) {
        return err_errno(err, "cannot walk the folder \"%s\"", folder);
    }
    for (const FTSENT *e = fts_read(tree); e != NULL; e = fts_read(tree)) {
        if (e->fts_info == FTS_F) {
            TRY(scan_local(s, e->fts_accpath, str_from(e->fts_path + above), err));
        }
    }
    return ERR_OK;
}

static enum err_code scan_all(struct scanner *s, struct err *err) {
    const struct catalog_bucket *bucket;
    struct erase *e = s->erase;
    TRY(catalog_bucket_find(e->options.catalog, STR(""), &bucket, err));
    TRY(each_object(s, bucket->store, false, err));
    TRY(upkeep_engine_open(e->options.upkeep, 0, s->job, &s->engine, err));
    TRY(each_object(s, bucket->store, true, err));
    TRY(scan_folder(s, e->spool, err));
    return scan_folder(s, e->cache, err);
}

enum err_code erase_scan(struct erase *e, const struct erase_scan *scan, struct job *job,
                         struct arena *a, struct erase_scanned *ret, struct err *err) {
    DEFER(arena_release) struct arena names = ARENA(SIZE_MAX);
    const int64_t start_us = clock_mono_us();
    DEFER(erase_matcher_freep) struct erase_matcher *m = erase_matcher_new(scan->subjects);
    struct scanner s = {.erase = e, .request = scan, .matcher = m, .job = job, .arena = a};
    s.leave_out = arena_array(&names, scan->leave_out_count, sizeof(struct str));
    for (size_t i = 0; i < scan->leave_out_count; i++) {
        s.leave_out[i] = scan->leave_out[i];
    }
    if (scan->leave_out_count > 0) {
        qsort(s.leave_out, scan->leave_out_count, sizeof(struct str), compare);
    }
    const enum err_code code = scan_all(&s, err);
    upkeep_engine_close(&s.engine);
    TRY(code);
    s.done.duration_us = clock_mono_us() - start_us;
    *ret = s.done;
    return ERR_OK;
}
