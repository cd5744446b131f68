// doctor: what can be checked without a running server.
#define _GNU_SOURCE // mkdtemp
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "engine/engine.h"
#include "log/txlog.h"
#include "store/store.h"
#include "worker/jail.h"

enum {
    PROBE_TIMEOUT_MS = 3000,
    PROBE_THREADS = 2,
    SPACE_WARN_BYTES = 1 << 30,
    SPACE_FAIL_BYTES = 64 << 20,
    YEAR_2024_S = 1704067200,
    CLOCK_AHEAD_US = 300000000,
    SPOOL_DEPTH = 3,
};

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

// One run of doctor.
struct doctor {
    const struct args *args;
    struct config config;
    struct arena *arena;
    const char *data;    // data folder
    const char *primary; // its bucket
    bool has_data, has_primary;
    struct store *store; // NULL: could not be opened
    bool failed;
    struct buf out;
};

// Says what a check came to; hint, if not NULL, is what to do about it.
static void say(struct doctor *d, enum verdict v, const char *check, const char *hint,
                const char *fmt, ...) PRINTF_LIKE(5, 6);
static void say(struct doctor *d, enum verdict v, const char *check, const char *hint,
                const char *fmt, ...) {
    static const char *const marks[] = {"ok", "warn", "FAIL"};
    va_list args;
    buf_printf(&d->out, "%-4s  %-13s  ", marks[v], check);
    va_start(args, fmt);
    buf_vprintf(&d->out, fmt, args);
    va_end(args);
    buf_add_char(&d->out, '\n');
    if (v != VERDICT_OK && hint) {
        buf_printf(&d->out, "%-19s  -> %s\n", "", hint);
    }
    d->failed = d->failed || v == VERDICT_FAIL;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void check_config(struct doctor *d) {
    say(d, VERDICT_OK, "configuration", NULL, "is right");
    if (args_flag(d->args, "verbose")) {
        DEFER(buf_release) struct buf text = BUF(1 << 20);
        config_text(&d->config, &text);
        struct str rest = buf_str(&text);
        struct str line = STR_NONE;
        while (str_cut(&rest, '\n', &line)) {
            buf_printf(&d->out, "%-19s  " STR_FMT "\n", "", STR_ARG(line));
        }
    }
}

// The nearest folder above that exists; the data folder will be made in it.
static struct str existing_parent(const struct doctor *d) {
    char *path = arena_cstr(d->arena, str_from(d->data));
    for (;;) {
        char *slash = strrchr(path, '/');
        if (!slash) {
            return STR(".");
        }
        if (slash == path) {
            return STR("/");
        }
        *slash = '\0';
        if (access(path, F_OK) == 0) {
            return str_from(path);
        }
    }
}

static void check_folder(struct doctor *d) {
    struct stat st;
    if (stat(d->data, &st) == 0 && !S_ISDIR(st.st_mode)) {
        say(d, VERDICT_FAIL, "data folder", "name a folder with --data", "%s is no folder",
            d->data);
        return;
    }
    if (d->has_data && access(d->data, R_OK | W_OK | X_OK) == 0) {
        say(d, VERDICT_OK, "data folder", NULL, "%s is there", d->data);
        return;
    }
    if (d->has_data) {
        say(d, VERDICT_FAIL, "data folder", "run tarn as the folder's owner",
            "%s cannot be read and written", d->data);
        return;
    }
    const struct str parent = existing_parent(d);
    const bool can = is_folder(arena_cstr(d->arena, parent)) &&
                     access(arena_cstr(d->arena, parent), W_OK | X_OK) == 0;
    say(d, can ? VERDICT_OK : VERDICT_FAIL, "data folder",
        "make it, or name another one with --data", "%s is not there; the first start %s", d->data,
        can ? "makes it" : "cannot make it");
}

static void check_permissions(struct doctor *d) {
    struct stat st;
    if (stat(d->data, &st) != 0) {
        return;
    }
    const unsigned mode = st.st_mode & 07777;
    say(d, (mode & 077) ? VERDICT_WARN : VERDICT_OK, "permissions",
        "chmod 700: others on this machine can look into it", "%s has mode %04o", d->data, mode);
    say(d, st.st_uid == geteuid() ? VERDICT_OK : VERDICT_WARN, "owner",
        "run tarn as the owner, or chown the folder", "%s belongs to user %u, this is user %u",
        d->data, (unsigned)st.st_uid, (unsigned)geteuid());
    const struct str token = arena_printf(d->arena, "%s/admin.token", d->data);
    if (stat(arena_cstr(d->arena, token), &st) != 0) {
        say(d, VERDICT_OK, "admin token", NULL, "no admin.token; the first start makes one");
        return;
    }
    const unsigned token_mode = st.st_mode & 07777;
    say(d, (token_mode & 077) ? VERDICT_FAIL : VERDICT_OK, "admin token",
        "chmod 600, and replace the token if others were on this machine",
        "admin.token has mode %04o", token_mode);
}

static void check_space(struct doctor *d) {
    struct statvfs vfs;
    const char *where = d->has_data ? d->data : arena_cstr(d->arena, existing_parent(d));
    if (statvfs(where, &vfs) != 0) {
        say(d, VERDICT_WARN, "free space", NULL, "not known: %s", strerror(errno));
        return;
    }
    const int64_t bytes = (int64_t)((uint64_t)vfs.f_bavail * vfs.f_frsize);
    const struct str text = grid_bytes(bytes, d->arena);
    const enum verdict low = bytes < SPACE_FAIL_BYTES ? VERDICT_FAIL : VERDICT_WARN;
    say(d, bytes < SPACE_WARN_BYTES ? low : VERDICT_OK, "free space",
        "delete something, or move the data folder to a larger disk", STR_FMT, STR_ARG(text));
}

// Writes, refuses the second writer, reads and deletes one object.
static enum err_code probe_store(struct doctor *d, struct err *err) {
    const struct str name = arena_printf(d->arena, "_probe/" STR_FMT, STR_ARG(id_new(d->arena)));
    const struct str data = STR("tarn doctor was here");
    struct err second = ERR_NONE;
    struct str back = STR_NONE;
    TRY(store_put_new(d->store, name, data, err));
    const enum err_code again = store_put_new(d->store, name, STR("a second writer"), &second);
    const enum err_code got = store_get(d->store, name, d->arena, &back, err);
    struct err delete_err = ERR_NONE;
    const enum err_code deleted = store_delete(d->store, name, &delete_err);
    TRY(got);
    if (deleted != ERR_OK) {
        *err = delete_err;
        return deleted;
    }
    if (again != ERR_EXISTS) {
        return err_set(err, ERR_CORRUPT, "two writers could make the same object");
    }
    return str_eq(back, data) ? ERR_OK
                              : err_set(err, ERR_CORRUPT, "an object came back with other bytes");
}

static void check_store(struct doctor *d) {
    struct err err = ERR_NONE;
    if (!d->has_primary) {
        say(d, VERDICT_OK, "bucket", NULL, "no primary bucket yet; the first start makes it");
        return;
    }
    if (store_folder_open(d->primary, &d->store, &err) != ERR_OK ||
        probe_store(d, &err) != ERR_OK) {
        say(d, VERDICT_FAIL, "bucket", "look at the disk, the mount and the permissions",
            "primary: %s", err.msg);
        return;
    }
    say(d, VERDICT_OK, "bucket", NULL,
        "primary: objects are written, read, deleted, and written only once");
}

static void check_engine_version(struct doctor *d) {
    const bool same = strcmp(engine_version(), ENGINE_VERSION_TESTED) == 0;
    say(d, same ? VERDICT_OK : VERDICT_WARN, "engine",
        "use the libduckdb that this program was tested with", "%s, tested with %s",
        engine_version(), ENGINE_VERSION_TESTED);
}

static enum err_code parquet_round(struct doctor *d, const char *folder, struct err *err) {
    const struct engine_options options = {.threads = PROBE_THREADS};
    struct engine *engine = NULL;
    struct session *session = NULL;
    struct engine_file_stats *files = NULL;
    size_t count = 0;
    struct str text = STR_NONE;
    const struct str path = arena_printf(d->arena, "%s/probe.parquet", folder);
    const struct engine_copy copy = {
        .select = STR("SELECT range AS n, 'row ' || range AS s FROM range(1000)"), .path = path};
    const struct str sum = arena_printf(
        d->arena, "SELECT sum(n) || ' ' || count(DISTINCT s) FROM read_parquet(" STR_FMT ")",
        STR_ARG(sql_literal(path, d->arena)));
    TRY(engine_open(&options, &engine, err));
    enum err_code code = session_open(engine, &session, err);
    if (code == ERR_OK) {
        code = engine_copy_to(session, &copy, d->arena, &files, &count, err);
    }
    if (code == ERR_OK) {
        code = session_text(session, sum, d->arena, &text, err);
    }
    session_close(session);
    engine_close(engine);
    (void)unlink(arena_cstr(d->arena, path));
    TRY(code);
    return str_is(text, "499500 1000")
               ? ERR_OK
               : err_set(err, ERR_CORRUPT, "a Parquet file came back with other rows");
}

static void check_parquet(struct doctor *d) {
    struct err err = ERR_NONE;
    const char *tmp = getenv("TMPDIR");
    const char *where = d->has_data ? d->data : tmp && *tmp ? tmp : "/tmp";
    char *folder = arena_cstr(d->arena, arena_printf(d->arena, "%s/doctor-XXXXXX", where));
    if (!mkdtemp(folder)) {
        say(d, VERDICT_FAIL, "parquet", "look at the folder's permissions",
            "cannot make a folder in %s: %s", where, strerror(errno));
        return;
    }
    const enum err_code code = parquet_round(d, folder, &err);
    (void)rmdir(folder);
    if (code != ERR_OK) {
        say(d, VERDICT_FAIL, "parquet", "is this the libduckdb that belongs to this program?", "%s",
            err.msg);
        return;
    }
    say(d, VERDICT_OK, "parquet", NULL, "the engine writes a file and reads it back");
}

static void check_jail(struct doctor *d) {
    const int version = jail_landlock_version();
    if (version > 0) {
        say(d, VERDICT_OK, "jail", NULL, "Landlock, version %d", version);
    } else if (d->config.worker_weak_jail) {
        say(d, VERDICT_WARN, "jail", "use a kernel with Landlock, 5.13 or later",
            "no Landlock; restricted queries run in a weaker jail");
    } else {
        say(d, VERDICT_WARN, "jail",
            "use a kernel with Landlock, 5.13 or later, or accept less with --worker-weak-jail",
            "no Landlock; restricted queries will be refused");
    }
}

static void check_log(struct doctor *d) {
    struct err err = ERR_NONE;
    struct txlog_report report = {0};
    if (!d->store) {
        return;
    }
    if (txlog_verify(d->store, NULL, d->arena, &report, &err) != ERR_OK) {
        say(d, VERDICT_FAIL, "catalog log",
            "restore the object from a copy of the bucket; \"tarn journal verify --data\" tells "
            "more",
            "%s", err.msg);
        return;
    }
    say(d, VERDICT_OK, "catalog log", NULL,
        "%" PRIu64 " records, %" PRIu64 " checkpoints, all as they were written", report.records,
        report.checkpoints);
}

static size_t count_files(struct doctor *d, const char *path, int depth) {
    DIR *folder = opendir(path);
    size_t count = 0;
    if (!folder) {
        return 0;
    }
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        const struct str below = arena_printf(d->arena, "%s/%s", path, entry->d_name);
        struct stat st;
        if (entry->d_name[0] == '.' || lstat(below.ptr, &st) != 0) {
            continue;
        }
        if (S_ISREG(st.st_mode)) {
            count++;
        } else if (S_ISDIR(st.st_mode) && depth > 0) {
            count += count_files(d, below.ptr, depth - 1);
        }
    }
    closedir(folder);
    return count;
}

static void check_spool(struct doctor *d) {
    const char *path = arena_cstr(d->arena, arena_printf(d->arena, "%s/spool", d->data));
    if (!is_folder(path)) {
        return;
    }
    // Rejected rows are kept there, to be fetched.
    const char *rejects = arena_cstr(d->arena, arena_printf(d->arena, "%s/rejects", path));
    const size_t kept = count_files(d, rejects, SPOOL_DEPTH);
    const size_t left = count_files(d, path, SPOOL_DEPTH) - kept;
    say(d, left > 0 ? VERDICT_WARN : VERDICT_OK, "spool",
        "while no server runs on this folder, they may be deleted",
        "%zu file%s left over in %s, and %zu of rejected rows", left, left == 1 ? "" : "s", path,
        kept);
}

static bool keep_time(void *ctx, const struct txlog_item *item) {
    int64_t *newest = ctx;
    *newest = MAX(*newest, item->time_us);
    return true;
}

static void check_clock(struct doctor *d) {
    const int64_t now = clock_wall_us();
    int64_t newest = 0;
    struct err err = ERR_NONE;
    struct txlog_report report = {0};
    const struct txlog_walker walker = {keep_time, &newest};
    if (d->store && txlog_verify(d->store, NULL, d->arena, &report, &err) == ERR_OK &&
        report.last_seq > 0) {
        (void)txlog_walk(d->store, report.last_seq, report.last_seq, &walker, &err);
    }
    const struct str text = clock_rfc3339(now, d->arena);
    if (now / 1000000 < YEAR_2024_S || newest > now + CLOCK_AHEAD_US) {
        say(d, VERDICT_FAIL, "clock", "set the clock, with NTP for example",
            "it says " STR_FMT ", but the newest record is from " STR_FMT, STR_ARG(text),
            STR_ARG(clock_rfc3339(MAX(newest, YEAR_2024_S * 1000000LL), d->arena)));
        return;
    }
    say(d, VERDICT_OK, "clock", NULL, STR_FMT, STR_ARG(text));
}

// Takes the address for a moment. ERR_EXISTS: somebody has it.
static enum err_code try_listen(struct doctor *d, struct str listen, struct err *err) {
    size_t colon = listen.len;
    while (colon > 0 && listen.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return err_set(err, ERR_INVALID, "no port in the address");
    }
    struct str host = str_slice(listen, 0, colon - 1);
    if (str_starts(host, STR("[")) && str_ends(host, STR("]"))) {
        host = str_slice(host, 1, host.len - 1);
    }
    const char *port = arena_cstr(d->arena, str_slice(listen, colon, listen.len));
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const int failed =
        getaddrinfo(host.len > 0 ? arena_cstr(d->arena, host) : NULL, port, &hints, &found);
    if (failed != 0) {
        return err_set(err, ERR_INVALID, "%s", gai_strerror(failed));
    }
    DEFER(closep) int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const bool bound = fd >= 0 && bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    const int number = errno;
    freeaddrinfo(found);
    if (bound) {
        return ERR_OK;
    }
    return err_set(err, number == EADDRINUSE ? ERR_EXISTS : ERR_IO, "%s", strerror(number));
}

static bool tarn_answers(struct doctor *d, struct str listen, struct str *ret_version) {
    struct err err = ERR_NONE;
    DEFER(client_closep) struct client *c = NULL;
    json_t *answer = NULL;
    const bool any = str_starts(listen, STR(":"));
    const struct str url = arena_printf(d->arena, "%s://%s" STR_FMT,
                                        d->config.http_tls_cert.len > 0 ? "https" : "http",
                                        any ? "127.0.0.1" : "", STR_ARG(listen));
    if (client_open_probe(arena_cstr(d->arena, url), PROBE_TIMEOUT_MS, &c, &err) != ERR_OK ||
        client_json(c, "GET", STR("/version"), NULL, &answer, &err) != ERR_OK) {
        return false;
    }
    struct str version = STR_NONE;
    const bool is_tarn = json_get_str(answer, "version", &version);
    *ret_version = arena_str(d->arena, version);
    json_decref(answer);
    return is_tarn;
}

static void check_port(struct doctor *d) {
    struct err err = ERR_NONE;
    struct str version = STR_NONE;
    const struct str listen = d->config.server_listen;
    const enum err_code code = try_listen(d, listen, &err);
    if (code == ERR_OK) {
        say(d, VERDICT_OK, "address", NULL, STR_FMT " is free", STR_ARG(listen));
    } else if (code == ERR_EXISTS && tarn_answers(d, listen, &version)) {
        say(d, VERDICT_OK, "address", NULL, "tarn " STR_FMT " answers at " STR_FMT,
            STR_ARG(version), STR_ARG(listen));
    } else if (code == ERR_EXISTS) {
        say(d, VERDICT_FAIL, "address", "stop that program, or choose another port with --listen",
            "another program listens at " STR_FMT, STR_ARG(listen));
    } else {
        say(d, VERDICT_FAIL, "address", "--listen takes ADDRESS:PORT of this machine",
            "cannot listen at " STR_FMT ": %s", STR_ARG(listen), err.msg);
    }
}

enum err_code cli_doctor(const struct args *a, struct err *err) {
    static void (*const checks[])(struct doctor * d) = {
        check_config, check_folder, check_permissions,    check_space,
        check_store,  check_log,    check_engine_version, check_parquet,
        check_jail,   check_spool,  check_clock,          check_port};
    struct doctor d = {.args = a, .arena = a->arena};
    d.out = BUF(1 << 20);
    struct err config_err = ERR_NONE;
    if (config_load(a->config_argc, a->config_argv, a->arena, &d.config, &config_err) != ERR_OK) {
        say(&d, VERDICT_FAIL, "configuration", "mend it; the other checks need it", "%s",
            config_err.msg);
    } else {
        d.data = arena_cstr(a->arena, d.config.server_data);
        d.primary = arena_cstr(a->arena, arena_printf(a->arena, "%s/primary", d.data));
        d.has_data = is_folder(d.data);
        d.has_primary = is_folder(d.primary);
        for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
            checks[i](&d);
        }
    }
    store_close(d.store);
    const enum err_code written = grid_write(&d.out, err);
    buf_release(&d.out);
    TRY(written);
    if (d.failed) {
        return err_set(err, ERR_INTERNAL, "something is wrong; the lines with FAIL say what");
    }
    return ERR_OK;
}
