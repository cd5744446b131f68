// Ingest: the service, the life of an upload, and its way from bytes to a dataset.
#include "ingest/ingest_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "table/table_suppress.h"

#define ARENA_BYTES (256 << 20)
// Folders in the spool folder.

static const struct format_name {
    const char *name;
    enum ingest_format format;
} format_names[] = {
    {"auto", INGEST_AUTO},       {"csv", INGEST_CSV},       {"tsv", INGEST_TSV},
    {"json", INGEST_JSON},       {"ndjson", INGEST_NDJSON}, {"jsonl", INGEST_NDJSON},
    {"parquet", INGEST_PARQUET}, {"arrow", INGEST_ARROW},
};

bool ingest_format_parse(struct str text, enum ingest_format *ret) {
    for (size_t i = 0; i < ARRAY_LEN(format_names); i++) {
        if (str_eq_nocase(text, str_from(format_names[i].name))) {
            *ret = format_names[i].format;
            return true;
        }
    }
    return text.len == 0;
}

static enum err_code make_folder(struct str path, struct err *err) {
    if (mkdir(path.ptr, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, "cannot make the folder \"%s\"", path.ptr);
    }
    return ERR_OK;
}

enum err_code ingest_open(const struct config *c, struct tables *t, struct engine *e,
                          struct ingest **ret, struct err *err) {
    struct ingest *i = xcalloc(1, sizeof(*i));
    *i = (struct ingest){.config = c, .tables = t, .engine = e, .arena = ARENA(1 << 20)};
    CHECK(pthread_mutex_init(&i->lock, NULL) == 0);
    threads_cond_init(&i->delta_done);
    i->spool = arena_printf(&i->arena, STR_FMT "/spool", STR_ARG(c->server_data));
    i->rejects = arena_printf(&i->arena, STR_FMT "/" SCRATCH_REJECTS, STR_ARG(i->spool));
    const struct str data = {arena_cstr(&i->arena, c->server_data), c->server_data.len};
    enum err_code code = make_folder(data, err);
    code = code == ERR_OK ? make_folder(i->spool, err) : code;
    code = code == ERR_OK ? make_folder(i->rejects, err) : code;
    code = code == ERR_OK ? csv_readers_open(e, err) : code;
    (void)scratch_clean(i->spool, STR(SCRATCH_UPLOAD));
    (void)scratch_clean(i->spool, STR(SCRATCH_DELTAS));
    code =
        code == ERR_OK ? scratch_make(i->spool, STR(SCRATCH_DELTAS), &i->delta_folder, err) : code;
    if (code != ERR_OK) {
        ingest_close(i);
        return code;
    }
    rejects_clean(i);
    *ret = i;
    return ERR_OK;
}

void ingest_close(struct ingest *i) {
    if (!i) {
        return;
    }
    CHECK(i->running == 0 && i->deltas == NULL);
    scratch_remove(&i->delta_folder);
    (void)pthread_cond_destroy(&i->delta_done);
    (void)pthread_mutex_destroy(&i->lock);
    arena_release(&i->arena);
    free(i);
}

static void copy_request(const struct ingest_request *r, struct arena *a,
                         struct ingest_request *ret) {
    *ret = *r;
    struct str *texts[] = {&ret->dataset,         &ret->bucket,    &ret->filename,
                           &ret->delimiter,       &ret->quote,     &ret->encoding,
                           &ret->idempotency_key, &ret->keys,      &ret->who.actor,
                           &ret->who.action,      &ret->who.reason};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_str(a, *texts[i]);
    }
    const bool tab = str_is(r->delimiter, "\\t") || str_eq_nocase(r->delimiter, STR("tab"));
    ret->delimiter = tab ? STR("\t") : ret->delimiter;
}

// One visible character, or a tab, that cannot be part of a number or a name.
static bool is_sign(char c) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return (c == '\t' || (c >= ' ' && c <= '~') || (c >= 1 && c < 32)) && c != '\n' && c != '\r' &&
           !digit && !letter;
}

static enum err_code check_request(const struct ingest_request *r, struct err *err) {
    TRY(catalog_check_name(r->dataset, err));
    if (r->delimiter.len > 0 && (r->delimiter.len != 1 || !is_sign(r->delimiter.ptr[0]))) {
        return err_set(err, ERR_INVALID,
                       "the delimiter must be one character: no letter, digit or line end");
    }
    const bool none = r->quote.len == 0 || str_is(r->quote, "none");
    if (!none && (r->quote.len != 1 || !is_sign(r->quote.ptr[0]))) {
        return err_set(err, ERR_INVALID, "the quote must be one character, or \"none\"");
    }
    if (r->idempotency_key.len > 0 && r->mode != TABLE_APPEND) {
        return err_set(
            err, ERR_INVALID,
            "an Idempotency-Key goes with append, upsert and delete; a file sent twice to "
            "create changes nothing anyway");
    }
    if (r->quote.len == 1 && str_eq(r->quote, r->delimiter)) {
        return err_set(err, ERR_INVALID, "delimiter and quote cannot be the same");
    }
    if (r->encoding.len > 0 && !text_encoding_known(r->encoding)) {
        return err_set(err, ERR_INVALID,
                       "unknown encoding \"" STR_FMT
                       "\"; known are utf-8, utf-16, utf-32, latin-1 and windows-1252",
                       STR_ARG(r->encoding));
    }
    return ERR_OK;
}

static enum err_code take_place(struct ingest *i, struct err *err) {
    LOCKED(&i->lock);
    if (i->running >= i->config->ingest_running_max) {
        return err_set(err, ERR_BUSY, "%lld files are being ingested; that is the limit",
                       (long long)i->running);
    }
    i->running++;
    return ERR_OK;
}

static enum err_code make_spool(struct ingest_upload *u, struct err *err) {
    TRY(scratch_make(u->ingest->spool, STR(SCRATCH_UPLOAD), &u->scratch, err));
    u->folder = str_from(u->scratch.path);
    u->path = upload_path(u, "sent");
    u->fd = open(u->path.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->fd < 0) {
        return err_errno(err, "cannot make a spool file");
    }
    return ERR_OK;
}

static struct ingest_upload *upload_new(struct ingest *i, const struct ingest_request *r) {
    struct ingest_upload *u = xcalloc(1, sizeof(*u));
    *u = (struct ingest_upload){
        .ingest = i,
        .arena = ARENA(ARENA_BYTES),
        .fd = -1,
        .scan = TEXT_SCAN,
    };
    copy_request(r, &u->arena, &u->request);
    CHECK(pthread_mutex_init(&u->lock, NULL) == 0);
    u->hash = sha256_stream_new();
    return u;
}

static void upload_free(struct ingest_upload *u) {
    sha256_stream_free(u->hash);
    closep(&u->fd);
    (void)pthread_mutex_destroy(&u->lock);
    arena_release(&u->arena);
    free(u);
}

enum err_code ingest_begin(struct ingest *i, const struct ingest_request *r,
                           struct ingest_upload **ret, struct err *err) {
    struct ingest_upload *u = upload_new(i, r);
    enum err_code code = check_request(&u->request, err);
    code = code == ERR_OK ? take_place(i, err) : code;
    if (code != ERR_OK) {
        upload_free(u);
        return code;
    }
    code = make_spool(u, err);
    if (code == ERR_OK && r->mode == TABLE_APPEND) {
        DEFER(arena_release) struct arena a = ARENA(ARENA_BYTES);
        const struct table_want want = {.name = u->request.dataset};
        struct table_pin pin;
        code = table_pin_at(i->tables, &want, &a, &pin, err);
    }
    if (code != ERR_OK) {
        ingest_end(u);
        return code;
    }
    *ret = u;
    return ERR_OK;
}

static void look_at_head(struct ingest_upload *u, struct str piece) {
    if (u->head_len == 0 && piece.len > 0) {
        const char *name = NULL;
        const enum detect_kind kind = detect_bytes(piece, &name);
        u->scanning = (kind == DETECT_TEXT || kind == DETECT_JSON) && !detect_wide(piece);
    }
    const size_t more = MIN(piece.len, sizeof(u->head) - u->head_len);
    if (more > 0) {
        memcpy(u->head + u->head_len, piece.ptr, more);
        u->head_len += more;
    }
}

enum err_code ingest_add(struct ingest_upload *u, struct str piece, struct err *err) {
    CHECK(u->fd >= 0);
    if (u->failed) {
        return err_set(err, ERR_IO, "a part of the file was lost");
    }
    look_at_head(u, piece);
    u->failed = true;
    TRY(upload_check(u, err));
    size_t done = 0;
    while (done < piece.len) {
        const ssize_t n = write(u->fd, piece.ptr + done, piece.len - done);
        if (n < 0 && errno != EINTR) {
            return err_errno(err, "cannot write the spool file");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    sha256_stream_add(u->hash, piece.ptr, piece.len);
    if (u->scanning) {
        text_scan_add(&u->scan, piece);
    }
    u->received += (int64_t)piece.len;
    u->failed = false;
    return ERR_OK;
}

struct str upload_name(const struct ingest_upload *u) {
    return u->request.filename.len > 0 ? u->request.filename : STR("the file");
}

struct str upload_path(struct ingest_upload *u, const char *name) {
    return arena_printf(&u->arena, STR_FMT "/%s", STR_ARG(u->folder), name);
}

enum err_code upload_check(struct ingest_upload *u, struct err *err) {
    if (atomic_load(&u->cancel.set)) {
        return err_set(err, ERR_CANCELLED, "the ingest was cancelled");
    }
    return ERR_OK;
}

// Is this where the useful part of an engine's message ends?
static bool is_hint(struct str rest) {
    static const char *const hints[] = {"\n\n", "\nTry ", "\nPossible", ". Try ", ".\n Try"};
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (str_starts(rest, str_from(hints[i]))) {
            return true;
        }
    }
    return false;
}

void ingest_clean_message(struct str folder, struct str name, struct err *err) {
    const struct str msg = str_from(err->msg);
    DEFER(buf_release) struct buf out = BUF(sizeof(err->msg) * 2);
    size_t at = 0;
    while (at < msg.len) {
        const struct str rest = str_slice(msg, at, msg.len);
        if (is_hint(rest)) {
            break;
        }
        if (!str_starts(rest, folder)) {
            buf_add_char(&out, rest.ptr[0] == '\n' ? ' ' : rest.ptr[0]);
            at++;
            continue;
        }
        buf_add_str(&out, name);
        at += folder.len;
        while (at < msg.len && !strchr("\"' :,\n", msg.ptr[at])) {
            at++;
        }
    }
    struct str clean = buf_str(&out);
    static const char *const prefixes[] = {
        "Invalid Input Error: ", "Binder Error: ", "Conversion Error: ", "IO Error: "};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        const struct str prefix = str_from(prefixes[i]);
        clean = str_starts(clean, prefix) ? str_slice(clean, prefix.len, clean.len) : clean;
    }
    const size_t len = MIN(clean.len, sizeof(err->msg) - 1);
    memcpy(err->msg, clean.len > 0 ? clean.ptr : "", len);
    err->msg[len] = '\0';
}

// The names in "a, b".
static size_t split_keys(struct str text, struct arena *a, struct str **ret) {
    struct str key;
    size_t count = 0;
    size_t cap = 0;
    while (str_cut(&text, ',', &key)) {
        *ret = arena_grow(a, *ret, &cap, count + 1, sizeof(**ret));
        (*ret)[count++] = str_trim(key);
    }
    return count;
}

static struct catalog_idempotency idempotency(const struct ingest_upload *u,
                                              const json_t *outcome) {
    return (struct catalog_idempotency){.principal = u->request.who.actor,
                                        .key = u->request.idempotency_key,
                                        .request_sha256 = u->request_sha256,
                                        .outcome = outcome};
}

static json_t *idempotency_changes(void *ctx, const struct table_delta_done *done) {
    const struct ingest_upload *u = ctx;
    if (u->request.idempotency_key.len == 0) {
        return NULL;
    }
    DEFER(json_decrefp) json_t *outcome = json_object();
    json_object_set_new(outcome, "rows", json_integer(done->batches[0].rows));
    json_object_set_new(outcome, "matched", json_integer(done->batches[0].matched));
    json_object_set_new(outcome, "added", json_integer(done->added));
    json_object_set_new(outcome, "suppressed", json_integer(done->suppressed));
    json_t *changes = json_array();
    const struct catalog_idempotency i = idempotency(u, outcome);
    catalog_idempotency_changes(tables_catalog(u->ingest->tables), &i, changes);
    return changes;
}

// The same request was carried out before: its outcome, and the dataset as it is now.
static enum err_code replay(struct ingest_upload *u, struct str file_sha256, struct arena *a,
                            struct ingest_result *ret, struct err *err) {
    const struct ingest_request *r = &u->request;
    DEFER(json_decrefp) json_t *outcome = NULL;
    struct table_pin pin;
    if (r->idempotency_key.len == 0) {
        return ERR_OK;
    }
    const struct str asked = arena_printf(&u->arena, STR_FMT "\n%d\n" STR_FMT "\n%d%d\n" STR_FMT,
                                          STR_ARG(r->dataset), (int)r->change, STR_ARG(r->keys),
                                          r->last_wins, r->evolve, STR_ARG(file_sha256));
    u->request_sha256 = hex_sha256(sha256(asked), &u->arena);
    const struct catalog_idempotency i = idempotency(u, NULL);
    TRY(catalog_idempotency_find(tables_catalog(u->ingest->tables), &i, &outcome, err));
    if (outcome == NULL) {
        return ERR_OK;
    }
    const struct table_want want = {.name = r->dataset};
    TRY(table_pin_at(u->ingest->tables, &want, a, &pin, err));
    ret->replayed = true;
    ret->written =
        (struct table_written){.dataset = pin.dataset, .schema = pin.schema, .unchanged = true};
    (void)json_get_i64(outcome, "rows", &u->changed.rows);
    (void)json_get_i64(outcome, "matched", &u->changed.matched);
    (void)json_get_i64(outcome, "added", &ret->written.rows);
    (void)json_get_i64(outcome, "suppressed", &ret->written.suppressed);
    u->changed.suppressed = ret->written.suppressed;
    return ERR_OK;
}

static enum err_code change_rows(struct ingest_upload *u, struct str source, struct arena *a,
                                 struct table_written *ret, struct err *err) {
    const struct ingest_request *r = &u->request;
    struct str *keys = NULL;
    const size_t key_count = split_keys(r->keys, a, &keys);
    const struct table_delta d = {
        .dataset = r->dataset,
        .mode = r->change == INGEST_UPSERT   ? TABLE_DELTA_UPSERT
                : r->change == INGEST_DELETE ? TABLE_DELTA_DELETE
                                             : TABLE_DELTA_APPEND,
        .keys = keys,
        .key_count = key_count,
        .source = source,
        .last_wins = r->last_wins,
        .evolve = r->evolve,
        .extras = idempotency_changes,
        .ctx = u,
        .who = r->who,
        .session = u->session,
    };
    struct table_delta_done done;
    TRY(table_delta(u->ingest->tables, &d, a, &done, err));
    u->changed = done.batches[0];
    *ret = (struct table_written){.dataset = done.dataset,
                                  .schema = done.schema,
                                  .rows = done.added,
                                  .suppressed = done.suppressed};
    return ERR_OK;
}

enum err_code upload_write(struct ingest_upload *u, struct str source, struct str sha256,
                           struct arena *a, struct table_written *ret, struct err *err) {
    TRY(upload_check(u, err));
    if (u->request.change != INGEST_WRITE || u->request.idempotency_key.len > 0) {
        return change_rows(u, source, a, ret, err);
    }
    const struct table_write w = {
        .dataset = u->request.dataset,
        .bucket = u->request.bucket,
        .mode = u->request.mode,
        .evolve = u->request.evolve,
        .source = source,
        .source_sha256 = sha256,
        .who = u->request.who,
        .session = u->session,
    };
    return table_write(u->ingest->tables, &w, a, ret, err);
}

// The same file made this dataset before: nothing is to be done.
static enum err_code same_file(struct ingest_upload *u, struct str sha256, struct arena *a,
                               struct ingest_result *ret, bool *ret_same, struct err *err) {
    *ret_same = false;
    if (u->request.mode != TABLE_CREATE) {
        return ERR_OK;
    }
    const struct table_want want = {.name = u->request.dataset};
    struct table_pin pin;
    struct err missing = ERR_NONE;
    const enum err_code code = table_pin_at(u->ingest->tables, &want, a, &pin, &missing);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (code != ERR_OK) {
        *err = missing;
        return code;
    }
    TRY(table_suppress_same_file(u->ingest->tables, &pin.dataset, sha256, err));
    *ret_same = true;
    ret->written =
        (struct table_written){.dataset = pin.dataset, .schema = pin.schema, .unchanged = true};
    return ERR_OK;
}

static enum err_code read_head(struct ingest_upload *u, char *buf, size_t cap, struct str *ret,
                               struct err *err) {
    DEFER(closep) int fd = open(arena_cstr(&u->arena, u->path), O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? pread(fd, buf, cap, 0) : -1;
    if (len < 0) {
        return err_errno(err, "cannot read the spool file");
    }
    *ret = (struct str){buf, (size_t)len};
    return len > 0 ? ERR_OK : err_set(err, ERR_DATA, "the file is empty");
}

static enum err_code recognise(struct ingest_upload *u, enum detect_kind *ret, struct err *err) {
    char buf[4096];
    struct str head = STR_NONE;
    const char *name = NULL;
    TRY(read_head(u, buf, sizeof(buf), &head, err));
    *ret = detect_bytes(head, &name);
    if (*ret == DETECT_OTHER) {
        return err_set(err, ERR_UNSUPPORTED,
                       "this is %s; CSV, TSV, JSON, NDJSON, Parquet and Arrow can be read, also "
                       "packed with gzip or zstd",
                       name);
    }
    return ERR_OK;
}

static bool is_packed(enum detect_kind k) {
    return k == DETECT_GZIP || k == DETECT_ZSTD;
}

// What was stated or, failing that, what content and name say. kind is not a packed one.
static enum err_code decide_format(struct ingest_upload *u, enum detect_kind kind,
                                   struct err *err) {
    const enum ingest_format named = detect_name(u->request.filename);
    const bool stated = u->request.format != INGEST_AUTO;
    const enum ingest_format wanted = stated ? u->request.format : named;
    const char *who = stated ? "stated" : "in the file's name";
    const bool wants_json = wanted == INGEST_JSON || wanted == INGEST_NDJSON;
    const bool wants_text = wanted == INGEST_CSV || wanted == INGEST_TSV;
    if (kind == DETECT_PARQUET) {
        u->format = INGEST_PARQUET;
        return stated && wanted != INGEST_PARQUET
                   ? err_set(err, ERR_DATA, "this is a Parquet file, not the format stated")
                   : ERR_OK;
    }
    if (wanted == INGEST_PARQUET) {
        return err_set(err, ERR_DATA, "this is not a Parquet file, which is the format %s", who);
    }
    if (kind == DETECT_ARROW) {
        u->format = INGEST_ARROW;
        return stated && wanted != INGEST_ARROW
                   ? err_set(err, ERR_DATA, "this is Arrow data, not the format stated")
                   : ERR_OK;
    }
    if (wanted == INGEST_ARROW) {
        return err_set(err, ERR_DATA, "this is no Arrow stream or file, which is the format %s",
                       who);
    }
    if (wants_json && kind != DETECT_JSON) {
        return err_set(err, ERR_DATA,
                       "this is not JSON, which is the format %s: it begins with neither { nor [",
                       who);
    }
    u->format = wants_text || wants_json ? wanted : kind == DETECT_JSON ? INGEST_JSON : INGEST_CSV;
    return ERR_OK;
}

// Unpacks, brings text to UTF-8, and knows the format then.
static enum err_code prepare(struct ingest_upload *u, struct err *err) {
    enum detect_kind kind = DETECT_TEXT;
    TRY(recognise(u, &kind, err));
    if (is_packed(kind)) {
        TRY(unpack_file(u, kind, err));
        TRY(recognise(u, &kind, err));
    }
    if (is_packed(kind)) {
        return err_set(err, ERR_UNSUPPORTED, "the file is packed twice; unpack it once");
    }
    if (kind != DETECT_PARQUET && kind != DETECT_ARROW) {
        TRY(text_prepare(u, err));
        TRY(recognise(u, &kind, err));
    }
    return decide_format(u, kind, err);
}

static void set_session(struct ingest_upload *u, struct session *s) {
    LOCKED(&u->lock);
    u->session = s;
}

static enum err_code write_rows(struct ingest_upload *u, struct str sha256, struct arena *a,
                                struct ingest_result *ret, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(u->ingest->engine, &s, err));
    set_session(u, s);
    enum err_code code = ERR_OK;
    switch (u->format) {
    case INGEST_PARQUET:
        code = parquet_write(u, sha256, a, &ret->written, err);
        break;
    case INGEST_ARROW:
        code = arrow_write(u, sha256, a, &ret->written, err);
        break;
    case INGEST_JSON:
    case INGEST_NDJSON:
        code = json_write(u, sha256, a, &ret->written, err);
        break;
    default:
        code = csv_write(u, sha256, a, &ret->written, err);
    }
    set_session(u, NULL);
    return code;
}

static enum err_code finish(struct ingest_upload *u, struct arena *a, struct ingest_result *ret,
                            struct err *err) {
    if (u->failed || u->fd < 0) {
        return err_set(err, ERR_IO, "a part of the file was lost");
    }
    closep(&u->fd);
    u->fd = -1;
    text_scan_end(&u->scan);
    const struct str sha256 = hex_sha256(sha256_stream_end(TAKE(u->hash)), a);
    if (u->received == 0) {
        return err_set(err, ERR_DATA, "the file is empty");
    }
    bool same = false;
    TRY(same_file(u, sha256, a, ret, &same, err));
    TRY(replay(u, sha256, a, ret, err));
    if (same || ret->replayed) {
        return ERR_OK;
    }
    TRY(prepare(u, err));
    TRY(write_rows(u, sha256, a, ret, err));
    return ERR_OK;
}

static void fill_result(struct ingest_upload *u, struct arena *a, struct ingest_result *ret) {
    ret->format = u->format;
    ret->bytes_received = u->received;
    ret->rejected = u->rejected;
    ret->change = u->changed;
    ret->first_count = u->first_count;
    ret->first = arena_array(a, u->first_count, sizeof(*ret->first));
    for (size_t i = 0; i < u->first_count; i++) {
        ret->first[i] = (struct ingest_reject){
            .line = u->first[i].line,
            .column = arena_str(a, u->first[i].column),
            .reason = arena_str(a, u->first[i].reason),
            .text = arena_str(a, u->first[i].text),
        };
    }
    ret->rejects_id = arena_str(a, u->rejects_id);
    // The result outlives the upload, in whose arena the texts of the request stand.
    struct catalog_dataset *d = &ret->written.dataset;
    struct str *texts[] = {&d->name,     &d->id,          &d->bucket,        &d->dir,
                           &d->metadata, &d->fingerprint, &d->source_sha256, &d->source_lists};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_str(a, *texts[i]);
    }
}

enum err_code ingest_finish(struct ingest_upload *u, struct arena *a, struct ingest_result *ret,
                            struct err *err) {
    const int64_t start_us = clock_mono_us();
    struct ingest_result result = {0};
    enum err_code code = finish(u, a, &result, err);
    struct err later = ERR_NONE;
    const enum err_code ended = rejects_end(u, code == ERR_OK, &later);
    if (code != ERR_OK) {
        ingest_clean_message(u->folder, upload_name(u), err);
        if (code == ERR_CANCELLED || atomic_load(&u->cancel.set)) {
            code = err_set(err, ERR_CANCELLED, "the ingest was cancelled");
        }
        counter_add(COUNTER_ingest_failures, 1);
        return code;
    }
    if (ended != ERR_OK) {
        u->rejects_id = STR_NONE; // the rows are in; only the list of the others is lost
    }
    fill_result(u, a, &result);
    result.duration_us = clock_mono_us() - start_us;
    counter_add(COUNTER_ingests, 1);
    counter_add(COUNTER_ingest_rows, result.written.rows);
    counter_add(COUNTER_ingest_bytes, u->received);
    *ret = result;
    return ERR_OK;
}

void ingest_cancel(struct ingest_upload *u) {
    atomic_store(&u->cancel.set, true);
    LOCKED(&u->lock);
    if (u->session) {
        session_interrupt(u->session);
    }
}

void ingest_end(struct ingest_upload *u) {
    if (!u) {
        return;
    }
    struct err err = ERR_NONE;
    (void)rejects_end(u, false, &err);
    scratch_remove(&u->scratch);
    struct ingest *i = u->ingest;
    upload_free(u);
    LOCKED(&i->lock);
    i->running--;
}
