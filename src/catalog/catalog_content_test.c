// Tests of content objects and secrets, over a store in memory.

#include "base/ok_test.h"
#include "base/threads.h"
#include "catalog/catalog_content.h"
#include "catalog/catalog_int.h"
#include "store/store_fault.h"

static struct store *store;
static struct catalog *catalog;
static struct arena arena;
static const struct catalog_author author = {.actor = {"tester", 6}, .action = {"test", 4}};

static int set_up(void **state) {
    (void)state;
    const struct config config = {.catalog_checkpoint_every = 100};
    arena = ARENA(1 << 26);
    err = ERR_NONE;
    store = store_memory_new();
    OK(catalog_open_on(&config, store, STR("memory://test"), &catalog, &err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    catalog_close(catalog);
    arena_release(&arena);
    return 0;
}

static struct catalog_content put(const char *text) {
    DEFER(json_decrefp) json_t *body = json_string(text);
    struct catalog_content made;
    OK(catalog_content_put(catalog, body, &arena, &made, &err));
    return made;
}

static void name_it(const char *entity, const struct catalog_content *content) {
    json_t *changes = json_array();
    json_t *value = json_pack("{s:[{s:o}]}", "deep", "content", catalog_content_json(content));
    struct txn_outcome outcome;
    json_array_append_new(changes, catalog_change(str_from(entity), 0, value));
    OK(catalog_commit(catalog, &author, STR("x"), changes, &outcome, &err));
}

static void what_is_put_comes_back(void **state) {
    (void)state;
    const struct catalog_content made = put("Ada");
    DEFER(json_decrefp) json_t *body = NULL;
    OK(catalog_content_get(catalog, &made, &body, &err));
    assert_string_equal(json_string_value(body), "Ada");
}

static void equal_content_has_another_hash(void **state) {
    (void)state;
    const struct catalog_content a = put("Ada");
    const struct catalog_content b = put("Ada");
    assert_false(str_eq(a.sha256, b.sha256));
}

static void content_that_is_gone_or_changed_is_damage(void **state) {
    (void)state;
    const struct catalog_content made = put("Ada");
    DEFER(json_decrefp) json_t *body = NULL;
    struct str text;
    OK(store_get(store, made.object, &arena, &text, &err));
    OK(store_put(store, made.object, str_slice(text, 0, text.len - 1), &err));
    assert_int_equal(catalog_content_get(catalog, &made, &body, &err), ERR_CORRUPT);
    catalog_content_remove(catalog, &made);
    assert_int_equal(catalog_content_get(catalog, &made, &body, &err), ERR_CORRUPT);
    assert_null(body);
}

static void a_sweep_leaves_what_is_named_or_young(void **state) {
    (void)state;
    const struct catalog_content named = put("named");
    const struct catalog_content loose = put("loose");
    struct catalog_content_swept swept;
    uint64_t bytes;
    name_it("thing:1", &named);
    OK(catalog_content_sweep(catalog, INT64_C(3600) * 1000000, &arena, &swept, &err));
    assert_int_equal(swept.count, 0);
    OK(catalog_content_sweep(catalog, -1000000, &arena, &swept, &err));
    assert_int_equal(swept.count, 1);
    assert_true(str_eq(swept.items[0].object, loose.object));
    assert_true(str_eq(swept.items[0].sha256, loose.sha256));
    assert_true(swept.bytes[0] > 64);
    OK(store_size(store, named.object, &bytes, &err));
    assert_int_equal(store_size(store, loose.object, &bytes, &err), ERR_NOT_FOUND);
}

static void a_secret_is_made_once(void **state) {
    (void)state;
    struct catalog_secret a;
    struct catalog_secret b;
    struct catalog_secret other;
    OK(catalog_secret_get(catalog, STR("receipt"), &arena, &a, &err));
    OK(catalog_secret_get(catalog, STR("receipt"), &arena, &b, &err));
    OK(catalog_secret_get(catalog, STR("other"), &arena, &other, &err));
    assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
    assert_true(str_eq(a.id, b.id));
    assert_memory_not_equal(a.bytes, other.bytes, sizeof(a.bytes));
}

// How many objects of secrets there are in a store.
static size_t secret_count(struct store *s) {
    struct store_list list;
    const struct store_page page = {.prefix = CATALOG_SECRET_PREFIX, .max = 1000};
    OK(store_list(s, &page, &arena, &list, &err));
    return list.count;
}

static const struct catalog_author rotator = {
    .actor = {"ann", 3}, .action = {"secret.rotate", 13}, .reason = {"it leaked", 9}};

static struct str secret_object_name(const struct catalog_secret *s) {
    return arena_printf(&arena, STR_FMT STR_FMT ".json", STR_ARG(CATALOG_SECRET_PREFIX),
                        STR_ARG(s->id));
}

static void assert_same_secret(const struct catalog_secret *a, const struct catalog_secret *b) {
    assert_memory_equal(a->bytes, b->bytes, sizeof(a->bytes));
    assert_true(str_eq(a->id, b->id));
}

static void a_rotated_secret_is_another_and_its_old_object_is_gone(void **state) {
    (void)state;
    struct catalog_secret old;
    struct catalog_secret rotated;
    struct catalog_secret got;
    struct catalog_secret other;
    uint64_t bytes;
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &old, &err));
    OK(catalog_secret_get(catalog, STR("other"), &arena, &other, &err));
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &rotated, &err));
    assert_memory_not_equal(rotated.bytes, old.bytes, sizeof(old.bytes));
    assert_false(str_eq(rotated.id, old.id));
    assert_int_equal(store_size(store, secret_object_name(&old), &bytes, &err), ERR_NOT_FOUND);
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &got, &err));
    assert_same_secret(&got, &rotated);
    OK(catalog_secret_get(catalog, STR("other"), &arena, &got, &err));
    assert_same_secret(&got, &other);
    assert_int_equal(secret_count(store), 2);
}

static void a_rotation_makes_a_secret_that_is_not_there_yet(void **state) {
    (void)state;
    struct catalog_secret rotated;
    struct catalog_secret got;
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &got, &err));
    assert_same_secret(&got, &rotated);
    assert_int_equal(secret_count(store), 1);
}

static bool collect(void *ctx, const struct txlog_item *item) {
    buf_add_str(ctx, json_text(item->transaction, &arena));
    return true;
}

static void the_journal_tells_of_a_rotation_and_not_of_the_secret(void **state) {
    (void)state;
    struct catalog_secret old;
    struct catalog_secret rotated;
    DEFER(buf_release) struct buf text = BUF(1 << 20);
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &old, &err));
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(txlog_walk(store, 1, 0, &(struct txlog_walker){collect, &text}, &err));
    const struct str log = buf_str(&text);
    assert_true(str_find(log, STR("secret.rotate")) >= 0);
    assert_true(str_find(log, STR("it leaked")) >= 0);
    assert_true(str_find(log, rotated.id) >= 0);
    assert_true(str_find(log, hex_bytes(old.bytes, sizeof(old.bytes), &arena)) < 0);
    assert_true(str_find(log, hex_bytes(rotated.bytes, sizeof(rotated.bytes), &arena)) < 0);
}

// A catalog of its own on the store of the test, as another process has it.
static struct catalog *open_another(void) {
    const struct config config = {.catalog_checkpoint_every = 100};
    struct catalog *c = NULL;
    OK(catalog_open_on(&config, store_fault_new(store, true), STR("memory://test"), &c, &err));
    return c;
}

static void a_rotated_secret_outlives_the_catalog(void **state) {
    (void)state;
    struct catalog_secret rotated;
    struct catalog_secret got;
    struct catalog *c = open_another();
    OK(catalog_secret_rotate(c, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(catalog_secret_rotate(c, STR("mask"), &rotator, &arena, &rotated, &err));
    catalog_close(c);
    c = open_another();
    OK(catalog_secret_get(c, STR("mask"), &arena, &got, &err));
    catalog_close(c);
    assert_same_secret(&got, &rotated);
}

static void who_has_not_seen_a_rotation_looks_again(void **state) {
    (void)state;
    struct catalog_secret rotated;
    struct catalog_secret got;
    struct catalog *c = open_another();
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(txlog_refresh(catalog_log(c), 0, 0, &err));
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(catalog_secret_get(c, STR("mask"), &arena, &got, &err)); // the object it knows is gone
    assert_same_secret(&got, &rotated);
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(catalog_secret_rotate(c, STR("mask"), &rotator, &arena, &rotated, &err));
    OK(txlog_refresh(catalog_log(catalog), 0, 0, &err));
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &got, &err));
    assert_same_secret(&got, &rotated);
    assert_int_equal(secret_count(store), 1);
    catalog_close(c);
}

static void a_secret_whose_object_is_gone_is_damage_until_it_is_rotated(void **state) {
    (void)state;
    struct catalog_secret s;
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &s, &err));
    OK(store_delete(store, secret_object_name(&s), &err));
    assert_int_equal(catalog_secret_get(catalog, STR("mask"), &arena, &s, &err), ERR_CORRUPT);
    OK(catalog_secret_rotate(catalog, STR("mask"), &rotator, &arena, &s, &err));
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &s, &err));
}

static void *rotate_some(void *arg) {
    struct err own = ERR_NONE;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct catalog_secret s;
    for (int i = 0; i < 10; i++) {
        const enum err_code code =
            i % 2 == 0 ? catalog_secret_rotate(arg, STR("mask"), &rotator, &a, &s, &own)
                       : catalog_secret_get(arg, STR("mask"), &a, &s, &own);
        if (code != ERR_OK && code != ERR_BUSY) {
            return arg;
        }
    }
    return NULL;
}

static void rotations_at_the_same_time_leave_one_object(void **state) {
    (void)state;
    struct catalog *c = open_another();
    struct catalog_secret s;
    struct catalog_secret got;
    uint64_t bytes;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        threads[i] = threads_start("rotate", rotate_some, i % 2 == 0 ? c : catalog);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    OK(txlog_refresh(catalog_log(c), 0, 0, &err));
    OK(txlog_refresh(catalog_log(catalog), 0, 0, &err));
    OK(catalog_secret_get(c, STR("mask"), &arena, &s, &err));
    OK(catalog_secret_get(catalog, STR("mask"), &arena, &got, &err));
    assert_same_secret(&got, &s);
    assert_int_equal(secret_count(store), 1);
    OK(store_size(store, secret_object_name(&s), &bytes, &err));
    catalog_close(c);
}

static void a_failed_rotation_changes_nothing(void **state) {
    (void)state;
    struct store *faulty = store_fault_new(store, true);
    struct catalog *c = NULL;
    struct catalog_secret old;
    struct catalog_secret got;
    OK(catalog_open_on(&(struct config){.catalog_checkpoint_every = 100}, faulty,
                       STR("memory://test"), &c, &err));
    OK(catalog_secret_get(c, STR("mask"), &arena, &old, &err));
    store_fault_plan(faulty, (struct fault_plan){FAULT_FAIL, FAULT_ON_PUT, .at = 1});
    assert_int_equal(catalog_secret_rotate(c, STR("mask"), &rotator, &arena, &got, &err), ERR_IO);
    OK(catalog_secret_get(c, STR("mask"), &arena, &got, &err));
    assert_same_secret(&got, &old);
    assert_int_equal(secret_count(store), 1);
    catalog_close(c);
}

static void an_old_secret_that_stayed_is_swept(void **state) {
    (void)state;
    struct store *faulty = store_fault_new(store, true);
    struct catalog *c = NULL;
    struct catalog_secret old;
    struct catalog_secret rotated;
    struct catalog_secret got;
    struct catalog_content_swept swept;
    OK(catalog_open_on(&(struct config){.catalog_checkpoint_every = 100}, faulty,
                       STR("memory://test"), &c, &err));
    OK(catalog_secret_get(c, STR("mask"), &arena, &old, &err));
    store_fault_plan(faulty, (struct fault_plan){FAULT_FAIL, FAULT_ON_DELETE, .at = 1});
    OK(catalog_secret_rotate(c, STR("mask"), &rotator, &arena, &rotated, &err));
    assert_int_equal(secret_count(store), 2);
    OK(catalog_content_sweep(c, -1000000, &arena, &swept, &err));
    assert_int_equal(swept.count, 1);
    assert_true(str_eq(swept.items[0].object, secret_object_name(&old)));
    OK(catalog_secret_get(c, STR("mask"), &arena, &got, &err));
    assert_same_secret(&got, &rotated);
    assert_int_equal(secret_count(store), 1);
    catalog_close(c);
}

static void a_refused_attempt_is_in_the_journal_and_changes_nothing(void **state) {
    (void)state;
    struct txlog_report report;
    OK(catalog_note_refused(catalog, &author, STR("dataset:x"), ERR_DENIED, &err));
    OK(txlog_verify(store, NULL, &arena, &report, &err));
    assert_int_equal(report.transactions, 1);
    assert_int_equal(report.changes, 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_comes_back),
        TEST(equal_content_has_another_hash),
        TEST(content_that_is_gone_or_changed_is_damage),
        TEST(a_sweep_leaves_what_is_named_or_young),
        TEST(a_secret_is_made_once),
        TEST(a_rotated_secret_is_another_and_its_old_object_is_gone),
        TEST(a_rotation_makes_a_secret_that_is_not_there_yet),
        TEST(the_journal_tells_of_a_rotation_and_not_of_the_secret),
        TEST(a_rotated_secret_outlives_the_catalog),
        TEST(who_has_not_seen_a_rotation_looks_again),
        TEST(a_secret_whose_object_is_gone_is_damage_until_it_is_rotated),
        TEST(rotations_at_the_same_time_leave_one_object),
        TEST(a_failed_rotation_changes_nothing),
        TEST(an_old_secret_that_stayed_is_swept),
        TEST(a_refused_attempt_is_in_the_journal_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
