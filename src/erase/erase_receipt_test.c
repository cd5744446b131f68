// Tests of receipts: what was signed verifies, and whatever was altered is found.

#include "erase/erase_receipt.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/ok_test.h"

#define ERASURE STR("01HZX3ERASURE")
#define EDITS 1000
#define TEXT_OF_64 "0000000000000000000000000000000000000000000000000000000000000000"

static struct store *store;
static struct catalog *catalog;
static struct arena arena;

static void open_catalog(struct store *s, struct catalog **ret) {
    const struct config config = {.catalog_checkpoint_every = 100};
    OK(catalog_open_on(&config, s, STR("memory://test"), ret, &err));
}

static int set_up(void **state) {
    (void)state;
    arena = ARENA(SIZE_MAX);
    err = ERR_NONE;
    store = store_memory_new();
    open_catalog(store, &catalog);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    catalog_close(catalog);
    arena_release(&arena);
    return 0;
}

static void commit(struct catalog *c, const char *action, json_t *changes) {
    DEFER(json_decrefp) json_t *owned = changes;
    struct txn_outcome outcome;
    const struct txn t = {.actor = STR("tester"), .action = str_from(action), .changes = owned};
    OK(txlog_commit(catalog_log(c), &t, &arena, &outcome, &err));
}

// A receipt as an erasure makes it, upon the newest record.
static json_t *receipt_of(struct catalog *c, struct store *s) {
    struct str sha256 = STR_NONE;
    const uint64_t seq = txlog_seq(catalog_log(c));
    OK(txlog_record_sha256(s, seq, &arena, &sha256, &err));
    json_t *j =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "tarn_receipt", 1, "id", ERASURE.ptr,
                  "server", "lake-1", "requested_by", "Ada <dpo@example.org>", "reason",
                  "Art. 17 & \"request 7\"", "requested_at", "2026-11-28T17:05:00.000000Z",
                  "finished_at", "2026-11-28T17:06:01.500000Z");
    json_object_set_new(j, "subjects",
                        json_pack("{s:i, s:[s,s]}", "count", 2, "handles",
                                  "0123456789abcdef0123456789abcdef",
                                  "fedcba9876543210fedcba9876543210"));
    json_object_set_new(j, "datasets",
                        json_pack("[{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i}]", "dataset",
                                  "candidates", "id", "d1", "column", "candidate_id",
                                  "rows_removed", 1234567, "files_rewritten", 1, "files_removed", 2,
                                  "snapshots", 3, "snapshots_rewritten", 3, "tombstones", 2));
    json_object_set_new(j, "removed",
                        json_pack("[{s:s, s:i, s:s}, {s:s, s:i, s:s}]", "object",
                                  "tables/c-1/data/a.parquet", "bytes", 100, "sha256", TEXT_OF_64,
                                  "object", "tables/c-1/metadata/b.avro", "bytes", 200, "sha256",
                                  TEXT_OF_64));
    json_object_set_new(j, "local_files_removed", json_integer(1));
    json_object_set_new(j, "suppression", json_pack("{s:b, s:i}", "kept", 1, "keys", 2));
    json_object_set_new(
        j, "scan",
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:[], s:b}", "objects",
                  12, "bytes", 123456, "rows", 77, "parquet", 3, "avro", 4, "json", 4, "other", 1,
                  "local_files", 2, "values", 3, "short_values", 1, "found", 0, "findings", "clean",
                  1));
    json_object_set_new(j, "log",
                        json_pack("{s:I, s:s}", "seq", (json_int_t)seq, "sha256", sha256.ptr));
    return j;
}

// Signs it, keeps it, and records that.
static struct str finish(struct catalog *c, struct store *s, json_t *j) {
    DEFER(json_decrefp) json_t *owned = j;
    struct erase_receipt_key key;
    OK(erase_receipt_key_get(c, &arena, &key, &err));
    const struct str text = erase_receipt_sign(owned, &key, &arena);
    const struct str object = erase_receipt_object(ERASURE, &arena);
    uint64_t version;
    DEFER(json_decrefp)
    json_t *there = txlog_get(catalog_log(c), STR("erasure:01HZX3ERASURE"), &version);
    assert_non_null(there);
    OK(store_put_new(s, object, text, &err));
    commit(c, "erasure.done",
           json_pack("[{s:s, s:I, s:{s:s, s:{s:s, s:s}}}]", "entity", "erasure:01HZX3ERASURE",
                     "expect", (json_int_t)version, "value", "state", "done", "receipt", "object",
                     object.ptr, "sha256", hex_sha256(sha256(text), &arena).ptr));
    return text;
}

// An erasure from its first record to its last, and some others' records behind.
static struct str erased(struct catalog *c, struct store *s) {
    commit(c, "other", NULL);
    commit(c, "erasure.begin",
           json_pack("[{s:s, s:i, s:{s:s}}]", "entity", "erasure:01HZX3ERASURE", "expect", 0,
                     "value", "state", "running"));
    struct erase_receipt_key key;
    OK(erase_receipt_key_get(c, &arena, &key, &err));
    const struct str text = finish(c, s, receipt_of(c, s));
    commit(c, "other", NULL);
    commit(c, "other", NULL);
    return text;
}

static struct erase_verdict verify_in(struct catalog *c, struct str text) {
    struct erase_verdict v = {0};
    err = ERR_NONE;
    OK(erase_receipt_verify(c, text, &arena, &v, &err));
    return v;
}

static struct erase_verdict verify(struct str text) {
    return verify_in(catalog, text);
}

static bool check_ok(const struct erase_verdict *v, const char *name) {
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->checks[i].name, name) == 0) {
            assert_true(v->checks[i].says.len > 0);
            return v->checks[i].ok;
        }
    }
    fail_msg("no check \"%s\"", name);
    return false;
}

// Names of the checks that failed, in their order.
static const char *failed(const struct erase_verdict *v) {
    struct str all = STR("");
    for (size_t i = 0; i < v->count; i++) {
        if (!v->checks[i].ok) {
            all = arena_printf(&arena, STR_FMT "%s%s", STR_ARG(all), all.len > 0 ? " " : "",
                               v->checks[i].name);
        }
    }
    assert_int_equal(v->ok, all.len == 0);
    return arena_cstr(&arena, all);
}

static void what_was_signed_verifies(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    struct erase_verdict v = verify(text);
    assert_string_equal(failed(&v), "");
    assert_int_equal(v.count, 7);
    v = verify(arena_printf(&arena, STR_FMT "\r\n", STR_ARG(text)));
    assert_string_equal(failed(&v), "");
}

static void it_verifies_without_a_server_and_nothing_is_written(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    struct catalog *look = NULL;
    OK(catalog_open_to_look(store, STR("memory://test"), &look, &err));
    const struct erase_verdict v = verify_in(look, text);
    catalog_close(look);
    assert_string_equal(failed(&v), "");
}

static size_t objects_in(struct store *s) {
    struct store_list list;
    OK(store_list(s, &(struct store_page){STR(""), STR_NONE, 1000}, &arena, &list, &err));
    return list.count;
}

static void a_receipt_of_another_catalog_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    struct store *other_store = store_memory_new();
    struct catalog *other = NULL;
    open_catalog(other_store, &other);
    const size_t before = objects_in(other_store);
    struct erase_verdict v = verify_in(other, text);
    assert_string_equal(failed(&v), "key log record stored");
    assert_int_equal(objects_in(other_store), before);
    (void)erased(other, other_store);
    v = verify_in(other, text);
    assert_string_equal(failed(&v), "key log record stored");
    catalog_close(other);
}

static void a_foreign_key_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    DEFER(json_decrefp) json_t *j = NULL;
    struct erase_receipt_key key;
    OK(json_parse(text, &j, &err));
    OK(erase_receipt_key_get(catalog, &arena, &key, &err));
    random_bytes(key.seed, sizeof(key.seed));
    sign_public_key(key.seed, key.public_key);
    struct erase_verdict v = verify(erase_receipt_sign(j, &key, &arena));
    assert_string_equal(failed(&v), "key record stored");
}

static void a_missing_record_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    const uint64_t head = txlog_seq(catalog_log(catalog));
    for (uint64_t seq = head; seq + 4 > head; seq--) {
        const struct str name =
            arena_printf(&arena, "_catalog/log/%020llu.json", (unsigned long long)seq);
        struct str bytes;
        OK(store_get(store, name, &arena, &bytes, &err));
        OK(store_delete(store, name, &err));
        const struct erase_verdict v = verify(text);
        assert_false(check_ok(&v, "log"));
        assert_int_equal(check_ok(&v, "record"), seq > head - 2);
        assert_false(v.ok);
        OK(store_put_new(store, name, bytes, &err));
    }
    const struct erase_verdict v = verify(text);
    assert_true(v.ok);
}

static void a_changed_record_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    const uint64_t head = txlog_seq(catalog_log(catalog));
    for (uint64_t seq = head - 3; seq <= head; seq++) {
        const struct str name =
            arena_printf(&arena, "_catalog/log/%020llu.json", (unsigned long long)seq);
        struct str bytes;
        OK(store_get(store, name, &arena, &bytes, &err));
        char *changed = arena_cstr(&arena, bytes);
        char *actor = strstr(changed, "tester");
        if (actor == NULL) {
            actor = strstr(changed, "\"actor\":\"") + strlen("\"actor\":\"");
        }
        *actor = 'T';
        OK(store_put(store, name, str_from(changed), &err));
        const struct erase_verdict v = verify(text);
        assert_false(check_ok(&v, "log"));
        OK(store_put(store, name, bytes, &err));
    }
}

static void removed_objects_that_are_there_again_are_named(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    OK(store_put_new(store, STR("tables/c-1/metadata/b.avro"), STR("x"), &err));
    const struct erase_verdict v = verify(text);
    assert_string_equal(failed(&v), "removed");
    for (size_t i = 0; i < v.count; i++) {
        assert_int_equal(str_find(v.checks[i].says, STR("metadata/b.avro")) >= 0, !v.checks[i].ok);
    }
}

static void a_kept_copy_that_is_gone_or_another_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    const struct str object = erase_receipt_object(ERASURE, &arena);
    OK(store_put(store, object, STR("{}"), &err));
    struct erase_verdict v = verify(text);
    assert_string_equal(failed(&v), "stored");
    OK(store_delete(store, object, &err));
    v = verify(text);
    assert_string_equal(failed(&v), "stored");
}

static void a_search_that_found_something_is_no_proof(void **state) {
    (void)state;
    commit(catalog, "erasure.begin",
           json_pack("[{s:s, s:i, s:{s:s}}]", "entity", "erasure:01HZX3ERASURE", "expect", 0,
                     "value", "state", "running"));
    json_t *j = receipt_of(catalog, store);
    json_t *scan = json_object_get(j, "scan");
    json_object_set_new(scan, "found", json_integer(4));
    json_object_set_new(scan, "clean", json_false());
    json_object_set_new(scan, "findings",
                        json_pack("[{s:s, s:s, s:i}]", "object", "<b>.parquet", "where",
                                  "column email", "count", 4));
    const struct str text = finish(catalog, store, j);
    const struct erase_verdict v = verify(text);
    assert_string_equal(failed(&v), "search");
    struct str page;
    OK(erase_receipt_page(text, &arena, &page, &err));
    assert_true(str_find(page, STR("The erasure is not complete")) > 0);
    assert_true(str_find(page, STR("&lt;b&gt;.parquet")) > 0);
}

static void the_same_receipt_laid_out_anew_is_told_apart(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    DEFER(json_decrefp) json_t *j = NULL;
    OK(json_parse(text, &j, &err));
    DEFER(freep) char *pretty = json_dumps(j, JSON_INDENT(2));
    const struct erase_verdict v = verify(str_from(pretty));
    assert_string_equal(failed(&v), "record stored");
}

// Edits

static size_t below(size_t n) {
    return (size_t)(random_u64() % n);
}

static struct str edit_bytes(struct str text) {
    const size_t at = below(text.len);
    const struct str front = str_slice(text, 0, at);
    const struct str back = str_slice(text, at + 1, text.len);
    const char c = (char)(1 + below(255));
    switch (below(4)) {
    case 0:
        return arena_printf(&arena, STR_FMT "%c" STR_FMT, STR_ARG(front), c, STR_ARG(back));
    case 1:
        return arena_printf(&arena, STR_FMT STR_FMT, STR_ARG(front), STR_ARG(back));
    case 2:
        return arena_printf(&arena, STR_FMT "%c%c" STR_FMT, STR_ARG(front), c, text.ptr[at],
                            STR_ARG(back));
    default:
        return str_slice(text, 0, at);
    }
}

static json_t *other_value(const json_t *j) {
    if (json_is_integer(j)) {
        return json_integer(json_integer_value(j) + 1 - 2 * (json_int_t)below(2));
    }
    if (json_is_boolean(j)) {
        return json_boolean(!json_is_true(j));
    }
    if (json_is_string(j) && json_string_length(j) > 0) {
        json_t *ret = json_string(json_string_value(j));
        char *text = arena_cstr(&arena, str_from(json_string_value(ret)));
        const size_t at = below(strlen(text));
        text[at] = text[at] == '0' ? '1' : '0';
        json_string_set(ret, text);
        return ret;
    }
    return json_null();
}

static void edit_array(json_t *array) {
    const size_t at = below(json_array_size(array));
    switch (below(3)) {
    case 0:
        json_array_remove(array, at);
        break;
    case 1:
        json_array_append(array, json_array_get(array, at));
        break;
    default:
        json_array_set_new(array, at, other_value(json_array_get(array, at)));
    }
}

static void edit_member(json_t *obj) {
    size_t left = below(json_object_size(obj));
    void *at = json_object_iter(obj);
    for (; left > 0; left--) {
        at = json_object_iter_next(obj, at);
    }
    json_t *value = json_object_iter_value(at);
    if (json_is_object(value) && below(4) > 0) {
        edit_member(value);
    } else if (json_array_size(value) > 0 && below(4) > 0) {
        json_t *item = json_array_get(value, below(json_array_size(value)));
        if (json_is_object(item) && below(2) > 0) {
            edit_member(item);
        } else {
            edit_array(value);
        }
    } else if (below(5) == 0) {
        json_object_set_new(obj, "more", json_true());
    } else if (below(4) == 0) {
        json_object_del(obj, json_object_iter_key(at));
    } else {
        json_object_iter_set_new(obj, at, other_value(value));
    }
}

static struct str edit_tree(struct str text) {
    DEFER(json_decrefp) json_t *j = NULL;
    OK(json_parse(text, &j, &err));
    edit_member(j);
    return json_text_sorted(j, &arena);
}

static void every_edit_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    int edits = 0;
    while (edits < EDITS) {
        const struct str edited = below(2) > 0 ? edit_bytes(text) : edit_tree(text);
        if (str_eq(str_trim(edited), text)) {
            continue; // it says the same, or has white space around it
        }
        struct erase_verdict v = {0};
        err = ERR_NONE;
        const enum err_code code = erase_receipt_verify(catalog, edited, &arena, &v, &err);
        if (code == ERR_OK && v.ok) {
            fail_msg("not found: " STR_FMT, STR_ARG(edited));
        }
        assert_true(code == ERR_OK || code == ERR_INVALID || code == ERR_TOO_LARGE);
        edits++;
    }
}

// Whoever has the bucket's key too may sign what he likes; the log does not know it.
static void every_edit_that_is_signed_again_is_found(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    struct erase_receipt_key key;
    OK(erase_receipt_key_get(catalog, &arena, &key, &err));
    for (int i = 0; i < EDITS / 10; i++) {
        DEFER(json_decrefp) json_t *j = NULL;
        OK(json_parse(text, &j, &err));
        json_object_set_new(j, "local_files_removed", json_integer(2 + i));
        const struct erase_verdict v = verify(erase_receipt_sign(j, &key, &arena));
        assert_string_equal(failed(&v), "record stored");
    }
}

static void what_is_no_receipt_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "[]",
                                        "{}",
                                        "{\"tarn_receipt\":2}",
                                        "null",
                                        "1",
                                        "{\"tarn_receipt\":1,\"id\":\"../x\"}",
                                        "{\"tarn_receipt\":1,\"id\":\"a\",\"log\":{}}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct erase_verdict v;
        struct str page;
        err = ERR_NONE;
        assert_int_equal(erase_receipt_verify(catalog, str_from(texts[i]), &arena, &v, &err),
                         ERR_INVALID);
        assert_non_null(strstr(err.msg, "no receipt"));
        if (strstr(texts[i], "\"tarn_receipt\":1") == NULL) {
            assert_int_equal(erase_receipt_page(str_from(texts[i]), &arena, &page, &err),
                             ERR_CORRUPT);
        }
    }
}

static void the_page_says_it_all_and_escapes_what_it_says(void **state) {
    (void)state;
    const struct str text = erased(catalog, store);
    static const char *const says[] = {
        "<!doctype html>",
        "Ada &lt;dpo@example.org&gt;</strong> asked for it on ",
        "28 November 2026 at 17:05:00 UTC",
        "Art. 17 &amp; &quot;request 7&quot;",
        "All data of 2 subjects was erased",
        "1&#8239;234&#8239;567 rows were removed from 1 dataset:",
        "<td>candidates</td><td>candidate_id</td>",
        "A search through everything that remained found nothing.",
        "tables/c-1/data/a.parquet",
        "<details><summary>Removed objects (2)",
        "121 KiB",
        "tarn erase --verify FILE",
    };
    struct str page;
    OK(erase_receipt_page(text, &arena, &page, &err));
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        if (str_find(page, str_from(says[i])) < 0) {
            fail_msg("the page does not say: %s", says[i]);
        }
    }
    assert_int_equal(str_find(page, STR("<script")), -1);
    assert_int_equal(str_find(page, STR("http:")), -1);
    assert_int_equal(str_find(page, STR("https:")), -1);
    assert_int_equal(str_find(page, STR("style=")), -1);
}

// Every text of it is somebody's: none opens a tag or ends an attribute.
static void hostile_texts_stay_texts(void **state) {
    (void)state;
    DEFER(json_decrefp) json_t *j = json_pack("{s:i}", "tarn_receipt", 1);
    const char *hostile = "\"'><script>alert(1)</script>";
    static const char *const top[] = {"id",           "server",      "requested_by", "reason",
                                      "requested_at", "finished_at", "signature"};
    for (size_t i = 0; i < ARRAY_LEN(top); i++) {
        json_object_set_new(j, top[i], json_string(hostile));
    }
    json_object_set_new(j, "subjects", json_pack("{s:[s,i]}", "handles", hostile, 1));
    json_object_set_new(
        j, "datasets",
        json_pack("[{s:s, s:s}, s]", "dataset", hostile, "column", hostile, hostile));
    json_object_set_new(j, "removed",
                        json_pack("[{s:s, s:s}]", "object", hostile, "sha256", hostile));
    json_object_set_new(
        j, "scan", json_pack("{s:[{s:s, s:s}]}", "findings", "object", hostile, "where", hostile));
    json_object_set_new(j, "key", json_pack("{s:s, s:s}", "id", hostile, "public", hostile));
    json_object_set_new(j, "log", json_pack("{s:s}", "sha256", hostile));
    struct str page;
    OK(erase_receipt_page(json_text(j, &arena), &arena, &page, &err));
    assert_int_equal(str_find(page, STR("<script")), -1);
    assert_int_equal(str_find(page, STR("\"'>")), -1);
    size_t count = 0;
    struct str rest = page;
    ptrdiff_t at;
    while ((at = str_find(rest, STR("&quot;&#39;&gt;&lt;script&gt;"))) >= 0) {
        rest = str_slice(rest, (size_t)at + 1, rest.len);
        count++;
    }
    assert_int_equal(count, 18);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_signed_verifies),
        TEST(it_verifies_without_a_server_and_nothing_is_written),
        TEST(a_receipt_of_another_catalog_is_found),
        TEST(a_foreign_key_is_found),
        TEST(a_missing_record_is_found),
        TEST(a_changed_record_is_found),
        TEST(removed_objects_that_are_there_again_are_named),
        TEST(a_kept_copy_that_is_gone_or_another_is_found),
        TEST(a_search_that_found_something_is_no_proof),
        TEST(the_same_receipt_laid_out_anew_is_told_apart),
        TEST(every_edit_is_found),
        TEST(every_edit_that_is_signed_again_is_found),
        TEST(what_is_no_receipt_is_refused),
        TEST(the_page_says_it_all_and_escapes_what_it_says),
        TEST(hostile_texts_stay_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
