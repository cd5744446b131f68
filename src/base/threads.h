// Threads: scoped locks and a few pieces that pthreads leaves out.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

// Holds the mutex for the rest of the scope: LOCKED(&m->lock);
#define LOCKED(mutex) THREADS_LOCKED(mutex, __COUNTER__)
#define THREADS_LOCKED(mutex, number) THREADS_LOCKED_AS(mutex, number)
#define THREADS_LOCKED_AS(mutex, number)                                                           \
    DEFER(threads_unlockp)                                                                         \
    __attribute__((unused)) pthread_mutex_t *locked_##number = threads_lock(mutex)

pthread_mutex_t *threads_lock(pthread_mutex_t *m);
void threads_unlockp(pthread_mutex_t **m);

// Condition variable on the monotonic clock.
void threads_cond_init(pthread_cond_t *c);
// False when deadline_us (clock_mono_us) passed first. The mutex is held before and after. A true
// may come without a signal: look at what was waited for in a loop.
bool threads_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline_us);

// Starts fn(arg) in a thread with its name set (15 bytes). Aborts if it cannot. The caller joins
// or detaches it.
pthread_t threads_start(const char *name, void *(*fn)(void *), void *arg);

// Set by whoever wants some work stopped; read by the work between its steps.
struct cancel {
    _Atomic bool set;
};
