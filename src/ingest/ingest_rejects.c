// Bad rows: counted, shown in the answer, and kept as a CSV file for an hour.
#include "ingest/ingest_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

#define KEEP_SECONDS 3600

static void put_field(FILE *file, struct str s) {
    (void)fputc('"', file);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"') {
            (void)fputc('"', file);
        }
        (void)fputc(s.ptr[i], file);
    }
    (void)fputc('"', file);
}

// Whose it is stands in the file's name.
static struct str rejects_file_path(const struct ingest *i, struct str id, struct str actor,
                                    struct arena *a) {
    const struct str owner = str_slice(hex_sha256(sha256(actor), a), 0, 32);
    return arena_printf(a, STR_FMT "/" STR_FMT "." STR_FMT ".csv", STR_ARG(i->rejects), STR_ARG(id),
                        STR_ARG(owner));
}

static enum err_code start_file(struct ingest_upload *u, struct err *err) {
    rejects_clean(u->ingest);
    u->rejects_id = id_new(&u->arena);
    const struct str path =
        rejects_file_path(u->ingest, u->rejects_id, u->request.who.actor, &u->arena);
    u->rejects_file = fopen(path.ptr, "wxe");
    if (!u->rejects_file) {
        return err_errno(err, "cannot make the file of rejected rows");
    }
    (void)fputs("line,column,reason,text\n", u->rejects_file);
    return ERR_OK;
}

static void keep_first(struct ingest_upload *u, const struct ingest_reject *r) {
    if (u->first_count == INGEST_FIRST_MAX) {
        return;
    }
    struct arena *a = &u->arena;
    u->first[u->first_count++] = (struct ingest_reject){
        .line = r->line,
        .column = arena_str(a, r->column),
        .reason = arena_str(a, r->reason),
        .text = arena_str(a, r->text),
    };
}

enum err_code rejects_add(struct ingest_upload *u, const struct ingest_reject *r, struct err *err) {
    u->rejected++;
    keep_first(u, r);
    if (!u->request.reject || u->rejected > u->ingest->config->ingest_rejects_max) {
        return ERR_OK;
    }
    if (!u->rejects_file) {
        TRY(start_file(u, err));
    }
    FILE *file = u->rejects_file;
    (void)fprintf(file, "%lld,", (long long)r->line);
    put_field(file, r->column);
    (void)fputc(',', file);
    put_field(file, r->reason);
    (void)fputc(',', file);
    put_field(file, r->text);
    (void)fputc('\n', file);
    return ferror(file) ? err_errno(err, "cannot write the file of rejected rows") : ERR_OK;
}

enum err_code rejects_fail(const struct ingest_upload *u, struct err *err) {
    const struct ingest_reject *r = &u->first[0];
    DEFER(buf_release) struct buf out = BUF(4096);
    buf_printf(&out, "line %lld", (long long)r->line);
    if (r->column.len > 0) {
        buf_printf(&out, ", column \"" STR_FMT "\"", STR_ARG(r->column));
    }
    const struct str text = str_slice(r->text, 0, 100);
    buf_printf(&out, ": " STR_FMT, STR_ARG(r->reason));
    if (r->column.len == 0 && text.len > 0) {
        buf_add_cstr(&out, ": ");
        json_quote(&out, text);
    }
    if (u->rejected > 1) {
        const long long more = (long long)u->rejected - 1;
        buf_printf(&out, " (and %lld more bad row%s)", more, more == 1 ? "" : "s");
    }
    return err_set(err, ERR_DATA, STR_FMT, STR_ARG(buf_str(&out)));
}

enum err_code rejects_end(struct ingest_upload *u, bool keep, struct err *err) {
    if (!u->rejects_file) {
        return ERR_OK;
    }
    const struct str path =
        rejects_file_path(u->ingest, u->rejects_id, u->request.who.actor, &u->arena);
    const bool written = fclose(TAKE(u->rejects_file)) == 0;
    if (keep && written) {
        return ERR_OK;
    }
    const int saved = errno;
    (void)unlink(path.ptr);
    errno = saved;
    u->rejects_id = STR_NONE;
    return keep ? err_errno(err, "cannot write the file of rejected rows") : ERR_OK;
}

static bool is_old(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && (int64_t)st.st_mtime + KEEP_SECONDS < clock_wall_us() / 1000000;
}

void rejects_clean(struct ingest *i) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    DIR *folder = opendir(arena_cstr(&a, i->rejects));
    const struct dirent *entry = NULL;
    while (folder && (entry = readdir(folder)) != NULL) {
        const struct str name = str_from(entry->d_name);
        if (!str_ends(name, STR(".csv"))) {
            continue;
        }
        const char *path =
            arena_printf(&a, STR_FMT "/" STR_FMT, STR_ARG(i->rejects), STR_ARG(name)).ptr;
        if (is_old(path)) {
            (void)unlink(path);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
}

static bool is_id(struct str id) {
    for (size_t i = 0; i < id.len; i++) {
        const char c = id.ptr[i];
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z')) {
            return false;
        }
    }
    return id.len > 0 && id.len <= 64;
}

// The file of that id, whoever's it is; empty: there is none.
static struct str find_file(const struct ingest *i, struct str id, struct arena *a) {
    const struct str start = arena_printf(a, STR_FMT ".", STR_ARG(id));
    struct str ret = STR_NONE;
    DIR *folder = opendir(arena_cstr(a, i->rejects));
    const struct dirent *entry = NULL;
    while (folder && ret.len == 0 && (entry = readdir(folder)) != NULL) {
        if (str_starts(str_from(entry->d_name), start)) {
            ret = arena_printf(a, STR_FMT "/%s", STR_ARG(i->rejects), entry->d_name);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
    return ret;
}

enum err_code ingest_rejects_path(struct ingest *i, struct str id, struct str actor,
                                  struct arena *a, struct str *ret, struct err *err) {
    struct str path = STR_NONE;
    rejects_clean(i);
    if (is_id(id)) {
        path = actor.len > 0 ? rejects_file_path(i, id, actor, a) : find_file(i, id, a);
    }
    if (path.len == 0 || access(path.ptr, R_OK) != 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "there are no rejected rows of this id; they are kept for an hour");
    }
    *ret = path;
    return ERR_OK;
}
