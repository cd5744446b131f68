// The worker's own side: "tarn worker".
//
// It is started with a socket in an empty folder, opens its engine, enters the jail and runs
// statements until its server goes.
#define _GNU_SOURCE // close_range, O_PATH, struct ucred

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/engine_map.h"
#include "mask/mask.h"
#include "worker/jail.h"
#include "worker/wire.h"
#include "worker/worker_int.h"

// Address space beyond the engine's memory: what functions make outside of its limit, stacks,
// memory that is reserved and not used.
#define SPACE_MARGIN (INT64_C(512) << 20)
#define SPACE_THREAD (INT64_C(16) << 20)
#define ARENAS_MAX 4 // of the C library's heap, each of which reserves space

#define FIRST_US INT64_C(600000000) // for a statement that does nothing

// When memory runs out somebody is killed: let it be a worker.
#define SACRIFICE "500"

struct child {
    int64_t memory_bytes;
    int32_t threads;
    uint8_t weak;
    struct str folder;
    int folder_fd;
    struct engine *engine;
    struct masker *local; // of the statement that runs
    struct buf in, out;
};

static void leave(void) {
    _exit(0);
}

static void send_out(struct child *c) {
    if (message_send(WORKER_FD, buf_str(&c->out), 0) != MESSAGE_DONE) {
        leave();
    }
    if (c->out.cap > 4 * (size_t)MESSAGE_AIM) {
        const size_t max = c->out.max;
        buf_release(&c->out);
        c->out = BUF(max);
    }
    buf_reset(&c->out);
}

static enum message receive(struct child *c) {
    enum message kind = MESSAGE_END;
    if (message_receive(WORKER_FD, 0, &kind, &c->in) != MESSAGE_DONE) {
        leave();
    }
    return kind;
}

static void send_error(struct child *c, const struct err *err) {
    const int32_t code = (int32_t)err->code;
    buf_reset(&c->out);
    const size_t start = message_begin(MESSAGE_ERROR, &c->out);
    buf_add(&c->out, &code, sizeof(code));
    buf_add(&c->out, &err->position, sizeof(err->position));
    message_add_text(str_from(err->msg), &c->out);
    message_end(start, &c->out);
    send_out(c);
}

static enum err_code add_columns(struct child *c, const struct rows *r, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const size_t count = rows_column_count(r);
    struct wire_column *columns = arena_array(&a, count, sizeof(*columns));
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct wire_column){rows_column_name(r, i), *rows_column_type(r, i)};
    }
    const size_t start = message_begin(MESSAGE_COLUMNS, &c->out);
    wire_write_columns(columns, count, &c->out);
    if (c->out.overflow) {
        return err_set(err, ERR_TOO_LARGE, "the names and types of the columns are too long");
    }
    message_end(start, &c->out);
    return ERR_OK;
}

// Columns and the first chunks go together.
static enum err_code answer(struct child *c, struct rows *r, struct err *err) {
    struct chunks chunks = {.rows = r};
    TRY(add_columns(c, r, err));
    for (;;) {
        TRY(chunks_write(&chunks, &c->out, err));
        send_out(c);
        if (chunks.last) {
            return ERR_OK;
        }
        if (receive(c) != MESSAGE_NEXT) {
            message_end(message_begin(MESSAGE_END, &c->out), &c->out);
            send_out(c);
            return ERR_OK;
        }
    }
}

static enum err_code run(struct child *c, int64_t deadline_us, struct str sql, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    DEFER(rows_closep) struct rows *r = NULL;
    TRY(session_open(c->engine, &s, err));
    session_deadline(s, deadline_us);
    TRY(session_query(s, sql, &r, err));
    return answer(c, r, err);
}

static enum err_code take_query(struct child *c, struct err *err) {
    struct str rest = buf_str(&c->in);
    int64_t deadline_us = 0;
    uint8_t key[32];
    struct str text = STR_NONE;
    if (!message_take(&rest, &deadline_us, sizeof(deadline_us)) ||
        !message_take(&rest, key, sizeof(key)) || !message_take_text(&rest, &text)) {
        return err_set(err, ERR_INTERNAL, "a worker was sent a query that is none");
    }
    masker_free(c->local);
    c->local = masker_new_hash(key);
    explicit_bzero(key, sizeof(key));
    // The message's memory is used again while the statement runs.
    DEFER(arena_release) struct arena a = ARENA(SIZE_MAX);
    const struct str sql = arena_str(&a, text);
    return run(c, deadline_us, sql, err);
}

static void serve(struct child *c) {
    for (;;) {
        struct err err = ERR_NONE;
        if (receive(c) != MESSAGE_QUERY) {
            leave();
        }
        if (take_query(c, &err) != ERR_OK) {
            send_error(c, &err);
        }
    }
}

static void hash_text(void *ctx, struct str in, struct buf *out) {
    const struct child *c = ctx;
    masker_text(c->local, in, out);
}

static enum err_code confine(void *ctx, struct err *err) {
    const struct child *c = ctx;
    const int64_t space = c->memory_bytes + SPACE_MARGIN + c->threads * SPACE_THREAD;
    const struct jail j = {.folder = c->folder_fd,
                           .space_bytes = WORKER_SPACE_LIMITED ? space : 0,
                           .weak = c->weak != 0};
    return jail_enter(&j, err);
}

static enum err_code take_setup(struct child *c, struct arena *a, struct err *err) {
    struct str rest = STR_NONE;
    if (receive(c) != MESSAGE_SETUP) {
        leave();
    }
    rest = buf_str(&c->in);
    if (!message_take(&rest, &c->memory_bytes, sizeof(c->memory_bytes)) ||
        !message_take(&rest, &c->threads, sizeof(c->threads)) ||
        !message_take(&rest, &c->weak, sizeof(c->weak)) || !message_take_text(&rest, &c->folder)) {
        return err_set(err, ERR_INTERNAL, "a worker was sent a start that is none");
    }
    c->folder = arena_str(a, c->folder);
    c->threads = c->threads > 0 ? c->threads : (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    return ERR_OK;
}

static enum err_code open_engine(struct child *c, struct err *err) {
    const struct engine_options o = {.threads = c->threads,
                                     .memory_bytes = c->memory_bytes,
                                     .only_folder = c->folder,
                                     .confine = confine,
                                     .confine_ctx = c};
    DEFER(closep) int folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return err_errno(err, "cannot open the worker's folder");
    }
    c->folder_fd = folder;
    return engine_open(&o, &c->engine, err);
}

static void say_hello(struct child *c) {
    const uint32_t version = MESSAGE_VERSION;
    const int32_t landlock = jail_landlock_version();
    const size_t start = message_begin(MESSAGE_HELLO, &c->out);
    buf_add(&c->out, &version, sizeof(version));
    buf_add(&c->out, &landlock, sizeof(landlock));
    message_end(start, &c->out);
    send_out(c);
}

// The signal comes when the server's thread that started us ends; it may have ended before.
static enum err_code follow_server(struct err *err) {
    struct ucred server = {0};
    socklen_t len = sizeof(server);
    if (getsockopt(WORKER_FD, SOL_SOCKET, SO_PEERCRED, &server, &len) != 0) {
        return err_set(err, ERR_INVALID,
                       "\"tarn worker\" is what a server starts to run restricted queries; it has "
                       "no use by itself");
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return err_errno(err, "cannot end with the server");
    }
    return getppid() == server.pid ? ERR_OK : err_set(err, ERR_INTERNAL, "the server has gone");
}

static void be_sacrificed(void) {
    DEFER(closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, SACRIFICE, sizeof(SACRIFICE) - 1);
    }
}

// Code that reads a file when it is first used, and could not do so later.
static void warm_up(struct child *c) {
    static const uint8_t key[32];
    DEFER(buf_release) struct buf out = BUF(1 << 10);
    c->local = masker_new_hash(key);
    hash_text(c, STR("warm"), &out);
}

// The engine's own are there; what watches over deadlines comes with the first of them.
static enum err_code start_threads(struct child *c, struct err *err) {
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(c->engine, &s, err));
    session_deadline(s, clock_mono_us() + FIRST_US);
    return session_run(s, STR("SELECT 1"), err);
}

static enum err_code start(struct child *c, struct arena *a, struct err *err) {
    static struct engine_mapper mapper = {.text = hash_text};
    TRY(take_setup(c, a, err));
    warm_up(c);
    TRY(open_engine(c, err));
    mapper.ctx = c;
    CHECK(engine_map_begin(c->engine, &mapper) == WORKER_LOCAL_MAP);
    TRY(start_threads(c, err));
    return jail_seal(err);
}

enum err_code worker_run(struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct child c = {.in = BUF(MESSAGE_MAX), .out = BUF(MESSAGE_MAX)};
    TRY(follow_server(err));
    (void)close_range(WORKER_FD + 1, ~0U, 0);
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    be_sacrificed();
    if (start(&c, &a, err) != ERR_OK) {
        send_error(&c, err);
        leave();
    }
    say_hello(&c);
    serve(&c);
    return ERR_OK;
}
