// Tests of the cache: what is held stays, what is not goes by last use.

#include "base/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct source {
    int loads;
    size_t size;
    enum err_code fail;
};

static enum err_code load(void *ctx, struct arena *own, const void **ret, struct err *err) {
    struct source *s = ctx;
    if (s->fail != ERR_OK) {
        return err_set(err, s->fail, "made to fail");
    }
    char *bytes = arena_alloc(own, s->size);
    bytes[0] = (char)('a' + s->loads);
    s->loads++;
    *ret = bytes;
    return ERR_OK;
}

static const char *get(struct cache *c, const char *key, struct source *s, struct arena *a) {
    const void *value = NULL;
    struct err err = ERR_NONE;
    struct cache_loader loader = {load, s};
    assert_int_equal(cache_get(c, str_from(key), &loader, a, &value, &err), ERR_OK);
    return value;
}

static void a_value_is_made_once_while_it_is_kept(void **state) {
    (void)state;
    struct cache *c = cache_new(1 << 20);
    struct source s = {.size = 100};
    for (int i = 0; i < 3; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 16);
        assert_int_equal(*get(c, "k", &s, &a), 'a');
    }
    assert_int_equal(s.loads, 1);
    cache_free(c);
}

static void what_is_cleared_is_made_again_and_stays_for_who_holds_it(void **state) {
    (void)state;
    struct cache *c = cache_new(1 << 20);
    struct source s = {.size = 100};
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const char *held = get(c, "k", &s, &a);
    cache_clear(c);
    cache_clear(c);
    assert_null(cache_find(c, STR("k"), &a));
    assert_int_equal(*held, 'a');
    assert_int_equal(*get(c, "k", &s, &a), 'b');
    arena_reset(&a);
    cache_free(c);
}

static void the_least_recently_used_goes_first(void **state) {
    (void)state;
    struct cache *c = cache_new(250 << 10);
    struct source s = {.size = 100 << 10};
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    (void)get(c, "one", &s, &a);
    (void)get(c, "two", &s, &a);
    (void)get(c, "one", &s, &a);
    (void)get(c, "three", &s, &a); // two goes
    assert_int_equal(s.loads, 3);
    (void)get(c, "one", &s, &a);
    assert_int_equal(s.loads, 3);
    (void)get(c, "two", &s, &a);
    assert_int_equal(s.loads, 4);
    arena_release(&a);
    cache_free(c);
}

static void what_is_held_outlives_its_eviction(void **state) {
    (void)state;
    struct cache *c = cache_new(1);
    struct source s = {.size = 64 << 10};
    DEFER(arena_release) struct arena holder = ARENA(1 << 16);
    const char *held = get(c, "held", &s, &holder);
    for (int i = 0; i < 5; i++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 16);
        (void)get(c, i % 2 == 0 ? "x" : "y", &s, &a);
    }
    assert_int_equal(*held, 'a');
    arena_release(&holder);
    cache_free(c);
}

static void a_failed_load_keeps_nothing(void **state) {
    (void)state;
    struct cache *c = cache_new(1 << 20);
    struct source s = {.size = 10, .fail = ERR_IO};
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct err err = ERR_NONE;
    struct cache_loader loader = {load, &s};
    const void *value = NULL;
    assert_int_equal(cache_get(c, STR("k"), &loader, &a, &value, &err), ERR_IO);
    s.fail = ERR_OK;
    assert_int_equal(*get(c, "k", &s, &a), 'a');
    arena_release(&a);
    cache_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cleared_is_made_again_and_stays_for_who_holds_it),
        cmocka_unit_test(a_value_is_made_once_while_it_is_kept),
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(what_is_held_outlives_its_eviction),
        cmocka_unit_test(a_failed_load_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
