// Tests of content objects and secrets, over a store in memory.

#include "catalog/catalog_content.h"
#include "catalog/catalog_int.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct store *store;
static struct catalog *catalog;
static struct arena arena;
static struct err err;
static const struct catalog_author author = {.actor = {"tester", 6}, .action = {"test", 4}};

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != ERR_OK) {                                                                    \
            fail_msg("%s: %s", #call, err.msg);                                                    \
        }                                                                                          \
    } while (0)

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
        TEST(a_refused_attempt_is_in_the_journal_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
