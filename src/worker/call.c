// A query in a worker, seen from the server: files put there, the question, rows, the end.
//
// Nothing that a worker says is believed: messages have a bound, and come in order or not at all.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "worker/wire.h"
#include "worker/worker_int.h"

#define KILL_US INT64_C(1000000)  // after the deadline
#define DRAIN_US INT64_C(1000000) // for a worker that was told to stop
#define MEMORY_KEPT (1U << 20)    // of messages, by an idle worker
#define NAME_BYTES_MAX 255        // of a file

struct worker_call {
    struct workers *pool;
    struct worker *worker;
    const struct worker_request *request; // until worker_ask
    struct arena arena;                   // columns
    struct arena chunks;                  // of the chunk that was given last
    struct wire_column *columns;
    struct str *names; // of the files
    size_t name_count, linked;
    size_t column_count;
    struct str rest; // of the message: chunks that were not given yet
    struct vec_chunk chunk;
    int64_t until_us; // when the worker is killed; 0: never
    size_t sql_len;
    bool last;      // no more chunks come
    bool open;      // the statement runs
    bool bad;       // the worker is not to be used again
    bool cancelled; // guarded by the pool's lock
};

void worker_cancel(struct worker_call *c) {
    struct workers *p = c->pool;
    LOCKED(&p->lock);
    if (!c->cancelled) {
        c->cancelled = true;
        p->stats.killed++;
        counter_add(COUNTER_workers_killed, 1);
        worker_kill(c->worker);
    }
}

static bool is_cancelled(struct worker_call *c) {
    LOCKED(&c->pool->lock);
    return c->cancelled;
}

static void kill_late(struct worker_call *c) {
    struct workers *p = c->pool;
    LOCKED(&p->lock);
    p->stats.killed++;
    counter_add(COUNTER_workers_killed, 1);
    worker_kill(c->worker);
}

static void note_crash(struct worker_call *c) {
    struct workers *p = c->pool;
    LOCKED(&p->lock);
    p->stats.crashed++;
    counter_add(COUNTER_workers_crashed, 1);
}

// What became of the worker, for whoever waits for its answer.
static enum err_code fail(struct worker_call *c, enum message_end end, struct err *err) {
    c->bad = true;
    c->open = false;
    if (is_cancelled(c)) {
        return err_set(err, ERR_CANCELLED, "the query was cancelled");
    }
    if (end == MESSAGE_LATE) {
        kill_late(c);
        return err_set(err, ERR_TIMEOUT, "the query ran out of time");
    }
    note_crash(c);
    if (end == MESSAGE_WILD) {
        return err_set(err, ERR_INTERNAL, "the query's worker gave an answer that is none");
    }
    return err_set(err, ERR_INTERNAL,
                   "the query ended its worker (out of memory, or a fault of the engine); nothing "
                   "else was affected");
}

// Only what a statement can come to; the rest is a fault.
static enum err_code believed_code(int32_t code) {
    switch (code) {
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_UNSUPPORTED:
    case ERR_SQL:
    case ERR_REFUSED:
    case ERR_DATA:
    case ERR_TIMEOUT:
    case ERR_IO:
        return (enum err_code)code;
    default:
        return ERR_INTERNAL;
    }
}

void worker_error(struct str body, struct err *err) {
    int32_t code = ERR_INTERNAL;
    int64_t position = -1;
    struct str text = STR_NONE;
    if (!message_take(&body, &code, sizeof(code)) ||
        !message_take(&body, &position, sizeof(position)) || !message_take_text(&body, &text) ||
        !str_is_utf8(text)) {
        position = -1;
        text = STR("the worker could not say why");
    }
    (void)err_set(err, believed_code(code), STR_FMT, STR_ARG(str_slice(text, 0, sizeof(err->msg))));
    err->position = position;
}

static enum err_code take_error(struct worker_call *c, struct err *err) {
    c->open = false;
    worker_error(buf_str(&c->worker->in), err);
    if (err->position < 0 || (uint64_t)err->position > c->sql_len) {
        err->position = -1;
    }
    c->bad = err->code == ERR_TOO_LARGE || err->code == ERR_INTERNAL || err->code == ERR_TIMEOUT;
    return err->code;
}

static enum err_code send(struct worker_call *c, struct str bytes, struct err *err) {
    const enum message_end end = message_send(c->worker->fd, bytes, c->until_us);
    return end == MESSAGE_DONE ? ERR_OK : fail(c, end, err);
}

static enum err_code send_kind(struct worker_call *c, enum message kind, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(1 << 10);
    message_end(message_begin(kind, &out), &out);
    return send(c, buf_str(&out), err);
}

static enum err_code receive(struct worker_call *c, enum message wanted, struct err *err) {
    enum message kind = MESSAGE_END;
    const enum message_end end = message_receive(c->worker->fd, c->until_us, &kind, &c->worker->in);
    if (end != MESSAGE_DONE) {
        return fail(c, end, err);
    }
    if (kind == MESSAGE_ERROR) {
        return take_error(c, err);
    }
    return kind == wanted ? ERR_OK : fail(c, MESSAGE_WILD, err);
}

static enum err_code receive_chunks(struct worker_call *c, struct err *err) {
    uint8_t last = 0;
    TRY(receive(c, MESSAGE_CHUNKS, err));
    c->rest = buf_str(&c->worker->in);
    // A message that is not the last has rows: else it could go on for ever.
    if (!message_take(&c->rest, &last, sizeof(last)) || (last == 0 && c->rest.len == 0)) {
        return fail(c, MESSAGE_WILD, err);
    }
    c->last = last != 0;
    c->open = !c->last;
    return ERR_OK;
}

// ERR_DATA of what cannot be read is a fault of the worker's, not of the statement.
static enum err_code wild(struct worker_call *c, const struct err *why, struct err *err) {
    (void)fail(c, MESSAGE_WILD, err);
    return err->code == ERR_INTERNAL
               ? err_set(err, ERR_INTERNAL, "the query's worker gave rows that are none: %.200s",
                         why->msg)
               : err->code;
}

static enum err_code take_chunk(struct worker_call *c, struct err *err) {
    struct str bytes = STR_NONE;
    struct err why = ERR_NONE;
    arena_reset(&c->chunks);
    if (!message_take_text(&c->rest, &bytes)) {
        return fail(c, MESSAGE_WILD, err);
    }
    const enum err_code code =
        wire_read_chunk(bytes, c->columns, c->column_count, &c->chunks, &c->chunk, &why);
    return code == ERR_OK ? ERR_OK : wild(c, &why, err);
}

static enum err_code next(void *ctx, const struct vec_chunk **ret_chunk, struct err *err) {
    struct worker_call *c = ctx;
    if (c->rest.len == 0 && !c->last) {
        if (!c->open) {
            return err_set(err, ERR_INTERNAL, "the rows have ended with an error before");
        }
        TRY(send_kind(c, MESSAGE_NEXT, err));
        TRY(receive_chunks(c, err));
    }
    if (c->rest.len == 0) {
        *ret_chunk = NULL;
        return ERR_OK;
    }
    TRY(take_chunk(c, err));
    *ret_chunk = &c->chunk;
    return ERR_OK;
}

// The worker may have sent chunks before it was told to stop.
static void stop(void *ctx) {
    struct worker_call *c = ctx;
    struct err err = ERR_NONE;
    c->rest = STR_NONE;
    arena_reset(&c->chunks);
    if (!c->open) {
        return;
    }
    c->until_us = clock_mono_us() + DRAIN_US;
    if (send_kind(c, MESSAGE_STOP, &err) == ERR_OK) {
        (void)receive(c, MESSAGE_END, &err);
    }
    c->open = false;
    c->last = true;
}

static bool is_name(struct str name) {
    return name.len > 0 && name.len <= NAME_BYTES_MAX && str_find_char(name, '/') < 0 &&
           str_find_char(name, '\0') < 0 && !str_is(name, ".") && !str_is(name, "..");
}

static enum err_code put_file(struct worker_call *c, const struct worker_file *f, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    CHECK(is_name(f->name));
    const char *name = arena_cstr(&a, f->name);
    const char *path = arena_cstr(&a, f->path);
    if (linkat(AT_FDCWD, path, c->worker->folder.fd, name, 0) != 0) {
        // Whoever asks is not to learn where it is.
        return errno == ENOENT
                   ? err_set(err, ERR_BUSY,
                             "a file that the query reads was removed meanwhile: try again")
                   : err_errno(err, "cannot give a worker the file \"%s\"", name);
    }
    c->names[c->linked++] = arena_str(&c->arena, f->name);
    return ERR_OK;
}

static enum err_code put_files(struct worker_call *c, const struct worker_request *r,
                               struct err *err) {
    c->names = arena_array(&c->arena, r->file_count, sizeof(*c->names));
    for (size_t i = 0; i < r->file_count; i++) {
        TRY(put_file(c, &r->files[i], err));
    }
    return ERR_OK;
}

static void remove_files(struct worker_call *c) {
    for (size_t i = 0; i < c->linked; i++) {
        if (unlinkat(c->worker->folder.fd, arena_cstr(&c->arena, c->names[i]), 0) != 0) {
            c->bad = true; // with its folder the file goes too
        }
    }
    c->linked = 0;
}

enum err_code worker_begin(struct workers *p, const struct worker_request *r,
                           struct worker_call **ret, struct err *err) {
    struct worker *w = NULL;
    TRY(workers_take(p, r->key, r->wait_us, &w, err));
    struct worker_call *c = xcalloc(1, sizeof(*c));
    *c = (struct worker_call){.pool = p,
                              .worker = w,
                              .request = r,
                              .arena = ARENA(SIZE_MAX),
                              .chunks = ARENA(SIZE_MAX),
                              .until_us = r->deadline_us > 0 ? r->deadline_us + KILL_US : 0,
                              .sql_len = r->sql.len};
    const enum err_code code = put_files(c, r, err);
    if (code != ERR_OK) {
        worker_end(c);
        return code;
    }
    *ret = c;
    return ERR_OK;
}

static enum err_code send_query(struct worker_call *c, struct err *err) {
    const struct worker_request *r = c->request;
    DEFER(buf_release) struct buf out = BUF(MESSAGE_MAX);
    const size_t start = message_begin(MESSAGE_QUERY, &out);
    buf_add(&out, &r->deadline_us, sizeof(r->deadline_us));
    buf_add(&out, r->local_key, sizeof(r->local_key));
    message_add_text(r->sql, &out);
    message_end(start, &out);
    if (out.overflow) {
        return err_set(err, ERR_TOO_LARGE, "the statement is past %u MiB", MESSAGE_MAX >> 20);
    }
    const enum err_code code = send(c, buf_str(&out), err);
    explicit_bzero(out.ptr, out.len);
    return code;
}

static enum err_code receive_columns(struct worker_call *c, struct err *err) {
    struct err why = ERR_NONE;
    TRY(receive(c, MESSAGE_COLUMNS, err));
    const enum err_code code =
        wire_read_columns(buf_str(&c->worker->in), &c->arena, &c->columns, &c->column_count, &why);
    return code == ERR_OK ? ERR_OK : wild(c, &why, err);
}

static struct rows *rows_of(struct worker_call *c) {
    struct str *names = arena_array(&c->arena, c->column_count, sizeof(*names));
    struct vec_type *types = arena_array(&c->arena, c->column_count, sizeof(*types));
    for (size_t i = 0; i < c->column_count; i++) {
        names[i] = c->columns[i].name;
        types[i] = c->columns[i].type;
    }
    const struct rows_source source = {.column_count = c->column_count,
                                       .names = names,
                                       .types = types,
                                       .next = next,
                                       .close = stop,
                                       .ctx = c};
    return rows_from(&source);
}

enum err_code worker_ask(struct worker_call *c, struct rows **ret, struct err *err) {
    c->open = true;
    const enum err_code sent = send_query(c, err);
    c->request = NULL;
    TRY(sent);
    TRY(receive_columns(c, err));
    TRY(receive_chunks(c, err));
    *ret = rows_of(c);
    return ERR_OK;
}

static void call_free(struct worker_call *c) {
    arena_release(&c->chunks);
    arena_release(&c->arena);
    free(c);
}

void worker_end(struct worker_call *c) {
    if (!c) {
        return;
    }
    struct worker *w = c->worker;
    remove_files(c);
    if (w->in.cap > MEMORY_KEPT) {
        buf_release(&w->in);
        w->in = BUF(MESSAGE_MAX);
    }
    const bool good = !c->bad && !c->open && !is_cancelled(c);
    workers_give(c->pool, w, good);
    call_free(c);
}
