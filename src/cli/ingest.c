// ingest: files streamed from disk to the server, with a bar while they travel.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"

enum { NAME_LETTERS_MAX = 63, DRAW_INTERVAL_US = 100000, BAR_WIDTH = 24, REJECTS_SHOWN = 5 };

static bool drop_suffix(struct str *name, const char *const *suffixes) {
    for (; *suffixes; suffixes++) {
        const struct str suffix = str_from(*suffixes);
        const size_t stem = name->len > suffix.len ? name->len - suffix.len : 0;
        if (stem > 0 && str_eq_nocase(str_slice(*name, stem, name->len), suffix)) {
            name->len = stem;
            return true;
        }
    }
    return false;
}

struct str cli_dataset_name(struct str path, struct arena *a) {
    static const char *const packed[] = {".gz", ".zst", NULL};
    static const char *const formats[] = {".csv",    ".tsv",     ".txt",     ".json",
                                          ".jsonl",  ".ndjson",  ".parquet", ".arrow",
                                          ".arrows", ".feather", NULL};
    struct str name = path;
    for (size_t i = 0; i < path.len; i++) {
        name = path.ptr[i] == '/' ? str_slice(path, i + 1, path.len) : name;
    }
    (void)drop_suffix(&name, packed);
    (void)drop_suffix(&name, formats);
    char *out = arena_alloc(a, name.len + sizeof("t_"));
    size_t len = 0;
    for (size_t i = 0; i < name.len && len < NAME_LETTERS_MAX; i++) {
        const unsigned char c = (unsigned char)name.ptr[i];
        if (c < 0x80 && isalnum(c)) {
            // A name that starts with a digit would need quotes in SQL.
            if (len == 0 && isdigit(c)) {
                out[len++] = 't';
                out[len++] = '_';
            }
            out[len++] = (char)tolower(c);
        } else if (len > 0 && out[len - 1] != '_') {
            out[len++] = '_';
        }
    }
    while (len > 0 && out[len - 1] == '_') {
        len--;
    }
    return (struct str){out, len};
}

// One file on its way.
struct upload {
    const char *path;
    int fd;
    int64_t bytes; // -1: not known
    int64_t start_us, drawn_us;
    bool draw;
    int error; // errno of a read that failed
};

static ptrdiff_t upload_read(void *ctx, char *out, size_t room) {
    struct upload *u = ctx;
    for (;;) {
        const ssize_t got = read(u->fd, out, room);
        if (got < 0 && errno == EINTR && !client_interrupted()) {
            continue;
        }
        u->error = got < 0 ? errno : 0;
        return got;
    }
}

static void upload_draw(void *ctx, int64_t sent) {
    struct upload *u = ctx;
    const int64_t now = clock_mono_us();
    const bool complete = sent == u->bytes;
    if (!u->draw || (now - u->drawn_us < DRAW_INTERVAL_US && !complete)) {
        return;
    }
    u->drawn_us = now;
    const double megabytes = (double)sent / 1e6;
    const double seconds = (double)MAX(now - u->start_us, 1) / 1e6;
    if (u->bytes < 0) {
        fprintf(stderr, "\r\033[K%s  %.1f MB  %.1f MB/s", u->path, megabytes, megabytes / seconds);
        return;
    }
    if (complete) {
        fprintf(stderr, "\r\033[K%s  %.1f MB sent, the server is at work ...", u->path, megabytes);
        return;
    }
    const int done = u->bytes > 0 ? (int)(sent * BAR_WIDTH / u->bytes) : BAR_WIDTH;
    fprintf(stderr, "\r\033[K%s  [%.*s%*s] %3d%%  %.1f MB  %.1f MB/s", u->path, done,
            "########################", BAR_WIDTH - done, "",
            (int)(u->bytes > 0 ? sent * 100 / u->bytes : 100), megabytes, megabytes / seconds);
}

static void upload_clear(const struct upload *u) {
    if (u->draw && u->drawn_us > 0) {
        fputs("\r\033[K", stderr);
    }
}

static void upload_release(struct upload *u) {
    if (u->fd > STDIN_FILENO) {
        closep(&u->fd);
    }
}

static enum err_code upload_open(const char *path, struct upload *ret, struct err *err) {
    struct stat st;
    ret->path = path;
    ret->fd = STDIN_FILENO;
    ret->bytes = -1;
    ret->draw = isatty(STDERR_FILENO) == 1;
    if (strcmp(path, "-") != 0) {
        ret->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (ret->fd < 0) {
            const bool absent = errno == ENOENT;
            (void)err_errno(err, "cannot open %s", path);
            err->code = absent ? ERR_NOT_FOUND : err->code;
            return err->code;
        }
    }
    if (fstat(ret->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_INVALID, "%s is a folder; name the files in it", path);
    }
    if (fstat(ret->fd, &st) == 0 && S_ISREG(st.st_mode) && ret->fd != STDIN_FILENO) {
        ret->bytes = (int64_t)st.st_size;
    }
    ret->start_us = clock_mono_us();
    return ERR_OK;
}

static void ingest_path(const struct args *a, struct str dataset, const char *mode,
                        const char *file, struct buf *path) {
    static const char *const passed[][2] = {
        {"bucket", "bucket"},       {"format", "format"}, {"on-error", "on_error"},
        {"delimiter", "delimiter"}, {"quote", "quote"},   {"encoding", "encoding"},
        {"reason", "reason"},       {"key", "key"},       {"on-duplicate", "on_duplicate"},
    };
    buf_add_cstr(path, "/ingest/file");
    client_parameter(path, "dataset", dataset);
    client_parameter(path, "mode", str_from(mode));
    for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
        const char *value = args_value(a, passed[i][0]);
        if (value) {
            client_parameter(path, passed[i][1], str_from(value));
        }
    }
    if (args_flag(a, "evolve")) {
        client_parameter(path, "evolve", STR("true"));
    }
    if (args_value(a, "header")) {
        const bool yes = strcmp(args_value(a, "header"), "yes") == 0;
        client_parameter(path, "header", yes ? STR("true") : STR("false"));
    }
    if (strcmp(file, "-") != 0) {
        const char *slash = strrchr(file, '/');
        client_parameter(path, "filename", str_from(slash ? slash + 1 : file));
    }
}

static void say_rejected(const json_t *answer) {
    const json_t *rejected = json_object_get(answer, "rejected");
    const json_t *first = json_object_get(rejected, "first");
    const int64_t count = json_i64_of(rejected, "count");
    struct str url = STR_NONE;
    if (count == 0) {
        return;
    }
    fprintf(stderr, "tarn: %" PRId64 " row%s rejected:\n", count, count == 1 ? " was" : "s were");
    for (size_t i = 0; i < MIN(json_array_size(first), REJECTS_SHOWN); i++) {
        const json_t *row = json_array_get(first, i);
        struct str reason = STR_NONE;
        struct str column = STR_NONE;
        (void)json_get_str(row, "reason", &reason);
        (void)json_get_str(row, "column", &column);
        fprintf(stderr, "  line %" PRId64 "%s" STR_FMT ": " STR_FMT "\n", json_i64_of(row, "line"),
                column.len > 0 ? ", column " : "", STR_ARG(column), STR_ARG(reason));
    }
    if (json_get_str(rejected, "url", &url)) {
        fprintf(stderr, "  all of them: " STR_FMT "\n", STR_ARG(url));
    }
}

void cli_say_suppressed(int64_t rows) {
    if (rows > 0) {
        fprintf(stderr, "tarn: %" PRId64 " row%s kept out by the suppression list\n", rows,
                rows == 1 ? "" : "s");
    }
}

static enum err_code say_done(const struct args *a, const struct upload *u, const json_t *answer,
                              struct err *err) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    struct arena *arena = a->arena;
    struct str dataset = STR_NONE;
    bool unchanged = false;
    TRY(json_need_str(answer, "dataset", &dataset, err));
    (void)json_get_bool(answer, "unchanged", &unchanged);
    if (args_flag(a, "json")) {
        cli_add_json(a, answer, &out);
        return grid_write(&out, err);
    }
    if (unchanged) {
        buf_printf(&out, "%s -> " STR_FMT ": unchanged, these bytes were there already\n", u->path,
                   STR_ARG(dataset));
        return grid_write(&out, err);
    }
    const json_t *changed = json_object_get(answer, "changed");
    if (changed != NULL) {
        const struct str sent = grid_number(json_i64_of(changed, "rows"), arena);
        const struct str matched = grid_number(json_i64_of(changed, "matched"), arena);
        buf_printf(&out,
                   "%s -> " STR_FMT ": " STR_FMT " row%s sent, " STR_FMT
                   " of their keys were there, %" PRId64 " ms\n",
                   u->path, STR_ARG(dataset), STR_ARG(sent), str_is(sent, "1") ? "" : "s",
                   STR_ARG(matched), json_i64_of(answer, "duration_ms"));
        return grid_write(&out, err);
    }
    const struct str rows = grid_number(json_i64_of(answer, "rows"), arena);
    const struct str bytes = grid_bytes(json_i64_of(answer, "bytes"), arena);
    const size_t columns = json_array_size(json_object_get(answer, "schema"));
    buf_printf(&out,
               "%s -> " STR_FMT ": " STR_FMT " row%s, %zu column%s, " STR_FMT ", %" PRId64 " ms\n",
               u->path, STR_ARG(dataset), STR_ARG(rows), str_is(rows, "1") ? "" : "s", columns,
               columns == 1 ? "" : "s", STR_ARG(bytes), json_i64_of(answer, "duration_ms"));
    return grid_write(&out, err);
}

static enum err_code ingest_one(const struct args *a, struct client *c, const char *file,
                                struct str dataset, const char *mode, struct err *err) {
    DEFER(buf_release) struct buf path = BUF(1 << 16);
    DEFER(client_answer_release) struct client_answer answer = CLIENT_ANSWER;
    DEFER(upload_release) struct upload u = {.fd = -1};
    DEFER(json_decrefp) json_t *json = NULL;
    TRY(upload_open(file, &u, err));
    ingest_path(a, dataset, mode, file, &path);
    const struct client_request r = {.method = "POST",
                                     .path = buf_str(&path),
                                     .source = {&u, upload_read, u.bytes, upload_draw}};
    const enum err_code code = client_send(c, &r, &answer, err);
    upload_clear(&u);
    if (u.error != 0 && code != ERR_CANCELLED) {
        errno = u.error;
        return err_errno(err, "cannot read %s", file);
    }
    if (code == ERR_DATA && str_starts(str_from(err->msg), STR("line ")) &&
        args_value(a, "on-error") == NULL) {
        const struct str why = arena_str(a->arena, str_from(err->msg));
        (void)err_set(err, ERR_DATA, STR_FMT "; --on-error reject leaves bad rows out",
                      STR_ARG(why));
    }
    if (code != ERR_OK) {
        // Who is asked stands in the message when it is the connection that failed.
        return code == ERR_CANCELLED ? code : err_prefix(err, "%s: ", file);
    }
    TRY(json_parse_stored(buf_str(&answer.body), "the server's answer", &json, err));
    TRY(say_done(a, &u, json, err));
    say_rejected(json);
    cli_say_suppressed(json_i64_of(json, "rows_suppressed"));
    return ERR_OK;
}

// The dataset of each file, known and distinct before the first byte is sent.
static enum err_code name_all(const struct args *a, struct str *names, struct err *err) {
    const char *given = args_value(a, "dataset");
    for (size_t i = 0; i < a->word_count; i++) {
        names[i] = given ? str_from(given) : cli_dataset_name(str_from(a->words[i]), a->arena);
        if (!given && strcmp(a->words[i], "-") == 0) {
            return err_set(err, ERR_INVALID, "standard input has no name: --dataset gives one");
        }
        if (names[i].len == 0) {
            return err_set(err, ERR_INVALID,
                           "no dataset name can be made of %s: --dataset gives one", a->words[i]);
        }
        for (size_t j = 0; !given && j < i; j++) {
            if (str_eq(names[i], names[j])) {
                return err_set(err, ERR_INVALID,
                               "%s and %s would both be the dataset " STR_FMT
                               "; --dataset appends them to one",
                               a->words[j], a->words[i], STR_ARG(names[i]));
            }
        }
    }
    return ERR_OK;
}

// Files of one dataset stop at the first failure; others go on and the first failure is kept.
enum err_code cli_ingest(const struct args *a, struct err *err) {
    struct str *names = arena_array(a->arena, a->word_count, sizeof(*names));
    const bool together = args_flag(a, "dataset");
    const char *mode = args_value(a, "mode");
    mode = mode ? mode : "create";
    TRY(name_all(a, names, err));
    DEFER(client_closep) struct client *c = NULL;
    TRY(client_open(a, &c, err));
    enum err_code first = ERR_OK;
    for (size_t i = 0; i < a->word_count; i++) {
        struct err one = ERR_NONE;
        const bool changes = strcmp(mode, "upsert") == 0 || strcmp(mode, "delete") == 0;
        const char *use = together && i > 0 && !changes ? "append" : mode;
        const enum err_code code = ingest_one(a, c, a->words[i], names[i], use, &one);
        const bool stop = together || code == ERR_CANCELLED || code == ERR_BUSY;
        if (code != ERR_OK && first != ERR_OK) {
            fprintf(stderr, "tarn: %s\n", one.msg);
        } else if (code != ERR_OK) {
            first = code;
            *err = one;
        }
        if (code != ERR_OK && stop) {
            return code;
        }
        if (code != ERR_OK && a->word_count > 1 && first == code) {
            fprintf(stderr, "tarn: %s\n", one.msg);
            err->msg[0] = '\0';
        }
    }
    return first;
}
