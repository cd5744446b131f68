// Arenas: what is given out, what the limit does, what is run and freed at the end.
#include "base/arena.h"

#include "base/poison.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    for (size_t size = 0; size < 300; size += 7) {
        char *ptr = arena_alloc(&a, size);
        assert_int_equal((uintptr_t)ptr % 16, 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(ptr[i], 0);
        }
        memset(ptr, 0xAB, size);
    }
}

static void allocations_do_not_overlap(void **state) {
    (void)state;
    enum { COUNT = 500 };
    DEFER(arena_release) struct arena a = ARENA(64 << 20);
    unsigned char *ptrs[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const size_t size = i % 10 == 0 ? 20000 : i;
        ptrs[i] = arena_alloc(&a, size + 1);
        memset(ptrs[i], (int)(i % 251), size + 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        const size_t size = i % 10 == 0 ? 20000 : i;
        assert_int_equal(ptrs[i][0], i % 251);
        assert_int_equal(ptrs[i][size], i % 251);
    }
}

static void an_arena_past_its_limit_says_so(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1024);
    (void)arena_alloc(&a, 1024);
    assert_false(a.over);
    assert_non_null(arena_alloc(&a, 1));
    assert_true(a.over);
    arena_reset(&a);
    assert_false(a.over);
    assert_int_equal(a.used, 0);
}

static void a_large_allocation_leaves_the_chunk_in_use(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    char *before = arena_alloc(&a, 16);
    (void)arena_alloc(&a, 100000);
    char *after = arena_alloc(&a, 16);
    assert_ptr_equal(after, before + 16 + POISON_GAP);
}

static void a_reset_arena_gives_zeroed_memory_again(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    char *first = arena_alloc(&a, 64);
    (void)arena_alloc(&a, 100000);
    memset(first, 0xFF, 64);
    arena_reset(&a);
    char *again = arena_alloc(&a, 64);
    assert_ptr_equal(again, first);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(again[i], 0);
    }
}

static void an_arena_of_large_chunks_only_can_be_reset(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    (void)arena_alloc(&a, 50000);
    arena_reset(&a);
    assert_null(a.chunks);
    assert_non_null(arena_alloc(&a, 1));
}

static void memory_that_was_not_given_out_is_poisoned(void **state) {
    (void)state;
    if (!POISON_ON) {
        skip();
    }
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    char *ptr = arena_alloc(&a, 24);
    assert_false(POISONED(ptr + 23));
    assert_true(POISONED(ptr + 24));
    assert_true(POISONED(ptr + 32));
    char *next = arena_alloc(&a, 16);
    assert_true(POISONED(next - 1));
    arena_reset(&a);
    assert_true(POISONED(ptr));
}

static void a_grown_array_keeps_its_items(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    int *items = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        items = arena_grow(&a, items, &cap, (size_t)i + 1, sizeof(*items));
        items[i] = i;
    }
    assert_true(cap >= 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(items[i], i);
    }
    int *same = arena_grow(&a, items, &cap, cap, sizeof(*items));
    assert_ptr_equal(same, items);
}

static void copies_end_in_nul(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct str part = str_slice(STR("warehouse"), 0, 4);
    assert_string_equal(arena_cstr(&a, part), "ware");
    assert_string_equal(arena_str(&a, part).ptr, "ware");
    assert_string_equal(arena_cstr(&a, STR_NONE), "");
    assert_int_equal(arena_str(&a, STR_NONE).len, 0);
}

static void printf_takes_text_of_any_length(void **state) {
    (void)state;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct str text = arena_printf(&a, "%s-%05d-%30000s", "part", 42, "x");
    assert_int_equal(text.len, 11 + 30000);
    assert_true(str_starts(text, STR("part-00042-  ")));
    assert_int_equal(text.ptr[text.len], '\0');
}

struct note {
    struct arena *arena;
    char *log;
    char letter;
};

static void write_note(void *arg) {
    const struct note *n = arg;
    n->log[strlen(n->log)] = n->letter;
}

static void hooks_run_backwards_and_once(void **state) {
    (void)state;
    char log[8] = "";
    struct arena a = ARENA(1 << 20);
    struct note notes[] = {{&a, log, 'a'}, {&a, log, 'b'}, {&a, log, 'c'}};
    arena_defer(&a, write_note, &notes[0]);
    arena_defer(&a, write_note, &notes[1]);
    arena_reset(&a);
    assert_string_equal(log, "ba");
    arena_defer(&a, write_note, &notes[2]);
    arena_release(&a);
    assert_string_equal(log, "bac");
    arena_release(&a);
    assert_string_equal(log, "bac");
}

static void defer_another(void *arg) {
    struct note *n = arg;
    arena_defer(n->arena, write_note, n);
}

static void a_hook_may_add_a_hook(void **state) {
    (void)state;
    char log[8] = "";
    struct arena a = ARENA(1 << 20);
    struct note note = {&a, log, 'x'};
    arena_defer(&a, defer_another, &note);
    arena_release(&a);
    assert_string_equal(log, "x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(allocations_do_not_overlap),
        cmocka_unit_test(an_arena_past_its_limit_says_so),
        cmocka_unit_test(a_large_allocation_leaves_the_chunk_in_use),
        cmocka_unit_test(a_reset_arena_gives_zeroed_memory_again),
        cmocka_unit_test(an_arena_of_large_chunks_only_can_be_reset),
        cmocka_unit_test(memory_that_was_not_given_out_is_poisoned),
        cmocka_unit_test(a_grown_array_keeps_its_items),
        cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(printf_takes_text_of_any_length),
        cmocka_unit_test(hooks_run_backwards_and_once),
        cmocka_unit_test(a_hook_may_add_a_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
