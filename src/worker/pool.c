// The pool: which worker serves whom, and the keeper, which starts and buries them.
//
// Whoever needs a worker takes an idle one of their own key, or the spare one, which has no key
// yet, or waits. The keeper sees to it that there is a spare as long as there is room; when there
// is none, those who wait end the worker that has been idle longest.
#include "worker/worker_int.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"

#define STATEMENTS_MAX 1000             // of one worker
#define LOOK_US INT64_C(2000000)        // how often the keeper looks at what is idle
#define START_AGAIN_US INT64_C(5000000) // after a start that failed, unless somebody waits

static bool is_spare(const struct worker *w) {
    return w->state == WORKER_IDLE && w->key == NULL;
}

// An idle worker has nothing to say: it has ended, or was taken over.
static bool is_well(const struct worker *w) {
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

void worker_kill(struct worker *w) {
    if (w->state != WORKER_ENDING) {
        (void)kill(w->pid, SIGKILL);
    }
}

static void end(struct workers *p, struct worker *w) {
    worker_kill(w);
    w->state = WORKER_ENDING;
    CHECK(pthread_cond_signal(&p->wake) == 0);
}

static struct worker *find_key(const struct workers *p, struct str key) {
    for (struct worker *w = p->all; w; w = w->next) {
        const struct str own = {w->key, w->key_len};
        if (w->state == WORKER_IDLE && w->key && str_eq(own, key)) {
            return w;
        }
    }
    return NULL;
}

static struct worker *find_spare(const struct workers *p) {
    struct worker *w = p->all;
    while (w && !is_spare(w)) {
        w = w->next;
    }
    return w;
}

// The one that nobody has asked for longest.
static struct worker *find_oldest(const struct workers *p) {
    struct worker *oldest = NULL;
    for (struct worker *w = p->all; w; w = w->next) {
        if (w->state == WORKER_IDLE && (!oldest || w->idle_since_us < oldest->idle_since_us)) {
            oldest = w;
        }
    }
    return oldest;
}

static int64_t count_ending(const struct workers *p) {
    int64_t count = 0;
    for (const struct worker *w = p->all; w; w = w->next) {
        count += w->state == WORKER_ENDING ? 1 : 0;
    }
    return count;
}

static struct worker *find(struct workers *p, struct str key) {
    for (;;) {
        struct worker *w = find_key(p, key);
        w = w ? w : find_spare(p);
        if (!w || is_well(w)) {
            return w;
        }
        p->stats.crashed++;
        counter_add(COUNTER_workers_crashed, 1);
        end(p, w);
    }
}

static void take(struct workers *p, struct worker *w, struct str key) {
    if (!w->key) {
        w->key = xmalloc(key.len + 1);
        w->key_len = key.len;
        memcpy(w->key, key.len > 0 ? key.ptr : "", key.len);
    }
    w->state = WORKER_BUSY;
    w->statements++;
    CHECK(pthread_cond_signal(&p->wake) == 0); // another spare
}

// With room for more the keeper starts one; else somebody else's makes room, one for each who
// waits.
static void make_room(struct workers *p) {
    struct worker *w = p->count < p->options.count_max ? NULL : find_oldest(p);
    if (w && count_ending(p) < p->waiting) {
        end(p, w);
    }
    CHECK(pthread_cond_signal(&p->wake) == 0);
}

static enum err_code none_free(const struct workers *p, struct err *err) {
    return err_set(err, ERR_BUSY,
                   "all %lld workers for restricted queries are busy: try again later",
                   (long long)p->options.count_max);
}

enum err_code workers_take(struct workers *p, struct str key, int64_t wait_us, struct worker **ret,
                           struct err *err) {
    LOCKED(&p->lock);
    const int64_t failures = p->failures;
    struct worker *w = find(p, key);
    bool in_time = true;
    p->waiting++;
    while (!w && in_time && p->failures == failures) {
        make_room(p);
        in_time = threads_cond_wait_until(&p->change, &p->lock, wait_us);
        w = find(p, key);
    }
    p->waiting--;
    if (w) {
        take(p, w, key);
        *ret = w;
        return ERR_OK;
    }
    if (p->failures != failures) {
        *err = p->failure;
        return err->code;
    }
    return none_free(p, err);
}

void workers_give(struct workers *p, struct worker *w, bool good) {
    LOCKED(&p->lock);
    if (good && w->statements < STATEMENTS_MAX && w->age == p->age) {
        w->state = WORKER_IDLE;
        w->idle_since_us = clock_mono_us();
    } else {
        end(p, w);
    }
    CHECK(pthread_cond_broadcast(&p->change) == 0);
}

void workers_forget(struct workers *p) {
    if (!p) {
        return;
    }
    LOCKED(&p->lock);
    p->age++;
    for (struct worker *w = p->all; w; w = w->next) {
        if (w->state == WORKER_IDLE && w->key) {
            end(p, w);
        } else if (w->state == WORKER_IDLE) {
            w->age = p->age; // it has seen nothing yet
        }
    }
}

// What was killed ends at once: it is waited for.
static void bury(struct workers *p, struct worker *w) {
    int status = 0;
    pid_t pid;
    do {
        pid = waitpid(w->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    CHECK(pid == w->pid);
    worker_free(w);
    LOCKED(&p->lock);
    p->count--;
    CHECK(pthread_cond_broadcast(&p->change) == 0);
}

// Out of the list; NULL: none.
static struct worker *take_ending(struct workers *p) {
    LOCKED(&p->lock);
    for (struct worker **at = &p->all; *at; at = &(*at)->next) {
        struct worker *w = *at;
        if (w->state == WORKER_ENDING) {
            *at = w->next;
            return w;
        }
    }
    return NULL;
}

// Ends those that have been idle for too long, and those that are not well. The spare stays.
static void look_at_idle(struct workers *p, int64_t now_us) {
    LOCKED(&p->lock);
    for (struct worker *w = p->all; w; w = w->next) {
        const bool late = w->key && now_us - w->idle_since_us > p->options.idle_ms * 1000;
        const bool idle = w->state == WORKER_IDLE;
        if (idle && !is_well(w)) {
            p->stats.crashed++;
            counter_add(COUNTER_workers_crashed, 1);
            end(p, w);
        } else if (idle && (late || p->stopping)) {
            end(p, w);
        }
    }
}

static bool wants_spare(struct workers *p, int64_t again_us) {
    LOCKED(&p->lock);
    return !p->stopping && p->count < p->options.count_max && !find_spare(p) &&
           (p->waiting > 0 || clock_mono_us() >= again_us);
}

static void add_worker(struct workers *p, struct worker *w) {
    w->age = p->age;
    w->idle_since_us = clock_mono_us();
    w->next = p->all;
    p->all = w;
    p->count++;
    p->stats.started++;
    counter_add(COUNTER_workers_started, 1);
}

// The start takes time, in which workers are taken and given: the lock is not held. What is told to
// forget meanwhile must find nothing in a new one; it has nothing yet.
static enum err_code start_one(struct workers *p) {
    struct worker *w = NULL;
    struct err err = ERR_NONE;
    const enum err_code code = worker_spawn(&p->options, &w, &err);
    LOCKED(&p->lock);
    if (code == ERR_OK) {
        add_worker(p, w);
    } else {
        if (p->stats.started > 0) { // else workers_open says it
            log_error("worker", "error=%s at=%s:%d", log_quote(str_from(err.msg)), err.file,
                      err.line);
        }
        p->failures++;
        p->failure = err;
    }
    CHECK(pthread_cond_broadcast(&p->change) == 0);
    return code;
}

// True when the pool is to be closed and all workers are buried.
static bool rest(struct workers *p) {
    LOCKED(&p->lock);
    const bool work = count_ending(p) > 0 ||
                      (p->waiting > 0 && !find_spare(p) && p->count < p->options.count_max);
    if (!work && !p->stopping) {
        (void)threads_cond_wait_until(&p->wake, &p->lock, clock_mono_us() + LOOK_US);
    }
    return p->stopping && p->count == 0;
}

static void *keep(void *arg) {
    struct workers *p = arg;
    int64_t again_us = 0;
    do {
        look_at_idle(p, clock_mono_us());
        for (struct worker *w = take_ending(p); w; w = take_ending(p)) {
            bury(p, w);
        }
        if (wants_spare(p, again_us) && start_one(p) != ERR_OK) {
            again_us = clock_mono_us() + START_AGAIN_US;
        }
    } while (!rest(p));
    return NULL;
}

static enum err_code await_first(struct workers *p, struct err *err) {
    LOCKED(&p->lock);
    while (p->stats.started == 0 && p->failures == 0) {
        CHECK(pthread_cond_wait(&p->change, &p->lock) == 0);
    }
    if (p->failures > 0) {
        *err = p->failure;
        return err->code;
    }
    return ERR_OK;
}

enum err_code workers_open(const struct workers_options *o, struct workers **ret, struct err *err) {
    struct workers *p = xcalloc(1, sizeof(*p));
    p->cache = xmalloc(o->cache.len + 1);
    memcpy(p->cache, o->cache.ptr, o->cache.len);
    p->cache[o->cache.len] = '\0';
    p->options = *o;
    p->options.cache.ptr = p->cache;
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    threads_cond_init(&p->wake);
    threads_cond_init(&p->change);
    (void)scratch_clean(o->cache, STR(SCRATCH_WORKER));
    (void)signal(SIGCHLD, SIG_DFL); // whoever started this program may have had it ignored
    p->keeper = threads_start("worker-keeper", keep, p);
    const enum err_code code = await_first(p, err);
    if (code != ERR_OK) {
        workers_close(p);
        return code;
    }
    *ret = p;
    return ERR_OK;
}

void workers_close(struct workers *p) {
    if (!p) {
        return;
    }
    {
        LOCKED(&p->lock);
        p->stopping = true;
        CHECK(pthread_cond_signal(&p->wake) == 0);
    }
    CHECK(pthread_join(p->keeper, NULL) == 0);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->change);
    pthread_mutex_destroy(&p->lock);
    free(p->cache);
    free(p);
}

void workers_stats_get(struct workers *p, struct workers_stats *ret) {
    LOCKED(&p->lock);
    *ret = p->stats;
    ret->alive = p->count;
    ret->busy = 0;
    for (const struct worker *w = p->all; w; w = w->next) {
        ret->busy += w->state == WORKER_BUSY ? 1 : 0;
    }
}
