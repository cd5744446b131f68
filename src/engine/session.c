// Sessions: one connection each, cancelled from outside or by their deadline.
#include "engine/engine_int.h"

#include "base/clock.h"

#include <stdlib.h>

enum err_code session_open(struct engine *e, struct session **ret, struct err *err) {
    duckdb_connection con = NULL;
    if (duckdb_connect(e->db, &con) != DuckDBSuccess) {
        return err_set(err, ERR_INTERNAL, "cannot connect to the engine");
    }
    struct session *s = xcalloc(1, sizeof(*s));
    s->engine = e;
    s->con = con;
    LOCKED(&e->lock);
    s->next = e->sessions;
    if (s->next) {
        s->next->prev = s;
    }
    e->sessions = s;
    *ret = s;
    return ERR_OK;
}

static void leave(struct session *s) {
    LOCKED(&s->engine->lock);
    CHECK(!s->running);
    if (s->prev) {
        s->prev->next = s->next;
    } else {
        s->engine->sessions = s->next;
    }
    if (s->next) {
        s->next->prev = s->prev;
    }
}

void session_close(struct session *s) {
    if (!s) {
        return;
    }
    leave(s); // from here on nobody interrupts it
    duckdb_disconnect(&s->con);
    free(s);
}

void session_closep(struct session **s) {
    session_close(*s);
    *s = NULL;
}

void session_interrupt(struct session *s) {
    atomic_store(&s->interrupted, true);
    LOCKED(&s->engine->lock);
    if (s->running) {
        duckdb_interrupt(s->con);
        engine_watch(s->engine); // repeats it until the call has ended
    }
}

void session_deadline(struct session *s, int64_t mono_us) {
    atomic_store(&s->deadline_us, mono_us);
}

enum err_code session_stop_code(const struct session *s, int64_t now_us) {
    if (atomic_load(&s->interrupted)) {
        return ERR_CANCELLED;
    }
    const int64_t deadline_us = atomic_load(&s->deadline_us);
    return deadline_us > 0 && now_us >= deadline_us ? ERR_TIMEOUT : ERR_OK;
}

enum err_code session_begin(struct session *s, struct err *err) {
    const int64_t deadline_us = atomic_load(&s->deadline_us);
    LOCKED(&s->engine->lock);
    CHECK(!s->running);
    const enum err_code stop = session_stop_code(s, deadline_us > 0 ? clock_mono_us() : 0);
    if (stop == ERR_CANCELLED) {
        return err_set(err, stop, "the statement was cancelled");
    }
    if (stop == ERR_TIMEOUT) {
        return err_set(err, stop, "the statement ran out of time");
    }
    s->running = true;
    if (deadline_us > 0 && (!s->engine->watching || deadline_us < s->engine->wake_us)) {
        engine_watch(s->engine);
    }
    return ERR_OK;
}

void session_end(struct session *s) {
    LOCKED(&s->engine->lock);
    s->running = false;
}

enum err_code engine_check_sql(struct str sql, struct err *err) {
    const ptrdiff_t nul = str_find_char(sql, '\0');
    if (nul >= 0) {
        (void)err_set(err, ERR_INVALID, "a statement cannot contain a NUL character");
        err->position = nul;
        return ERR_INVALID;
    }
    return ERR_OK;
}

enum err_code session_run(struct session *s, struct str sql, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(sql.len + (1 << 16));
    TRY(engine_check_sql(sql, err));
    const char *text = arena_cstr(&a, sql);
    TRY(session_begin(s, err));
    DEFER(duckdb_destroy_result) duckdb_result result = {0};
    const duckdb_state state = duckdb_query(s->con, text, &result);
    session_end(s);
    return state == DuckDBSuccess ? ERR_OK : engine_fail_result(s, &result, sql, err);
}

// Integers and truth values too, so that "SELECT count(*)" needs no cast.
static enum err_code cell_text(const struct vec *v, struct arena *a, struct str *ret,
                               struct err *err) {
    switch (v->type->kind) {
    case VEC_VARCHAR:
    case VEC_JSON:
        *ret = arena_str(a, vec_str(v, 0));
        return ERR_OK;
    case VEC_BOOL:
        *ret = *(const uint8_t *)v->data ? STR("true") : STR("false");
        return ERR_OK;
    case VEC_INT32:
        *ret = arena_printf(a, "%d", *(const int32_t *)v->data);
        return ERR_OK;
    case VEC_INT64:
        *ret = arena_printf(a, "%lld", (long long)*(const int64_t *)v->data);
        return ERR_OK;
    case VEC_UINT64:
        *ret = arena_printf(a, "%llu", (unsigned long long)*(const uint64_t *)v->data);
        return ERR_OK;
    default:
        return err_set(err, ERR_INTERNAL, "a value of type " STR_FMT " must be cast to VARCHAR",
                       STR_ARG(v->type->text));
    }
}

enum err_code session_text(struct session *s, struct str sql, struct arena *a, struct str *ret,
                           struct err *err) {
    DEFER(rows_closep) struct rows *r = NULL;
    TRY(session_query(s, sql, &r, err));
    const struct vec_chunk *chunk = NULL;
    TRY(rows_next(r, &chunk, err));
    if (!chunk || chunk->column_count == 0 || vec_is_null(&chunk->columns[0], 0)) {
        *ret = STR_NONE;
        return ERR_OK;
    }
    return cell_text(&chunk->columns[0], a, ret, err);
}
