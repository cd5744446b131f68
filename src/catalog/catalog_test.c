// Tests of the catalog: names, datasets and tokens, by one server and by two on the same folder.

#include "catalog/catalog.h"

#include "catalog/catalog_role.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/ok_test.h"
#include "base/threads.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct arena arena;
static const struct catalog_author author = {
    .actor = {"tester", 6}, .action = {"dataset.test", 12}, .reason = {"because", 7}};

// Calls fn for each file and, after what is in it, each folder of the test's folder.
static void walk(void (*fn)(const FTSENT *e)) {
    char *roots[] = {folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    assert_non_null(tree);
    for (FTSENT *e = fts_read(tree); e != NULL; e = fts_read(tree)) {
        if (e->fts_info == FTS_F || e->fts_info == FTS_DP) {
            fn(e);
        }
    }
    (void)fts_close(tree);
}

static void remove_one(const FTSENT *e) {
    assert_int_equal(remove(e->fts_accpath), 0);
}

static int begin(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/catalog_test_XXXXXX");
    arena = ARENA(1 << 30);
    err = ERR_NONE;
    return mkdtemp(folder) == NULL;
}

static int end(void **state) {
    (void)state;
    clock_set_wall(NULL);
    arena_release(&arena);
    walk(remove_one);
    return 0;
}

// poll_ms 0: others' records are seen only when asked for.
static struct catalog *open_polling(int64_t poll_ms) {
    struct config config;
    OK(config_load(0, NULL, &arena, &config, &err));
    config.server_data = str_from(folder);
    config.catalog_poll_interval = poll_ms;
    struct catalog *c = NULL;
    OK(catalog_open(&config, &c, &err));
    return c;
}

static struct catalog *open_catalog(void) {
    return open_polling(0);
}

static struct catalog_dataset sample(const char *name) {
    return (struct catalog_dataset){.name = str_from(name),
                                    .id = STR("6f0c1d8e-3a51-4f0e-9a35-0c2b7c9d1e11"),
                                    .bucket = STR("primary"),
                                    .dir = STR("tables/flights-1f2e3d4c"),
                                    .metadata = STR("tables/flights-1f2e3d4c/metadata/0.json"),
                                    .fingerprint = STR("abc"),
                                    .source_sha256 = STR("def"),
                                    .rows = INT64_MAX,
                                    .bytes = 2,
                                    .files = 3,
                                    .snapshot_id = 9007199254740993,
                                    .created_us = 5,
                                    .updated_us = 6};
}

static uint64_t put(struct catalog *c, const char *name) {
    struct catalog_dataset d = sample(name);
    uint64_t version = 0;
    OK(catalog_dataset_put(c, &d, &author, NULL, &version, &err));
    return version;
}

static struct catalog_dataset get(struct catalog *c, const char *name) {
    struct catalog_dataset d = {0};
    OK(catalog_dataset_get(c, str_from(name), &arena, &d, &err));
    return d;
}

static void assert_absent(struct catalog *c, const char *name) {
    struct catalog_dataset d;
    assert_int_equal(catalog_dataset_get(c, str_from(name), &arena, &d, &err), ERR_NOT_FOUND);
}

static void lawful_names_pass(void **state) {
    (void)state;
    static const char *const names[] = {
        "a",     "_",     "flights", "Flights_2024", "a-b-c",  "\303\274ber", "\xe5\x9f\x8e",
        "mains", "__raw", "syste",   "x1",           "select",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        OK(catalog_check_name(str_from(names[i]), &err));
    }
    char longest[128];
    memset(longest, 'x', sizeof(longest));
    OK(catalog_check_name((struct str){longest, sizeof(longest)}, &err));
}

static void unlawful_names_are_refused_with_the_reason(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "empty"},
        {"1a", "the first a letter"},
        {"-a", "the first a letter"},
        {"a b", "letters, digits"},
        {"a.b", "letters, digits"},
        {"a/b", "letters, digits"},
        {"../x", "letters, digits"},
        {"a\"b", "letters, digits"},
        {"a'b", "letters, digits"},
        {"a\nb", "letters, digits"},
        {"a\x7f", "letters, digits"},
        {"\xff\xfe", "not UTF-8"},
        {"\xc3", "not UTF-8"},
        {"\xed\xa0\x80", "not UTF-8"},
        {"main", "reserved"},
        {"MAIN", "reserved"},
        {"system", "reserved"},
        {"System_x", "reserved"},
        {"__raw__flights", "reserved"},
        {"__RAW__x", "reserved"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err = ERR_NONE;
        enum err_code code = catalog_check_name(str_from(cases[i][0]), &err);
        if (code != ERR_INVALID) {
            fail_msg("\"%s\" was taken", cases[i][0]);
        }
        assert_says(cases[i][1]);
    }
    char longer[129];
    memset(longer, 'x', sizeof(longer));
    assert_int_equal(catalog_check_name((struct str){longer, sizeof(longer)}, &err), ERR_INVALID);
    assert_says("at most 128 bytes, this one 129");
    assert_int_equal(catalog_check_name((struct str){"a\0b", 3}, &err), ERR_INVALID);
}

static void a_dataset_comes_back_whole_after_a_restart(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    uint64_t version = put(c, "flights");
    assert_true(version > 0);
    for (int restart = 0; restart < 2; restart++) {
        struct catalog_dataset d = get(c, "flights");
        struct catalog_dataset want = sample("flights");
        assert_true(str_eq(d.name, want.name) && str_eq(d.id, want.id));
        assert_true(str_eq(d.bucket, want.bucket) && str_eq(d.dir, want.dir));
        assert_true(str_eq(d.metadata, want.metadata));
        assert_true(str_eq(d.fingerprint, want.fingerprint));
        assert_true(str_eq(d.source_sha256, want.source_sha256));
        assert_int_equal(d.rows, want.rows);
        assert_int_equal(d.bytes, want.bytes);
        assert_int_equal(d.files, want.files);
        assert_int_equal(d.snapshot_id, want.snapshot_id);
        assert_int_equal(d.created_us, want.created_us);
        assert_int_equal(d.updated_us, want.updated_us);
        assert_int_equal(d.version, version);
        catalog_close(c);
        c = open_catalog();
    }
    catalog_close(c);
}

static void a_change_must_expect_the_version_that_is_there(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    uint64_t first = put(c, "flights");
    struct catalog_dataset d = sample("flights");
    uint64_t version = 0;
    assert_int_equal(catalog_dataset_put(c, &d, &author, NULL, &version, &err), ERR_CONFLICT);
    d.version = first;
    d.rows = 1;
    OK(catalog_dataset_put(c, &d, &author, NULL, &version, &err));
    assert_true(version > first);
    d.rows = 2;
    assert_int_equal(catalog_dataset_put(c, &d, &author, NULL, &version, &err), ERR_CONFLICT);
    assert_int_equal(catalog_dataset_drop(c, &d, &author, &version, &err), ERR_CONFLICT);
    assert_int_equal(catalog_dataset_rename(c, &d, STR("other"), &author, &version, &err),
                     ERR_CONFLICT);
    assert_int_equal(get(c, "flights").rows, 1);
    assert_absent(c, "other");
    catalog_close(c);
}

static void a_dataset_can_be_renamed_and_dropped(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    put(c, "flights");
    put(c, "taken");
    struct catalog_dataset d = get(c, "flights");
    uint64_t version = 0;
    assert_int_equal(catalog_dataset_rename(c, &d, STR("taken"), &author, &version, &err),
                     ERR_EXISTS);
    assert_int_equal(catalog_dataset_rename(c, &d, STR("a b"), &author, &version, &err),
                     ERR_INVALID);
    OK(catalog_dataset_rename(c, &d, STR("trips"), &author, &version, &err));
    assert_absent(c, "flights");
    d = get(c, "trips");
    assert_str(d.id, "6f0c1d8e-3a51-4f0e-9a35-0c2b7c9d1e11");
    assert_int_equal(d.version, version);
    OK(catalog_dataset_rename(c, &d, STR("Trips"), &author, &version, &err));
    d = get(c, "Trips");
    assert_str(d.name, "Trips");
    assert_int_equal(catalog_dataset_count(c), 2);
    OK(catalog_dataset_drop(c, &d, &author, &version, &err));
    assert_int_equal(catalog_dataset_count(c), 1);
    catalog_close(c);
    c = open_catalog();
    assert_absent(c, "Trips");
    assert_absent(c, "trips");
    assert_int_equal(catalog_dataset_count(c), 1);
    catalog_close(c);
}

static void a_rename_to_the_same_name_changes_nothing(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    uint64_t before = put(c, "flights");
    struct catalog_dataset d = get(c, "flights");
    uint64_t version = 0;
    OK(catalog_dataset_rename(c, &d, STR("flights"), &author, &version, &err));
    assert_int_equal(version, before);
    assert_int_equal(get(c, "flights").version, before);
    catalog_close(c);
}

static void names_are_found_without_case_where_that_is_unambiguous(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    put(c, "Flights");
    assert_str(get(c, "flights").name, "Flights");
    assert_str(get(c, "FLIGHTS").name, "Flights");
    put(c, "flights");
    assert_str(get(c, "flights").name, "flights");
    assert_str(get(c, "Flights").name, "Flights");
    assert_absent(c, "FLIGHTS");
    catalog_close(c);
}

static void an_unknown_name_suggests_nothing(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    put(c, "flights");
    assert_absent(c, "flihgts"); // to whom may be said what there is, catalog_dataset_permit knows
    assert_string_equal(err.msg, "no dataset \"flihgts\"");
    assert_absent(c, "");
    catalog_close(c);
}

enum { COUNT = 2000, PAGE = 300, WRITERS = 16 };

struct writer {
    struct catalog *catalog;
    int number;
};

// Every WRITERS-th of the names, in a scattered order; those that wait together share a record.
static void *put_share(void *arg) {
    struct writer *w = arg;
    for (int i = w->number; i < COUNT; i += WRITERS) {
        char name[16];
        (void)snprintf(name, sizeof(name), "d%05d", (i * 1237) % COUNT);
        struct catalog_dataset d = sample(name);
        uint64_t version;
        CHECK(catalog_dataset_put(w->catalog, &d, &author, NULL, &version, &err) == ERR_OK);
    }
    return NULL;
}

static void two_thousand_datasets_are_listed_page_by_page(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){c, i};
        threads[i] = threads_start("put", put_share, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(catalog_dataset_count(c), COUNT);
        struct catalog_datasets page = {.more = true};
        struct str after = STR_NONE;
        size_t seen = 0;
        while (page.more) {
            catalog_dataset_list(c, after, PAGE, &arena, &page);
            assert_in_range(page.count, 1, PAGE);
            for (size_t i = 0; i < page.count; i++, seen++) {
                char name[16];
                (void)snprintf(name, sizeof(name), "d%05zu", seen);
                assert_str(page.items[i].name, name);
            }
            after = page.items[page.count - 1].name;
        }
        assert_int_equal(seen, COUNT);
        catalog_close(c);
        c = open_catalog();
    }
    struct catalog_datasets page;
    catalog_dataset_list(c, STR("d00003x"), 2, &arena, &page); // a name that is not there
    assert_str(page.items[0].name, "d00004");
    assert_true(page.more);
    catalog_dataset_list(c, STR("d01997"), 2, &arena, &page);
    assert_int_equal(page.count, 2);
    assert_false(page.more);
    catalog_dataset_list(c, STR("z"), 2, &arena, &page);
    assert_int_equal(page.count, 0);
    catalog_close(c);
}

static void two_catalogs_on_one_folder_see_each_other(void **state) {
    (void)state;
    struct catalog *one = open_catalog();
    struct catalog *two = open_catalog();
    put(one, "flights");
    assert_absent(two, "flights");
    OK(txlog_refresh(catalog_log(two), 0, 0, &err));
    struct catalog_dataset d = get(two, "flights");
    uint64_t version = 0;
    d.rows = 7;
    OK(catalog_dataset_put(two, &d, &author, NULL, &version, &err));
    // The first one still expects its own version: it must lose, and then know the newer one.
    struct catalog_dataset stale = get(one, "flights");
    assert_int_equal(catalog_dataset_put(one, &stale, &author, NULL, &version, &err), ERR_CONFLICT);
    assert_int_equal(get(one, "flights").rows, 7);
    put(two, "other");
    OK(catalog_dataset_drop(
        two,
        &(struct catalog_dataset){.name = STR("flights"), .version = get(two, "flights").version},
        &author, &version, &err));
    OK(txlog_refresh(catalog_log(one), version, 10000, &err));
    assert_absent(one, "flights");
    assert_int_equal(catalog_dataset_count(one), 1);
    catalog_close(one);
    catalog_close(two);
}

static void a_polling_catalog_sees_others_by_itself(void **state) {
    (void)state;
    struct catalog *one = open_catalog();
    struct catalog *two = open_polling(10);
    put(one, "flights");
    for (int i = 0; i < 2000 && catalog_dataset_count(two) == 0; i++) {
        (void)usleep(10000);
    }
    assert_str(get(two, "flights").name, "flights");
    catalog_close(one);
    catalog_close(two);
}

static struct catalog_token_made make_token(struct catalog *c, const char *principal,
                                            int64_t expires_us) {
    struct catalog_role role;
    uint64_t version;
    if (catalog_role_get(c, STR("clerk"), &arena, &role, &err) != ERR_OK) {
        role = (struct catalog_role){.name = STR("clerk")};
        OK(catalog_role_put(c, &role, &author, &version, &err));
    }
    struct str roles[] = {STR("admin"), STR("clerk")};
    struct catalog_token t = {.principal = str_from(principal),
                              .roles = roles,
                              .role_count = ARRAY_LEN(roles),
                              .expires_us = expires_us};
    struct catalog_token_made made = {0};
    OK(catalog_token_create(c, &t, &author, &arena, &made, &err));
    return made;
}

static enum err_code check(struct catalog *c, struct str text, struct catalog_token *ret) {
    err = ERR_NONE;
    return catalog_token_check(c, text, &arena, ret, &err);
}

static void a_token_has_its_form_and_opens_after_a_restart(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    struct catalog_token_made made = make_token(c, "ada", 0);
    assert_int_equal(made.text.len, 5 + 43 + 1 + 6);
    assert_true(str_starts(made.text, STR("tarn_")));
    for (size_t i = 5; i < made.text.len; i++) {
        char ch = made.text.ptr[i];
        bool base62 =
            (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        assert_true(i == 48 ? ch == '_' : base62);
    }
    for (int restart = 0; restart < 2; restart++) {
        struct catalog_token t = {0};
        OK(check(c, made.text, &t));
        assert_str(t.principal, "ada");
        assert_true(str_eq(t.id, made.id));
        assert_int_equal(t.role_count, 2);
        assert_str(t.roles[0], "admin");
        assert_str(t.roles[1], "clerk");
        catalog_close(c);
        c = open_catalog();
    }
    catalog_close(c);
}

static void a_text_that_is_no_token_says_no_more_than_that(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    struct catalog_token t;
    struct catalog_token_made made = make_token(c, "ada", 0);
    // Each character counts, those of the checksum too.
    for (size_t i = 0; i < made.text.len; i++) {
        char *wrong = arena_cstr(&arena, made.text);
        wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
        assert_int_equal(check(c, str_from(wrong), &t), ERR_UNAUTHENTICATED);
        assert_string_equal(err.msg, "the token is not valid");
    }
    for (size_t len = 0; len < made.text.len; len++) {
        assert_int_equal(check(c, str_slice(made.text, 0, len), &t), ERR_UNAUTHENTICATED);
    }
    struct str longer = arena_printf(&arena, STR_FMT "0", STR_ARG(made.text));
    assert_int_equal(check(c, longer, &t), ERR_UNAUTHENTICATED);
    char huge[4096];
    memset(huge, 'x', sizeof(huge));
    assert_int_equal(check(c, (struct str){huge, sizeof(huge)}, &t), ERR_UNAUTHENTICATED);
    OK(check(c, made.text, &t));
    catalog_close(c);
    // Well-formed, but of another catalog.
    char kept[64] = {0};
    memcpy(kept, made.text.ptr, made.text.len);
    (void)end(NULL);
    (void)begin(NULL);
    c = open_catalog();
    assert_int_equal(check(c, str_from(kept), &t), ERR_UNAUTHENTICATED);
    catalog_close(c);
}

static int64_t fixed_time;

static int64_t fixed_clock(void) {
    return fixed_time;
}

static void a_token_expires_and_can_be_revoked(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    struct catalog_token t;
    int64_t expires = clock_wall_us() + 1000000;
    struct catalog_token_made short_lived = make_token(c, "ada", expires);
    struct catalog_token_made revoked = make_token(c, "bob", 0);
    fixed_time = expires - 1;
    clock_set_wall(fixed_clock);
    OK(check(c, short_lived.text, &t));
    fixed_time = expires;
    assert_int_equal(check(c, short_lived.text, &t), ERR_UNAUTHENTICATED);
    clock_set_wall(NULL);
    OK(check(c, revoked.text, &t));
    OK(catalog_token_revoke(c, revoked.id, &author, &err));
    assert_int_equal(check(c, revoked.text, &t), ERR_UNAUTHENTICATED);
    assert_int_equal(catalog_token_revoke(c, revoked.id, &author, &err), ERR_NOT_FOUND);
    assert_int_equal(catalog_token_revoke(c, STR("nonsense"), &author, &err), ERR_NOT_FOUND);
    struct catalog_token *list;
    size_t count = 0;
    catalog_token_list(c, &arena, &list, &count);
    assert_int_equal(count, 1);
    assert_str(list[0].principal, "ada");
    catalog_close(c);
    c = open_catalog();
    assert_int_equal(check(c, revoked.text, &t), ERR_UNAUTHENTICATED);
    catalog_close(c);
}

static void a_token_that_another_server_revoked_opens_nothing(void **state) {
    (void)state;
    struct catalog *one = open_catalog();
    struct catalog *two = open_catalog();
    struct catalog_token t;
    struct catalog_token_made made = make_token(one, "ada", 0);
    assert_int_equal(check(two, made.text, &t), ERR_UNAUTHENTICATED);
    OK(txlog_refresh(catalog_log(two), 0, 0, &err));
    OK(check(two, made.text, &t));
    OK(catalog_token_revoke(two, made.id, &author, &err));
    OK(txlog_refresh(catalog_log(one), 0, 0, &err));
    assert_int_equal(check(one, made.text, &t), ERR_UNAUTHENTICATED);
    catalog_close(one);
    catalog_close(two);
}

static void principals_of_tokens_are_bounded(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    char longer[129];
    memset(longer, 'x', sizeof(longer));
    struct str bad[] = {STR_NONE, {longer, sizeof(longer)}, STR("\xff")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct catalog_token t = {.principal = bad[i]};
        struct catalog_token_made made;
        assert_int_equal(catalog_token_create(c, &t, &author, &arena, &made, &err), ERR_INVALID);
    }
    catalog_close(c);
}

static struct str needle; // that no file may hold
static bool needle_found, hash_found;
static struct str hash_text;

static void look_into(const FTSENT *e) {
    if (e->fts_info != FTS_F) {
        return;
    }
    FILE *f = fopen(e->fts_accpath, "re");
    assert_non_null(f);
    size_t bytes = (size_t)e->fts_statp->st_size;
    DEFER(freep) char *text = xmalloc(bytes + 1);
    struct str s = {text, fread(text, 1, bytes, f)};
    (void)fclose(f);
    needle_found = needle_found || str_find(s, needle) >= 0;
    hash_found = hash_found || str_find(s, hash_text) >= 0;
}

static void only_the_hash_of_a_token_is_stored(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    struct catalog_token_made made = make_token(c, "ada", 0);
    OK(txlog_checkpoint(catalog_log(c), &err));
    catalog_close(c);
    needle = str_slice(made.text, 5, 48);
    hash_text = hex_sha256(sha256(made.text), &arena);
    needle_found = hash_found = false;
    walk(look_into);
    assert_true(hash_found);
    assert_false(needle_found);
}

static void an_unknown_bucket_lists_those_that_exist(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    const struct catalog_bucket *b = NULL;
    OK(catalog_bucket_find(c, STR_NONE, &b, &err));
    assert_str(b->name, "primary");
    struct str uri = arena_printf(&arena, "file://%s/primary", folder);
    assert_true(str_eq(b->uri, uri));
    OK(catalog_bucket_find(c, STR("primary"), &b, &err));
    assert_int_equal(catalog_bucket_find(c, STR("s3"), &b, &err), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no bucket \"s3\"; the buckets are: primary");
    catalog_close(c);
}

static void *put_and_list(void *arg) {
    struct writer *w = arg;
    for (size_t i = 0; i < 25; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "t%d_%zu", w->number, i);
        struct catalog_dataset d = sample(name);
        uint64_t version;
        CHECK(catalog_dataset_put(w->catalog, &d, &author, NULL, &version, &err) == ERR_OK);
        DEFER(arena_release) struct arena a = ARENA(1 << 24);
        struct catalog_datasets page;
        catalog_dataset_list(w->catalog, STR_NONE, 1000, &a, &page);
        CHECK(page.count >= i + 1);
    }
    return NULL;
}

static void threads_may_put_and_list_at_once(void **state) {
    (void)state;
    struct catalog *c = open_catalog();
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){c, i};
        threads[i] = threads_start("put", put_and_list, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(catalog_dataset_count(c), WRITERS * 25);
    catalog_close(c);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(lawful_names_pass),
        TEST(unlawful_names_are_refused_with_the_reason),
        TEST(a_dataset_comes_back_whole_after_a_restart),
        TEST(a_change_must_expect_the_version_that_is_there),
        TEST(a_dataset_can_be_renamed_and_dropped),
        TEST(a_rename_to_the_same_name_changes_nothing),
        TEST(names_are_found_without_case_where_that_is_unambiguous),
        TEST(an_unknown_name_suggests_nothing),
        TEST(two_thousand_datasets_are_listed_page_by_page),
        TEST(two_catalogs_on_one_folder_see_each_other),
        TEST(a_polling_catalog_sees_others_by_itself),
        TEST(a_token_has_its_form_and_opens_after_a_restart),
        TEST(a_text_that_is_no_token_says_no_more_than_that),
        TEST(a_token_expires_and_can_be_revoked),
        TEST(a_token_that_another_server_revoked_opens_nothing),
        TEST(principals_of_tokens_are_bounded),
        TEST(only_the_hash_of_a_token_is_stored),
        TEST(an_unknown_bucket_lists_those_that_exist),
        TEST(threads_may_put_and_list_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
