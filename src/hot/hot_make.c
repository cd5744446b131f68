// Making a hot table: a compressed in-memory database of its own, filled file by file.
//
// A column of texts most of which differ, like a key, gains little from the engine's dictionaries
// and is slower to read through them; such columns stay as they are.

#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "hot/hot_int.h"

#define ARENA_BYTES (64U << 20)
#define LOAD_US (INT64_C(30) * 60 * 1000000) // a load that takes longer is given up
#define SAMPLE_ROWS 100000
#define SAMPLE_ROWS_MIN 2048 // of fewer no form is worth a choice
#define PLAIN_BYTES_MAX 32   // texts that are longer on average are compressed in any case

static struct hot_table *table_new(struct hot *h, const struct hot_source *src) {
    struct hot_table *t = xcalloc(1, sizeof(*t));
    t->hot = h;
    t->set = src->set;
    t->arena = ARENA(ARENA_BYTES);
    {
        LOCKED(&h->lock);
        t->database = arena_printf(&t->arena, "tarn_hot_%llu", (unsigned long long)++h->names);
    }
    t->copy.from = arena_printf(&t->arena, STR_FMT ".main.t", STR_ARG(t->database));
    t->schema = ice_schema_copy(src->schema, &t->arena);
    t->files = arena_array(&t->arena, src->file_count, sizeof(*t->files));
    t->file_count = src->file_count;
    for (size_t i = 0; i < src->file_count; i++) {
        t->files[i] = (struct hot_file){.key = arena_str(&t->arena, src->files[i].key),
                                        .table = t,
                                        .start = t->copy.rows,
                                        .rows = src->files[i].rows,
                                        .current = true};
        t->copy.rows += src->files[i].rows;
    }
    return t;
}

static void table_free(struct hot_table *t) {
    arena_release(&t->arena);
    free(t);
}

// Bytes that the engine's in-memory tables take.
static enum err_code memory_now(struct session *s, struct arena *a, int64_t *ret, struct err *err) {
    struct str text;
    TRY(session_text(s,
                     STR("SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory() "
                         "WHERE tag = 'IN_MEMORY_TABLE'"),
                     a, &text, err));
    if (!str_to_i64(text, ret)) {
        return err_set(err, ERR_INTERNAL, "the engine does not tell how much memory it uses");
    }
    return ERR_OK;
}

// For each column of texts 'p' (plain) or '-', the others '-'.
static enum err_code choose_forms(struct session *s, struct str select, const struct rows *shape,
                                  struct arena *a, struct str *ret, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(16U << 20);
    buf_add_cstr(&sql, "SELECT concat(''");
    for (size_t i = 0; i < rows_column_count(shape); i++) {
        const struct str name = rows_column_name(shape, i);
        if (rows_column_type(shape, i)->kind == VEC_VARCHAR) {
            buf_printf(&sql,
                       ", CASE WHEN approx_count_distinct(" STR_FMT ") * 4 > count(" STR_FMT
                       ") AND avg(strlen(" STR_FMT ")) <= %d THEN 'p' ELSE '-' END",
                       STR_ARG(name), STR_ARG(name), STR_ARG(name), PLAIN_BYTES_MAX);
        } else {
            buf_add_cstr(&sql, ", '-'");
        }
    }
    buf_printf(&sql, ") FROM (SELECT * FROM (" STR_FMT ") LIMIT %d)", STR_ARG(select), SAMPLE_ROWS);
    CHECK(!sql.overflow);
    return session_text(s, buf_str(&sql), a, ret, err);
}

static enum err_code create_sql(struct session *s, const struct hot_table *t, struct str select,
                                struct arena *a, struct str *ret, struct err *err) {
    DEFER(buf_release) struct buf sql = BUF(16U << 20);
    DEFER(rows_closep) struct rows *shape = NULL;
    DEFER(session_closep) struct session *other = NULL;
    struct str forms = STR_NONE;
    const struct str describe = arena_printf(a, STR_FMT " LIMIT 0", STR_ARG(select));
    TRY(session_query(s, describe, &shape, err));
    if (t->copy.rows >= SAMPLE_ROWS_MIN) {
        TRY(session_open(t->hot->engine, &other, err));
        session_deadline(other, clock_mono_us() + LOAD_US);
        TRY(choose_forms(other, select, shape, a, &forms, err));
    }
    buf_printf(&sql, "CREATE TABLE " STR_FMT " (", STR_ARG(t->copy.from));
    for (size_t i = 0; i < rows_column_count(shape); i++) {
        const struct str name = rows_column_name(shape, i);
        const struct str type = rows_column_type(shape, i)->text;
        const bool plain = i < forms.len && forms.ptr[i] == 'p';
        buf_printf(&sql, "%s" STR_FMT " " STR_FMT "%s", i == 0 ? "" : ", ", STR_ARG(name),
                   STR_ARG(type), plain ? " USING COMPRESSION uncompressed" : "");
    }
    buf_add_cstr(&sql, ")");
    CHECK(!sql.overflow);
    *ret = arena_str(a, buf_str(&sql));
    return ERR_OK;
}

// The engine's memory is bounded as a whole: after each part what came is compressed.
static enum err_code fill(struct session *s, struct hot_table *t, const struct hot_source *src,
                          struct arena *a, struct err *err) {
    struct str sql;
    struct str rows;
    int64_t count = -1;
    const struct str name = t->database;
    TRY(session_run(
        s, arena_printf(a, "ATTACH ':memory:' AS " STR_FMT " (COMPRESS)", STR_ARG(name)), err));
    TRY(create_sql(s, t, src->selects[0], a, &sql, err));
    TRY(session_run(s, sql, err));
    for (size_t i = 0; i < src->select_count; i++) {
        TRY(session_run(s,
                        arena_printf(a, "INSERT INTO " STR_FMT " " STR_FMT, STR_ARG(t->copy.from),
                                     STR_ARG(src->selects[i])),
                        err));
        TRY(session_run(s, arena_printf(a, "CHECKPOINT " STR_FMT, STR_ARG(name)), err));
    }
    TRY(session_text(s, arena_printf(a, "SELECT count(*) FROM " STR_FMT, STR_ARG(t->copy.from)), a,
                     &rows, err));
    if (!str_to_i64(rows, &count) || count != t->copy.rows) {
        return err_set(err, ERR_CORRUPT,
                       "the data files have " STR_FMT " rows, but the manifests say %lld",
                       STR_ARG(rows), (long long)t->copy.rows);
    }
    return ERR_OK;
}

static void detach(struct hot *h, const struct hot_table *t) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    DEFER(session_closep) struct session *s = NULL;
    struct err err = ERR_NONE;
    const struct str sql =
        arena_printf(&a, "DETACH DATABASE IF EXISTS " STR_FMT, STR_ARG(t->database));
    if (session_open(h->engine, &s, &err) != ERR_OK || session_run(s, sql, &err) != ERR_OK) {
        log_error("hot.detach", "database=" STR_FMT " error=%s", STR_ARG(t->database),
                  log_quote(str_from(err.msg)));
    }
}

static enum err_code begin(struct hot *h, struct hot_build *b, const struct hot_source *src,
                           struct err *err) {
    LOCKED(&h->lock);
    if (h->stopping || h->forgets != src->forgets) {
        return err_set(err, ERR_BUSY, "%s",
                       h->stopping ? "the server stops" : "rows were erased meanwhile");
    }
    h->build = b;
    return ERR_OK;
}

// Was it called off? With the lock held.
static enum err_code check_wanted(const struct hot *h, const struct hot_build *b, uint64_t epoch,
                                  struct err *err) {
    if (b->abandoned || h->stopping || b->table->set->epoch != epoch) {
        return err_set(err, ERR_BUSY, "%s",
                       b->abandoned  ? "rows were erased while it was loaded"
                       : h->stopping ? "the server stops"
                                     : "it was evicted while it was loaded");
    }
    return ERR_OK;
}

// The new table is in use from here on. With the lock held.
static void publish(struct hot *h, struct hot_table *t) {
    for (size_t i = 0; i < t->file_count; i++) {
        struct hot_file *f = &t->files[i];
        struct hot_file *old = NULL;
        HASH_FIND(hh, h->files, f->key.ptr, f->key.len, old);
        if (old != NULL) {
            HASH_DEL(h->files, old);
        }
        HASH_ADD_KEYPTR(hh, h->files, f->key.ptr, f->key.len, f);
    }
    DL_APPEND(t->set->tables, t);
    h->bytes += t->bytes;
    counter_add(COUNTER_hot_bytes, t->bytes);
    counter_add(COUNTER_hot_rows, t->copy.rows);
}

static enum err_code make(struct hot *h, struct hot_build *b, const struct hot_source *src,
                          struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(ARENA_BYTES);
    int64_t before = 0;
    int64_t after = 0;
    int64_t swept;
    {
        LOCKED(&h->lock);
        swept = h->swept;
    }
    TRY(memory_now(b->session, &a, &before, err));
    TRY(fill(b->session, b->table, src, &a, err));
    TRY(memory_now(b->session, &a, &after, err));
    LOCKED(&h->lock);
    b->table->bytes = MAX(after - before + h->swept - swept, HOT_TABLE_BYTES_MIN);
    return ERR_OK;
}

enum err_code hot_make(struct hot *h, const struct hot_source *src, struct err *err) {
    struct hot_build b = {0};
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(h->engine, &s, err));
    session_deadline(s, clock_mono_us() + LOAD_US);
    b.session = s;
    b.table = table_new(h, src);
    enum err_code code = begin(h, &b, src, err);
    if (code != ERR_OK) {
        table_free(b.table);
        return code;
    }
    code = make(h, &b, src, err);
    {
        LOCKED(&h->lock);
        h->build = NULL; // from here on nobody interrupts the session
        const enum err_code off = check_wanted(h, &b, src->epoch, err);
        code = off != ERR_OK ? off : code;
        if (code == ERR_OK) {
            publish(h, b.table);
        }
    }
    if (code != ERR_OK) {
        session_close(TAKE(s));
        detach(h, b.table);
        table_free(b.table);
    }
    if (b.abandoned) { // nobody else knows of it any more
        LOCKED(&h->lock);
        h->forgotten--;
        CHECK(pthread_cond_broadcast(&h->change) == 0);
    }
    return code;
}

// One that is to go and that nobody reads; it stays in the list until its memory is given back.
static struct hot_table *take_idle(struct hot *h) {
    LOCKED(&h->lock);
    struct hot_table *t = h->retired;
    while (t != NULL && (t->readers > 0 || t->going)) {
        t = t->next;
    }
    if (t != NULL) {
        t->going = true;
    }
    return t;
}

void hot_sweep(struct hot *h) {
    for (struct hot_table *t = take_idle(h); t != NULL; t = take_idle(h)) {
        detach(h, t);
        {
            LOCKED(&h->lock);
            DL_DELETE(h->retired, t);
            h->bytes -= t->bytes;
            h->swept += t->bytes;
            h->forgotten -= t->forgotten ? 1U : 0U;
            counter_add(COUNTER_hot_bytes, -t->bytes);
            CHECK(pthread_cond_broadcast(&h->change) == 0);
        }
        table_free(t);
    }
}
