// The engine's instance: its settings, and the watcher that ends statements at their deadline.
#include "engine/engine_int.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WATCH_MAX_US INT64_C(60000000) // a wait without any deadline
#define INTERRUPT_EVERY_US INT64_C(10000)

// Settings that every instance has. The lock comes last: from there on no statement changes any.
static const char *const settings[] = {
    "SET GLOBAL TimeZone = 'UTC'",
    // Files never change under their name, so a footer that was read once stays right.
    "SET GLOBAL parquet_metadata_cache = true",
    "SET GLOBAL lock_configuration = true",
};

// The number in a file of the cgroup file system; INT64_MAX when there is none ("max").
static int64_t read_limit(const char *path) {
    char text[32] = "";
    DEFER(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    int64_t limit = 0;
    const struct str number = str_trim((struct str){text, len > 0 ? (size_t)len : 0});
    return str_to_i64(number, &limit) && limit > 0 ? limit : INT64_MAX;
}

static int64_t memory_default(void) {
    const int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    const int64_t group = MIN(read_limit("/sys/fs/cgroup/memory.max"),
                              read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    return MIN(machine, group) / 2;
}

static enum err_code set(duckdb_config c, const char *name, const char *value, struct err *err) {
    if (duckdb_set_config(c, name, value) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine does not know the setting %s", name);
    }
    return ERR_OK;
}

static int64_t memory_of(const struct engine_options *o) {
    return o->memory_bytes > 0 ? o->memory_bytes : memory_default();
}

static enum err_code configure(const struct engine_options *o, duckdb_config c, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const int64_t memory = memory_of(o);
    TRY(set(c, "memory_limit", arena_printf(&a, "%lldB", (long long)memory).ptr, err));
    if (o->confine) {
        TRY(set(c, "threads", "1", err));
    } else if (o->threads > 0) {
        TRY(set(c, "threads", arena_printf(&a, "%d", o->threads).ptr, err));
    }
    TRY(set(c, "temp_directory", o->no_files ? "" : arena_cstr(&a, o->temp_dir), err));
    TRY(set(c, "autoinstall_known_extensions", "false", err));
    TRY(set(c, "autoload_known_extensions", "false", err));
    TRY(set(c, "allow_community_extensions", "false", err));
    TRY(set(c, "allow_persistent_secrets", "false", err));
    TRY(set(c, "errors_as_json", "false", err));
    return o->no_files ? set(c, "enable_external_access", "false", err) : ERR_OK;
}

static enum err_code open_instance(const struct engine_options *o, duckdb_database *ret,
                                   struct err *err) {
    DEFER(duckdb_destroy_config) duckdb_config config = NULL;
    if (duckdb_create_config(&config) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "the engine has no configuration");
    }
    TRY(configure(o, config, err));
    DEFER(engine_textp) char *text = NULL;
    // The database is of no use, not even to connect to, when this fails.
    if (duckdb_open_ext(NULL, ret, config, &text) != DuckDBSuccess) {
        return engine_fail(NULL, DUCKDB_ERROR_INVALID, text, STR_NONE, err);
    }
    return ERR_OK;
}

static enum err_code confine(const struct engine_options *o, struct session *s, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    TRY(o->confine(o->confine_ctx, err));
    return session_run(s, arena_printf(&a, "SET GLOBAL threads = %d", MAX(o->threads, 1)), err);
}

static enum err_code keep_inside(struct str folder, struct session *s, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    TRY(session_run(s,
                    arena_printf(&a, "SET GLOBAL allowed_directories = [" STR_FMT "]",
                                 STR_ARG(sql_literal(folder, &a))),
                    err));
    return session_run(s, STR("SET GLOBAL enable_external_access = false"), err);
}

static enum err_code apply_settings(const struct engine_options *o, struct engine *e,
                                    struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    if (o->confine) {
        TRY(confine(o, s, err));
    }
    if (o->only_folder.len > 0) {
        TRY(keep_inside(o->only_folder, s, err));
    }
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        TRY(session_run(s, str_from(settings[i]), err));
    }
    return ERR_OK;
}

enum err_code engine_open(const struct engine_options *o, struct engine **ret, struct err *err) {
    duckdb_database db = NULL;
    TRY(open_instance(o, &db, err));
    struct engine *e = xcalloc(1, sizeof(*e));
    e->db = db;
    e->memory_bytes = memory_of(o);
    CHECK(pthread_mutex_init(&e->lock, NULL) == 0);
    threads_cond_init(&e->wake);
    enum err_code code = engine_live_open(e, err);
    code = code == ERR_OK ? engine_sum_open(e, err) : code;
    code = code == ERR_OK ? engine_count_open(e, err) : code;
    code = code == ERR_OK ? engine_map_open(e, err) : code;
    if (code == ERR_OK) {
        code = apply_settings(o, e, err);
    }
    if (code != ERR_OK) {
        engine_close(e);
        return code;
    }
    *ret = e;
    return ERR_OK;
}

static void stop_watcher(struct engine *e) {
    {
        LOCKED(&e->lock);
        e->stopping = true;
        CHECK(pthread_cond_signal(&e->wake) == 0);
    }
    if (e->watching) {
        CHECK(pthread_join(e->watcher, NULL) == 0);
    }
}

void engine_close(struct engine *e) {
    if (!e) {
        return;
    }
    stop_watcher(e);
    engine_parsers_release(e);
    CHECK(e->sessions == NULL);
    duckdb_close(&e->db);
    engine_live_release(e);
    engine_sum_release(e);
    engine_count_release(e);
    engine_map_release(e);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

int64_t engine_memory_bytes(const struct engine *e) {
    return e->memory_bytes;
}

const char *engine_version(void) {
    return duckdb_library_version();
}

// Interrupts what must end and tells when to look again. An interrupt that comes before the engine
// has begun a statement is forgotten by it: so it is repeated while the session runs.
static int64_t watch_sessions(struct engine *e, int64_t now_us) {
    int64_t wake_us = now_us + WATCH_MAX_US;
    for (struct session *s = e->sessions; s; s = s->next) {
        const int64_t deadline_us = atomic_load(&s->deadline_us);
        if (!s->running) {
            continue;
        }
        if (session_stop_code(s, now_us) != ERR_OK) {
            duckdb_interrupt(s->con);
            wake_us = MIN(wake_us, now_us + INTERRUPT_EVERY_US);
        } else if (deadline_us > 0) {
            wake_us = MIN(wake_us, deadline_us);
        }
    }
    return wake_us;
}

static void *watch(void *arg) {
    struct engine *e = arg;
    LOCKED(&e->lock);
    while (!e->stopping) {
        e->wake_us = watch_sessions(e, clock_mono_us());
        (void)threads_cond_wait_until(&e->wake, &e->lock, e->wake_us);
    }
    return NULL;
}

void engine_watch(struct engine *e) {
    if (!e->watching) {
        e->watching = true;
        e->watcher = threads_start("engine-watch", watch, e);
    }
    CHECK(pthread_cond_signal(&e->wake) == 0);
}

static struct str quoted(struct str s, char quote, struct arena *a) {
    size_t quotes = 0;
    for (size_t i = 0; i < s.len; i++) {
        quotes += s.ptr[i] == quote ? 1U : 0U;
    }
    char *out = arena_alloc(a, s.len + quotes + 3);
    size_t len = 0;
    out[len++] = quote;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == quote) {
            out[len++] = quote;
        }
        out[len++] = s.ptr[i];
    }
    out[len++] = quote;
    return (struct str){out, len};
}

struct str sql_literal(struct str s, struct arena *a) {
    return quoted(s, '\'', a);
}

struct str sql_ident(struct str s, struct arena *a) {
    return quoted(s, '"', a);
}
