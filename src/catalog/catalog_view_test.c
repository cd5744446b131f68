// Tests of views: definitions and their versions, names, and what a name means for somebody.

#include "catalog/catalog_view.h"

#include "base/ok_test.h"
#include "base/threads.h"
#include "catalog/catalog_int.h"

static struct store *store;
static struct catalog *catalog;
static struct arena arena;
static const struct catalog_author author = {.actor = {"tester", 6}, .action = {"view.put", 8}};

static struct catalog *open_catalog(void) {
    const struct config config = {.catalog_checkpoint_every = 100};
    struct catalog *c;
    OK(catalog_open_on(&config, store, STR("memory://test"), &c, &err));
    c->borrowed = true; // the store lives on
    return c;
}

static int set_up(void **state) {
    (void)state;
    arena = ARENA(1 << 28);
    err = ERR_NONE;
    store = store_memory_new();
    catalog = open_catalog();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_release(&arena); // before what it holds of the catalog
    catalog_close(catalog);
    store_close(store);
    return 0;
}

static void open_again(void) {
    arena_reset(&arena);
    catalog_close(catalog);
    catalog = open_catalog();
}

static enum err_code make_dataset(struct catalog *c, const char *name) {
    const struct catalog_dataset d = {.name = str_from(name),
                                      .id = str_from(name),
                                      .bucket = STR("primary"),
                                      .dir = STR("tables/x"),
                                      .metadata = STR("tables/x/metadata/0.json")};
    uint64_t version;
    err = ERR_NONE;
    return catalog_dataset_put(c, &d, &author, NULL, &version, &err);
}

static enum err_code rename_dataset(const char *from, const char *to) {
    struct catalog_dataset d;
    uint64_t version;
    OK(catalog_dataset_get(catalog, str_from(from), &arena, &d, &err));
    err = ERR_NONE;
    return catalog_dataset_rename(catalog, &d, str_from(to), &author, &version, &err);
}

static const struct catalog_view_column all_masks[] = {
    {{"id", 2}, 1, {.kind = MASK_NONE}},
    {{"a", 1}, 2, {.kind = MASK_NULL}},
    {{"b", 1}, 3, {.kind = MASK_DEFAULT}},
    {{"c", 1}, 4, {.kind = MASK_HASH}},
    {{"d", 1}, 5, {.kind = MASK_HASH_LOCAL}},
    {{"e", 1}, 6, {.kind = MASK_KEEP, .keep_prefix = 3, .keep_suffix = 2}},
    {{"f", 1}, 7, {.kind = MASK_ALPHANUM}},
    {{"g", 1}, 8, {.kind = MASK_YEAR}},
    {{"h", 1}, 9, {.kind = MASK_MONTH}},
};
static const struct catalog_view_use filter_uses[] = {
    {{"status", 6}, 10, {NULL, 0}}, {{"ours", 4}, 2, {"5c", 2}}, // of another dataset
};

#define FILTER "status != 'Ada Lovelace'"

static struct catalog_view wanted(const char *name, const char *base) {
    return (struct catalog_view){.name = str_from(name),
                                 .base = str_from(base),
                                 .base_id = str_from(base),
                                 .columns = all_masks,
                                 .column_count = ARRAY_LEN(all_masks),
                                 .row_filter = STR(FILTER),
                                 .uses = filter_uses,
                                 .use_count = ARRAY_LEN(filter_uses)};
}

static enum err_code put_in(struct catalog *c, struct catalog_view *v) {
    err = ERR_NONE;
    return catalog_view_put(c, v, &author, &err);
}

static enum err_code make(const char *name, const char *base) {
    struct catalog_view v = wanted(name, base);
    return put_in(catalog, &v);
}

static struct catalog_view get(const char *name) {
    struct catalog_view v = {0};
    OK(catalog_view_get(catalog, str_from(name), &arena, &v, &err));
    return v;
}

static bool object_is_there(struct str object) {
    uint64_t bytes;
    struct err missing = ERR_NONE;
    return store_size(store, object, &bytes, &missing) == ERR_OK;
}

static bool says_ada(void *ctx, struct str filter) {
    ++*(int *)ctx;
    return str_find(filter, STR("Ada")) >= 0;
}

static void an_erasure_takes_the_filter_out_of_earlier_definitions(void **state) {
    (void)state;
    int asked = 0;
    const struct catalog_view_eraser eraser = {says_ada, &asked};
    struct catalog_view_erased done;
    OK(make("safe", "films"));
    struct catalog_view next = get("safe");
    next.row_filter = STR("status = 'active'");
    OK(put_in(catalog, &next));
    OK(make("other", "films")); // a current one says it
    const struct catalog_view was = get("safe");
    OK(catalog_view_erase(catalog, &eraser, &author, &arena, &done, &err));
    assert_int_equal(asked, 1);
    assert_int_equal(done.filters, 1);
    assert_int_equal(done.objects.count, 1);
    assert_true(str_eq(done.objects.items[0].object, was.content.object));
    assert_true(done.objects.bytes[0] > 0);
    assert_false(object_is_there(was.content.object));
    const struct catalog_view now = get("safe");
    struct catalog_view first;
    assert_true(str_is(now.row_filter, "status = 'active'") && now.number == 2);
    OK(catalog_view_at(catalog, &now, 1, &arena, &first, &err));
    assert_true(str_is(first.row_filter, CATALOG_VIEW_FILTER_ERASED));
    assert_int_equal(first.column_count, ARRAY_LEN(all_masks));
    assert_true(str_is(get("other").row_filter, FILTER));
    OK(catalog_view_erase(catalog, &eraser, &author, &arena, &done, &err));
    assert_int_equal(done.filters, 0);
    assert_int_equal(done.objects.count, 0);
    assert_true(object_is_there(now.content.object));
    // It can be changed like any other.
    struct catalog_view again = now;
    again.row_filter = STR("");
    OK(put_in(catalog, &again));
    assert_int_equal(again.number, 3);
}

// ---- Definitions

static void a_view_comes_back_as_it_was_put_and_after_a_restart(void **state) {
    (void)state;
    struct catalog_view v = wanted("Safe", "films");
    OK(put_in(catalog, &v));
    assert_true(v.version > 0 && v.number == 1 && v.created_us > 0);
    for (int i = 0; i < 2; i++) {
        const struct catalog_view got = get(i == 0 ? "Safe" : "sAFE");
        assert_true(str_is(got.name, "Safe") && str_is(got.base, "films"));
        assert_true(str_is(got.base_id, "films") && str_is(got.row_filter, FILTER));
        assert_true(str_is(got.author, "tester") && got.id.len > 0);
        assert_true(got.version == v.version && got.number == 1);
        assert_true(got.created_us == v.created_us && got.updated_us == v.updated_us);
        assert_int_equal(got.column_count, ARRAY_LEN(all_masks));
        for (size_t k = 0; k < got.column_count; k++) {
            assert_true(str_eq(got.columns[k].name, all_masks[k].name));
            assert_int_equal(got.columns[k].field_id, all_masks[k].field_id);
            assert_true(mask_eq(&got.columns[k].mask, &all_masks[k].mask));
        }
        assert_int_equal(got.use_count, 2);
        assert_true(str_is(got.uses[0].name, "status") && got.uses[0].field_id == 10);
        assert_true(got.uses[0].dataset_id.len == 0 && str_is(got.uses[1].dataset_id, "5c"));
        open_again();
    }
}

static void a_change_is_a_version_and_the_earlier_ones_can_be_read(void **state) {
    (void)state;
    OK(make("safe", "films"));
    struct catalog_view first = get("safe");
    struct catalog_view next = first;
    next.column_count = 1;
    next.row_filter = STR("");
    next.use_count = 0;
    OK(put_in(catalog, &next));
    assert_int_equal(next.number, 2);
    struct catalog_view now = get("safe");
    assert_true(now.number == 2 && now.column_count == 1 && now.row_filter.len == 0);
    assert_true(str_eq(now.id, first.id) && now.created_us == first.created_us);
    struct catalog_view then;
    OK(catalog_view_at(catalog, &now, 1, &arena, &then, &err));
    assert_true(then.number == 1 && then.column_count == first.column_count);
    assert_true(str_is(then.row_filter, FILTER) && then.version == now.version);
    assert_int_equal(catalog_view_at(catalog, &now, 3, &arena, &then, &err), ERR_NOT_FOUND);
}

static void only_so_many_versions_are_kept(void **state) {
    (void)state;
    OK(make("safe", "films"));
    struct catalog_view v = get("safe");
    for (size_t i = 0; i < CATALOG_VIEW_VERSIONS_MAX + 2; i++) {
        v.column_count = 1 + i % 2;
        OK(put_in(catalog, &v));
    }
    struct catalog_view *list;
    size_t count;
    v = get("safe");
    OK(catalog_view_versions(catalog, &v, &arena, &list, &count, &err));
    assert_int_equal(count, CATALOG_VIEW_VERSIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].number, 4 + (int64_t)i);
    }
    assert_int_equal(v.number, CATALOG_VIEW_VERSIONS_MAX + 3);
}

static void the_log_says_nothing_of_the_filter(void **state) {
    (void)state;
    OK(make("safe", "films"));
    struct catalog_view v = get("safe");
    OK(put_in(catalog, &v));
    OK(catalog_view_remove(catalog, &v, &author, &err));
    const struct store_page page = {.prefix = STR("_catalog/log/"), .max = 100};
    struct store_list list;
    OK(store_list(store, &page, &arena, &list, &err));
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < list.count; i++) {
        struct str text;
        OK(store_get(store, list.entries[i].name, &arena, &text, &err));
        assert_true(str_find(text, STR("view.put")) > 0);
        assert_true(str_find(text, STR("Ada")) < 0);
        assert_true(str_find(text, STR("status")) < 0);
    }
}

static void what_a_change_or_removal_leaves_behind_is_removed(void **state) {
    (void)state;
    OK(make("safe", "films"));
    const struct catalog_view first = get("safe");
    struct catalog_view v = first;
    OK(put_in(catalog, &v));
    v = get("safe");
    assert_false(object_is_there(first.content.object));
    assert_true(object_is_there(v.content.object));
    OK(catalog_view_remove(catalog, &v, &author, &err));
    assert_false(object_is_there(v.content.object));
    assert_int_equal(catalog_view_get(catalog, STR("safe"), &arena, &v, &err), ERR_NOT_FOUND);
    assert_false(catalog_view_has_name(catalog, STR("safe")));
    OK(make("safe", "films"));
    assert_false(str_eq(get("safe").id, first.id));
}

static void a_change_must_expect_what_there_is(void **state) {
    (void)state;
    struct str *left;
    size_t count;
    OK(make("safe", "films"));
    const struct catalog_view first = get("safe");
    struct catalog_view v = first;
    OK(put_in(catalog, &v));
    struct catalog_view late = first;
    assert_int_equal(put_in(catalog, &late), ERR_CONFLICT);
    assert_int_equal(catalog_view_remove(catalog, &first, &author, &err), ERR_CONFLICT);
    assert_int_equal(make("SAFE", "films"), ERR_EXISTS);
    assert_non_null(strstr(err.msg, "a view \"safe\" already"));
    late.name = STR("other");
    assert_int_equal(put_in(catalog, &late), ERR_CONFLICT); // it is not there
    assert_true(get("safe").number == 2);
    // Nothing of the refused ones is left over.
    OK(catalog_content_unnamed(catalog, -1, &arena, &left, &count, &err));
    assert_int_equal(count, 0);
}

static void a_damaged_definition_is_refused_and_can_be_replaced_or_removed(void **state) {
    (void)state;
    OK(make("safe", "films"));
    struct catalog_view v = {0};
    assert_true(catalog_view_find(catalog, STR("safe"), &arena, &v));
    OK(store_put(store, v.content.object, STR("{}"), &err));
    struct catalog_view got;
    assert_int_equal(catalog_view_get(catalog, STR("safe"), &arena, &got, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "safe"));
    struct catalog_view anew = wanted("safe", "films");
    anew.version = v.version;
    OK(put_in(catalog, &anew));
    v = get("safe");
    assert_int_equal(v.number, 2);
    open_again();
    assert_true(catalog_view_find(catalog, STR("safe"), &arena, &v));
    catalog_content_remove(catalog, &v.content);
    assert_int_equal(catalog_view_get(catalog, STR("safe"), &arena, &got, &err), ERR_CORRUPT);
    OK(catalog_view_remove(catalog, &v, &author, &err));
}

// An entity whose content is that text, with ' for ".
static void put_stored(const char *name, const char *text) {
    char *json = arena_cstr(&arena, str_from(text));
    for (char *p = json; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    DEFER(json_decrefp) json_t *body = NULL;
    struct catalog_content content;
    struct txn_outcome outcome;
    OK(json_parse(str_from(json), &body, &err));
    OK(catalog_content_put(catalog, body, &arena, &content, &err));
    json_t *value = json_pack("{s:s,s:s,s:i}", "name", name, "id", name, "number", 1);
    json_object_set_new(value, "content", catalog_content_json(&content));
    json_t *changes = json_array();
    json_array_append_new(
        changes, catalog_change(catalog_folded_key(VIEW_PREFIX, str_from(name), &arena), 0, value));
    OK(catalog_commit(catalog, &author, STR("x"), changes, &outcome, &err));
}

static void what_is_not_understood_never_becomes_less_of_a_view(void **state) {
    (void)state;
    struct catalog_view v;
    put_stored("good", "{'versions':[{'number':1,'row_filter':'','columns':"
                       "[{'name':'a','field_id':1,'mask':'hash'}]}]}");
    OK(catalog_view_get(catalog, STR("good"), &arena, &v, &err));
    put_stored("mask", "{'versions':[{'number':1,'row_filter':'','columns':"
                       "[{'name':'a','field_id':1,'mask':'of-tomorrow'}]}]}");
    assert_int_equal(catalog_view_get(catalog, STR("mask"), &arena, &v, &err), ERR_CORRUPT);
    put_stored("rows", "{'versions':[{'number':1,'columns':[{'name':'a','field_id':1}]}]}");
    assert_int_equal(catalog_view_get(catalog, STR("rows"), &arena, &v, &err), ERR_CORRUPT);
    put_stored("none", "{'versions':[]}");
    assert_int_equal(catalog_view_get(catalog, STR("none"), &arena, &v, &err), ERR_CORRUPT);
}

static void views_are_listed_by_name_and_by_base(void **state) {
    (void)state;
    struct catalog_view *list;
    size_t count;
    OK(make("c", "films"));
    OK(make("A", "books"));
    OK(make("B", "films"));
    OK(catalog_view_list(catalog, STR(""), &arena, &list, &count, &err));
    assert_int_equal(count, 3);
    assert_true(str_is(list[0].name, "A") && str_is(list[1].name, "B") &&
                str_is(list[2].name, "c"));
    assert_int_equal(list[0].column_count, ARRAY_LEN(all_masks));
    OK(catalog_view_list(catalog, STR("films"), &arena, &list, &count, &err));
    assert_int_equal(count, 2);
    assert_true(str_is(list[0].name, "B") && str_is(list[1].name, "c"));
    catalog_view_forget(catalog); // what is held stays
    assert_true(str_is(list[0].row_filter, FILTER) && str_is(list[0].columns[8].name, "h"));
}

// ---- Names

static void a_name_is_a_datasets_or_a_views(void **state) {
    (void)state;
    OK(make_dataset(catalog, "Films"));
    assert_int_equal(make("Films", "x"), ERR_EXISTS);
    assert_int_equal(make("fILMS", "x"), ERR_EXISTS);
    assert_non_null(strstr(err.msg, "a dataset \"Films\" already"));
    OK(make("Safe", "x"));
    assert_int_equal(make_dataset(catalog, "Safe"), ERR_EXISTS);
    assert_int_equal(make_dataset(catalog, "safe"), ERR_EXISTS);
    assert_null(strstr(err.msg, "view"));
    assert_int_equal(rename_dataset("Films", "Safe"), ERR_EXISTS);
    assert_int_equal(rename_dataset("Films", "SAFE"), ERR_EXISTS);
    assert_string_equal(err.msg, "there is a dataset \"Safe\" already");
    OK(rename_dataset("Films", "Safer"));
    assert_int_equal(make("a b", "x"), ERR_INVALID);
    assert_int_equal(make("__raw__x", "x"), ERR_INVALID);
}

// Two servers, neither of which has seen the other's change when it looks.
static void of_two_that_make_one_name_one_fails(void **state) {
    (void)state;
    struct catalog *other = open_catalog();
    OK(make_dataset(other, "x"));
    assert_int_equal(make("x", "base"), ERR_CONFLICT);
    assert_int_equal(make("x", "base"), ERR_EXISTS); // now it has seen it
    struct catalog_view v = wanted("Y", "base");
    OK(put_in(catalog, &v));
    assert_int_equal(make_dataset(other, "y"), ERR_CONFLICT);
    assert_int_equal(make_dataset(other, "y"), ERR_EXISTS);
    v = wanted("Z", "base");
    OK(put_in(catalog, &v));
    OK(make_dataset(other, "free"));
    v = wanted("W", "base");
    OK(put_in(catalog, &v));
    struct catalog_dataset d;
    uint64_t version;
    OK(catalog_dataset_get(other, STR("free"), &arena, &d, &err));
    assert_int_equal(catalog_dataset_rename(other, &d, STR("w"), &author, &version, &err),
                     ERR_CONFLICT);
    catalog_close(other);
}

static void renaming_a_dataset_renames_the_base_of_its_views(void **state) {
    (void)state;
    OK(make_dataset(catalog, "films"));
    OK(make_dataset(catalog, "books"));
    OK(make("safe", "films"));
    OK(make("tame", "films"));
    OK(make("other", "books"));
    const struct catalog_view before = get("safe");
    OK(rename_dataset("films", "movies"));
    const uint64_t seq = txlog_seq(catalog->log);
    for (int i = 0; i < 2; i++) {
        const struct catalog_view v = get("safe");
        assert_true(str_is(v.base, "movies") && str_is(v.base_id, "films"));
        assert_true(v.version == seq && v.number == before.number); // in the very same record
        assert_true(str_is(v.row_filter, FILTER) && str_is(get("tame").base, "movies"));
        assert_true(str_is(get("other").base, "books"));
        open_again();
    }
}

// ---- Readers beside writers

static void another_servers_change_is_seen_when_its_content_is_read(void **state) {
    (void)state;
    OK(make("safe", "films"));
    struct catalog *other = open_catalog();
    struct catalog_view v = get("safe");
    v.column_count = 2;
    OK(put_in(catalog, &v));
    struct catalog_view got;
    OK(catalog_view_get(other, STR("safe"), &arena, &got, &err));
    assert_true(got.number == 2 && got.column_count == 2);
    v = get("safe");
    OK(put_in(catalog, &v));
    v = get("safe");
    OK(catalog_view_remove(catalog, &v, &author, &err));
    catalog_view_forget(other);
    assert_int_equal(catalog_view_get(other, STR("safe"), &arena, &got, &err), ERR_NOT_FOUND);
    arena_reset(&arena);
    catalog_close(other);
}

static _Atomic bool over;

// What is read is one definition: those with an odd number have one column, the others two.
static void *read_on(void *arg) {
    size_t *bad = arg;
    while (!over) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct err e = ERR_NONE;
        struct catalog_view v;
        *bad += catalog_view_get(catalog, STR("safe"), &a, &v, &e) != ERR_OK ||
                        v.column_count != (v.number % 2 == 0 ? 2 : 1)
                    ? 1
                    : 0;
    }
    return NULL;
}

static void readers_see_whole_definitions_while_they_change(void **state) {
    (void)state;
    pthread_t readers[4];
    size_t bad[ARRAY_LEN(readers)] = {0};
    struct catalog_view v = wanted("safe", "films");
    v.column_count = 1;
    OK(put_in(catalog, &v));
    over = false;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        readers[i] = threads_start("reader", read_on, &bad[i]);
    }
    for (size_t i = 0; i < 200; i++) {
        v.column_count = 3 - v.column_count;
        OK(put_in(catalog, &v));
    }
    over = true;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        (void)pthread_join(readers[i], NULL);
        assert_int_equal(bad[i], 0);
    }
}

// ---- What a name means for somebody

static const struct catalog_grant some_grants[] = {
    {CATALOG_DATASET, {"films", 5}, CATALOG_READ_RAW},
    {CATALOG_DATASET, {"notes", 5}, CATALOG_WRITE},
    {CATALOG_VIEW, {"Safe", 4}, CATALOG_READ},
};
static const struct catalog_rights some = {.grants = some_grants,
                                           .grant_count = ARRAY_LEN(some_grants)};

static void fill(void) {
    OK(make_dataset(catalog, "films"));
    OK(make_dataset(catalog, "notes"));
    OK(make_dataset(catalog, "secrets"));
    OK(make("Safe", "secrets"));
    OK(make("hidden", "secrets"));
}

// "dataset films", "view Safe", or the message.
static const char *means(const struct catalog_rights *r, const char *name) {
    const struct catalog_wish wish = {r, CATALOG_READ_RAW};
    struct catalog_table t;
    err = ERR_NONE;
    if (catalog_table_permit(catalog, str_from(name), &wish, &arena, &t, &err) != ERR_OK) {
        return arena_cstr(&arena, str_from(err.msg));
    }
    const struct str own = t.is_view ? t.view.name : t.dataset.name;
    if (t.is_view) {
        assert_int_equal(t.view.column_count, ARRAY_LEN(all_masks));
    }
    return arena_cstr(
        &arena, arena_printf(&arena, "%s " STR_FMT, t.is_view ? "view" : "dataset", STR_ARG(own)));
}

static void a_name_means_a_dataset_or_a_view_that_they_may_read(void **state) {
    (void)state;
    fill();
    assert_string_equal(means(&some, "films"), "dataset films");
    assert_string_equal(means(&some, "FILMS"), "dataset films");
    assert_string_equal(means(&some, "Safe"), "view Safe");
    assert_string_equal(means(&some, "sAfE"), "view Safe");
    assert_string_equal(means(&some, "notes"), "this token may not read the rows of dataset "
                                               "\"notes\"");
    assert_int_equal(err.code, ERR_DENIED);
    assert_string_equal(means(&catalog_rights_all, "hidden"), "view hidden");
    assert_string_equal(means(&catalog_rights_all, "SECRETS"), "dataset secrets");
    const struct catalog_rights every = {.every_view = CATALOG_READ};
    assert_string_equal(means(&every, "Hidden"), "view hidden");
    assert_string_equal(means(&every, "films"), "no dataset \"films\"");
}

static void what_they_may_not_read_is_missing_to_the_byte(void **state) {
    (void)state;
    fill();
    const struct catalog_rights none = {0};
    static const char *const names[] = {"hidden", "HIDDEN", "secrets", "nosuch"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *missing =
            arena_cstr(&arena, arena_printf(&arena, "no dataset \"%s\"", names[i]));
        assert_string_equal(means(&some, names[i]), missing);
        assert_string_equal(means(&none, names[i]), missing);
        assert_int_equal(err.code, ERR_NOT_FOUND);
    }
    // Nor does what is hidden decide whether another spelling is found, or is suggested.
    assert_string_equal(means(&some, "hiden"), "no dataset \"hiden\"");
    assert_string_equal(means(&none, "safe"), "no dataset \"safe\"");
}

static void a_similar_name_of_either_kind_is_suggested(void **state) {
    (void)state;
    fill();
    assert_string_equal(means(&some, "saef"), "no dataset \"saef\"; did you mean \"Safe\"?");
    assert_string_equal(means(&some, "filsm"), "no dataset \"filsm\"; did you mean \"films\"?");
    const struct catalog_wish wish = {&some, 0};
    struct catalog_dataset d;
    assert_int_equal(catalog_dataset_permit(catalog, STR("saef"), &wish, &arena, &d, &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"saef\"");
    assert_int_equal(catalog_dataset_permit(catalog, STR("Safe"), &wish, &arena, &d, &err),
                     ERR_NOT_FOUND);
    struct catalog_view v;
    assert_int_equal(catalog_view_permit(catalog, STR("saef"), &some, &arena, &v, &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no view \"saef\"; did you mean \"Safe\"?");
    assert_int_equal(catalog_view_permit(catalog, STR("films"), &some, &arena, &v, &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no view \"films\"");
    OK(catalog_view_permit(catalog, STR("safe"), &some, &arena, &v, &err));
}

static void only_who_may_know_of_a_view_is_told_that_it_has_the_name(void **state) {
    (void)state;
    fill();
    err = ERR_NONE;
    assert_int_equal(catalog_permit_name(catalog, &some, STR("SAFE"), &err), ERR_EXISTS);
    assert_non_null(strstr(err.msg, "a view \"Safe\" already"));
    OK(catalog_permit_name(catalog, &some, STR("hidden"), &err));
    OK(catalog_permit_name(catalog, &some, STR("films"), &err));
    assert_int_equal(catalog_permit_name(catalog, &catalog_rights_all, STR("hidden"), &err),
                     ERR_EXISTS);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_view_comes_back_as_it_was_put_and_after_a_restart),
        TEST(an_erasure_takes_the_filter_out_of_earlier_definitions),
        TEST(a_change_is_a_version_and_the_earlier_ones_can_be_read),
        TEST(only_so_many_versions_are_kept),
        TEST(the_log_says_nothing_of_the_filter),
        TEST(what_a_change_or_removal_leaves_behind_is_removed),
        TEST(a_change_must_expect_what_there_is),
        TEST(a_damaged_definition_is_refused_and_can_be_replaced_or_removed),
        TEST(what_is_not_understood_never_becomes_less_of_a_view),
        TEST(views_are_listed_by_name_and_by_base),
        TEST(a_name_is_a_datasets_or_a_views),
        TEST(of_two_that_make_one_name_one_fails),
        TEST(renaming_a_dataset_renames_the_base_of_its_views),
        TEST(another_servers_change_is_seen_when_its_content_is_read),
        TEST(readers_see_whole_definitions_while_they_change),
        TEST(a_name_means_a_dataset_or_a_view_that_they_may_read),
        TEST(what_they_may_not_read_is_missing_to_the_byte),
        TEST(a_similar_name_of_either_kind_is_suggested),
        TEST(only_who_may_know_of_a_view_is_told_that_it_has_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
