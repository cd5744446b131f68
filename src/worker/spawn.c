// A worker's process: started, and waited for until it says that it is in its jail.
#define _GNU_SOURCE // posix_spawn_file_actions_addchdir_np

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/worker_int.h"

#define PROGRAM "/proc/self/exe" // this one, also after its file was replaced
#define HELLO_US INT64_C(30000000)

// What posix_spawn is told.
struct plan {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
};

static void plan_release(struct plan *p) {
    (void)posix_spawn_file_actions_destroy(&p->actions);
    (void)posix_spawnattr_destroy(&p->attributes);
}

static int plan_files(struct plan *p, const char *folder, int socket) {
    int failed = 0;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && failed == 0; fd++) {
        failed = posix_spawn_file_actions_addopen(&p->actions, fd, "/dev/null", O_RDWR, 0);
    }
    failed =
        failed != 0 ? failed : posix_spawn_file_actions_adddup2(&p->actions, socket, WORKER_FD);
    return failed != 0 ? failed : posix_spawn_file_actions_addchdir_np(&p->actions, folder);
}

// Signals as in a new program, and a group of its own: what is typed at the terminal is for the
// server.
static int plan_signals(struct plan *p) {
    const short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawnattr_setflags(&p->attributes, flags);
    failed = failed != 0 ? failed : posix_spawnattr_setsigmask(&p->attributes, &none);
    failed = failed != 0 ? failed : posix_spawnattr_setsigdefault(&p->attributes, &all);
    return failed != 0 ? failed : posix_spawnattr_setpgroup(&p->attributes, 0);
}

// The engine's library may stand where only this variable says; there is no other variable.
static char *library_path(struct arena *a) {
    const char *path = getenv("LD_LIBRARY_PATH");
    return path ? arena_cstr(a, arena_printf(a, "LD_LIBRARY_PATH=%s", path)) : NULL;
}

static enum err_code spawn(const char *folder, int socket, pid_t *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    char name[] = "tarn";
    char command[] = "worker";
    char *argv[] = {name, command, NULL};
    char *env[] = {library_path(&a), NULL};
    DEFER(plan_release) struct plan p = {0};
    CHECK(posix_spawn_file_actions_init(&p.actions) == 0);
    CHECK(posix_spawnattr_init(&p.attributes) == 0);
    errno = plan_files(&p, folder, socket);
    errno = errno != 0 ? errno : plan_signals(&p);
    errno = errno != 0 ? errno : posix_spawn(ret, PROGRAM, &p.actions, &p.attributes, argv, env);
    return errno == 0 ? ERR_OK : err_errno(err, "cannot start a worker");
}

static bool send_setup(const struct workers_options *o, const struct worker *w, int64_t until_us) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const int32_t threads = o->threads;
    const uint8_t weak = o->weak ? 1 : 0;
    DEFER(freep) char *folder = realpath(w->folder.path, NULL);
    if (!folder) {
        return false;
    }
    const size_t start = message_begin(MESSAGE_SETUP, &out);
    buf_add(&out, &o->memory_bytes, sizeof(o->memory_bytes));
    buf_add(&out, &threads, sizeof(threads));
    buf_add(&out, &weak, sizeof(weak));
    message_add_text(str_from(folder), &out);
    message_end(start, &out);
    return message_send(w->fd, buf_str(&out), until_us) == MESSAGE_DONE;
}

// ERR_UNSUPPORTED comes from the worker's side.
static enum err_code await_hello(struct worker *w, int64_t until_us, struct err *err) {
    enum message kind = MESSAGE_END;
    uint32_t version = 0;
    int32_t landlock = 0;
    const enum message_end end = message_receive(w->fd, until_us, &kind, &w->in);
    struct str rest = buf_str(&w->in);
    if (end == MESSAGE_DONE && kind == MESSAGE_ERROR) {
        worker_error(rest, err);
        return err_prefix(err, "a worker did not start: ");
    }
    if (end != MESSAGE_DONE || kind != MESSAGE_HELLO ||
        !message_take(&rest, &version, sizeof(version)) || version != MESSAGE_VERSION ||
        !message_take(&rest, &landlock, sizeof(landlock))) {
        return err_set(err, ERR_INTERNAL, "a worker did not start: %s",
                       end == MESSAGE_LATE   ? "it takes too long"
                       : end == MESSAGE_GONE ? "it ended at once"
                                             : "it said something else than hello");
    }
    return ERR_OK;
}

static enum err_code start(const struct workers_options *o, struct worker *w, struct err *err) {
    const int64_t until_us = clock_mono_us() + HELLO_US;
    int ends[2] = {-1, -1};
    TRY(scratch_make(o->cache, STR(SCRATCH_WORKER), &w->folder, err));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return err_errno(err, "cannot make a worker's socket");
    }
    w->fd = ends[0];
    const enum err_code code = spawn(w->folder.path, ends[1], &w->pid, err);
    (void)close(ends[1]);
    TRY(code);
    if (!send_setup(o, w, until_us)) {
        return err_set(err, ERR_INTERNAL, "a worker did not start: it listens to nothing");
    }
    return await_hello(w, until_us, err);
}

enum err_code worker_spawn(const struct workers_options *o, struct worker **ret, struct err *err) {
    struct worker *w = xcalloc(1, sizeof(*w));
    *w = (struct worker){.fd = -1, .folder = {.fd = -1}, .in = BUF(MESSAGE_MAX)};
    const enum err_code code = start(o, w, err);
    if (code != ERR_OK) {
        if (w->pid > 0) {
            worker_kill(w);
            (void)waitpid(w->pid, NULL, 0);
        }
        worker_free(w);
        return code;
    }
    *ret = w;
    return ERR_OK;
}

void worker_free(struct worker *w) {
    if (!w) {
        return;
    }
    closep(&w->fd);
    scratch_remove(&w->folder);
    buf_release(&w->in);
    free(w->key);
    free(w);
}
