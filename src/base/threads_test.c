// Threads: locks that end with their scope, waits that end in time, threads with names.
#include "base/threads.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards shared
static int64_t shared;

static void *add_many(void *arg) {
    for (int i = 0; i < 10000; i++) {
        LOCKED(&lock);
        shared++;
    }
    return arg;
}

static void a_lock_keeps_others_out(void **state) {
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("add", add_many, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(shared, 40000);
}

static void a_lock_ends_with_its_scope(void **state) {
    (void)state;
    pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_t two = PTHREAD_MUTEX_INITIALIZER;
    {
        LOCKED(&one);
        LOCKED(&two); // a second one in the same scope
        assert_int_equal(pthread_mutex_trylock(&one), EBUSY);
        assert_int_equal(pthread_mutex_trylock(&two), EBUSY);
    }
    assert_int_equal(pthread_mutex_trylock(&one), 0);
    assert_int_equal(pthread_mutex_unlock(&one), 0);
    assert_int_equal(pthread_mutex_trylock(&two), 0);
    assert_int_equal(pthread_mutex_unlock(&two), 0);
}

static void a_wait_ends_at_its_deadline(void **state) {
    (void)state;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c;
    threads_cond_init(&c);
    {
        LOCKED(&m);
        const int64_t deadline = clock_mono_us() + 20000;
        while (threads_cond_wait_until(&c, &m, deadline)) {
        }
        assert_true(clock_mono_us() >= deadline);
        assert_false(threads_cond_wait_until(&c, &m, 0));
        assert_false(threads_cond_wait_until(&c, &m, -5));
    }
    assert_int_equal(pthread_cond_destroy(&c), 0);
}

struct mailbox {
    pthread_mutex_t lock; // guards full
    pthread_cond_t changed;
    bool full;
};

static void *put_letter(void *arg) {
    struct mailbox *m = arg;
    LOCKED(&m->lock);
    m->full = true;
    CHECK(pthread_cond_signal(&m->changed) == 0);
    return NULL;
}

static void a_signal_ends_a_wait(void **state) {
    (void)state;
    struct mailbox m = {.lock = PTHREAD_MUTEX_INITIALIZER};
    threads_cond_init(&m.changed);
    const pthread_t thread = threads_start("put", put_letter, &m);
    {
        LOCKED(&m.lock);
        const int64_t deadline = clock_mono_us() + INT64_C(60000000);
        while (!m.full) {
            assert_true(threads_cond_wait_until(&m.changed, &m.lock, deadline));
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_cond_destroy(&m.changed), 0);
}

static void *get_name(void *arg) {
    CHECK(prctl(PR_GET_NAME, arg) == 0);
    return arg;
}

static void a_thread_has_its_name_and_gives_its_result(void **state) {
    (void)state;
    char name[16] = "";
    void *result = NULL;
    const pthread_t thread = threads_start("a name that is too long", get_name, name);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, name);
    assert_string_equal(name, "a name that is ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_keeps_others_out),
        cmocka_unit_test(a_lock_ends_with_its_scope),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_signal_ends_a_wait),
        cmocka_unit_test(a_thread_has_its_name_and_gives_its_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
