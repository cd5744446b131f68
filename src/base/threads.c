// Threads: locks that are checked, conditions on the monotonic clock, threads with names.
#include "base/threads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

pthread_mutex_t *threads_lock(pthread_mutex_t *m) {
    CHECK(pthread_mutex_lock(m) == 0);
    return m;
}

void threads_unlockp(pthread_mutex_t **m) {
    CHECK(pthread_mutex_unlock(*m) == 0);
}

void threads_cond_init(pthread_cond_t *c) {
    pthread_condattr_t attr;
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(c, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
}

bool threads_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline_us) {
    const int64_t at = MAX(deadline_us, 0);
    const struct timespec deadline = {
        .tv_sec = at / 1000000,
        .tv_nsec = at % 1000000 * 1000,
    };
    const int failed = pthread_cond_timedwait(c, m, &deadline);
    CHECK(failed == 0 || failed == ETIMEDOUT);
    return failed == 0;
}

struct start {
    char name[16]; // what the kernel keeps, with its NUL
    void *(*fn)(void *);
    void *arg;
};

static void *run(void *arg) {
    const struct start start = *(struct start *)arg;
    free(arg);
    (void)prctl(PR_SET_NAME, start.name);
    return start.fn(start.arg);
}

pthread_t threads_start(const char *name, void *(*fn)(void *), void *arg) {
    struct start *start = xmalloc(sizeof(*start));
    *start = (struct start){.fn = fn, .arg = arg};
    (void)snprintf(start->name, sizeof(start->name), "%s", name);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, start) == 0);
    return thread;
}
