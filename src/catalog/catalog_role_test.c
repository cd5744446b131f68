// Tests of roles: what is a grant, what roles come to, and what somebody may see and be told.

#include "base/clock.h"
#include "base/ok_test.h"
#include "catalog/catalog_int.h"
#include "catalog/catalog_role.h"

static struct store *store;
static struct catalog *catalog;
static struct arena arena;
static const struct catalog_author author = {.actor = {"tester", 6}, .action = {"test", 4}};

static void open_again(void) {
    const struct config config = {.catalog_checkpoint_every = 100};
    OK(catalog_open_on(&config, store, STR("memory://test"), &catalog, &err));
    catalog->borrowed = true; // the store lives on
}

static int set_up(void **state) {
    (void)state;
    arena = ARENA(1 << 28);
    err = ERR_NONE;
    store = store_memory_new();
    open_again();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    clock_set_wall(NULL);
    catalog_close(catalog);
    store_close(store);
    arena_release(&arena);
    return 0;
}

static json_t *parse(const char *text) {
    json_t *j = NULL;
    OK(json_parse(str_from(text), &j, &err));
    return j;
}

// Makes or changes a role from JSON written with ' for ".
static enum err_code put_role(const char *name, const char *text) {
    char *json = arena_cstr(&arena, str_from(text));
    for (char *p = json; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    DEFER(json_decrefp) json_t *j = parse(json);
    struct catalog_role role = {0};
    uint64_t version;
    err = ERR_NONE;
    (void)catalog_role_get(catalog, str_from(name), &arena, &role, &err);
    err = ERR_NONE;
    role.name = str_from(name);
    TRY(catalog_role_read(j, &arena, &role, &err));
    return catalog_role_put(catalog, &role, &author, &version, &err);
}

static void put_dataset(const char *name, const char *bucket) {
    const struct catalog_dataset d = {.name = str_from(name),
                                      .id = STR("id"),
                                      .bucket = str_from(bucket),
                                      .dir = STR("tables/x"),
                                      .metadata = STR("tables/x/metadata/0.json")};
    uint64_t version;
    OK(catalog_dataset_put(catalog, &d, &author, NULL, &version, &err));
}

// Of roles with commas between.
static const struct catalog_rights *rights_of(const char *roles) {
    struct str names[CATALOG_ROLES_MAX];
    size_t count = 0;
    struct str rest = str_from(roles);
    while (str_cut(&rest, ',', &names[count])) {
        count++;
    }
    const struct catalog_rights *r = NULL;
    catalog_rights_resolve(catalog, names, count, &arena, &r);
    return r;
}

static unsigned on(const char *roles, const char *dataset, const char *bucket) {
    return catalog_rights_on(rights_of(roles), str_from(dataset), str_from(bucket));
}

static enum err_code look(const char *roles, const char *name, unsigned need) {
    const struct catalog_wish wish = {rights_of(roles), need};
    struct catalog_dataset d;
    err = ERR_NONE;
    return catalog_dataset_permit(catalog, str_from(name), &wish, &arena, &d, &err);
}

// ---- What is a role

static void a_role_comes_back_as_it_was_put_and_after_a_restart(void **state) {
    (void)state;
    const char *text =
        "{\"grants\":[{\"object\":\"dataset:films\",\"rights\":[\"read_raw\",\"write\"]},"
        "{\"object\":\"dataset:*\",\"rights\":[\"tombstone\"]},"
        "{\"object\":\"bucket:primary\",\"rights\":[\"erase\"]},"
        "{\"object\":\"view:safe\",\"rights\":[\"read\"]},"
        "{\"object\":\"view:*\",\"rights\":[\"read\"]},"
        "{\"object\":\"server\",\"rights\":[\"impersonate\"]}],"
        "\"limits\":{\"rows_max\":1,\"bytes_max\":2,\"time_ms\":3,\"queries_max\":4}}";
    OK(put_role("clerk", text));
    for (int i = 0; i < 2; i++) {
        struct catalog_role role;
        OK(catalog_role_get(catalog, STR("clerk"), &arena, &role, &err));
        DEFER(json_decrefp) json_t *j = catalog_role_json(&role);
        assert_string_equal(json_text(j, &arena).ptr, text);
        assert_true(role.version > 0 && role.created_us > 0 && role.updated_us > 0);
        catalog_close(catalog);
        open_again();
    }
}

static void what_is_unknown_is_refused_when_a_role_is_put(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"{'grants':[{'object':'table:x','rights':['read_raw']}]}", "an object is"},
        {"{'grants':[{'object':'films','rights':['read_raw']}]}", "an object is"},
        {"{'grants':[{'object':'','rights':['read_raw']}]}", "an object is"},
        {"{'grants':[{'object':'Dataset:x','rights':['read_raw']}]}", "an object is"},
        {"{'grants':[{'object':'server:x','rights':['admin']}]}", "an object is"},
        {"{'grants':[{'object':'servers','rights':['admin']}]}", "an object is"},
        {"{'grants':[{'object':'bucket:*','rights':['write']}]}", "no *"},
        {"{'grants':[{'object':'bucket:','rights':['write']}]}", "1 to 128"},
        {"{'grants':[{'object':'dataset:','rights':['write']}]}", "empty"},
        {"{'grants':[{'object':'dataset:a*','rights':['write']}]}", "cannot be"},
        {"{'grants':[{'object':'dataset:a b','rights':['write']}]}", "cannot be"},
        {"{'grants':[{'object':'dataset:__raw__a','rights':['write']}]}", "reserved"},
        {"{'grants':[{'object':'dataset:a','rights':['read']}]}", "read_raw, write"},
        {"{'grants':[{'object':'dataset:a','rights':['admin']}]}", "read_raw, write"},
        {"{'grants':[{'object':'dataset:a','rights':['READ_RAW']}]}", "read_raw, write"},
        {"{'grants':[{'object':'dataset:a','rights':['read_raw','x']}]}", "read_raw, write"},
        {"{'grants':[{'object':'dataset:a','rights':[1]}]}", "read_raw, write"},
        {"{'grants':[{'object':'dataset:a','rights':[]}]}", "at least one"},
        {"{'grants':[{'object':'view:a','rights':['read_raw']}]}", "are read"},
        {"{'grants':[{'object':'server','rights':['write']}]}", "admin, impersonate"},
        {"{'grants':[{'object':'dataset:a'}]}", "rights"},
        {"{'grants':[{'object':'dataset:a','rights':['write'],'deny':true}]}", "deny"},
        {"{'grants':['dataset:a']}", "a grant is"},
        {"{'grants':{}}", "grants"},
        {"{'limits':{'rows':1}}", "rows"},
        {"{'limits':{'memory':1}}", "memory"},
        {"{'limits':{'rows_max':0}}", "rows_max"},
        {"{'limits':{'rows_max':-1}}", "rows_max"},
        {"{'limits':{'time_ms':1.5}}", "time_ms"},
        {"{'limits':{'bytes_max':'1'}}", "bytes_max"},
        {"{'limits':[]}", "limits"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (put_role("clerk", bad[i][0]) != ERR_INVALID) {
            fail_msg("%s was taken", bad[i][0]);
        }
        if (strstr(err.msg, bad[i][1]) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i][0], err.msg, bad[i][1]);
        }
    }
    struct catalog_role role;
    assert_int_equal(catalog_role_get(catalog, STR("clerk"), &arena, &role, &err), ERR_NOT_FOUND);
}

static void a_role_has_a_plain_name(void **state) {
    (void)state;
    char longest[66] = {0};
    memset(longest, 'x', sizeof(longest) - 1);
    const char *const bad[] = {"", "a b", "a/b", "a:b", "a*", "\xc3\xa9", "a\n", longest};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(put_role(bad[i], "{}"), ERR_INVALID);
    }
    OK(put_role("A-1_b.c", "{}"));
}

static void the_role_admin_is_there_and_nobody_changes_it(void **state) {
    (void)state;
    struct catalog_role role;
    struct catalog_role *list;
    size_t count;
    OK(catalog_role_get(catalog, STR("admin"), &arena, &role, &err));
    assert_int_equal(catalog_role_remove(catalog, &role, &author, &err), ERR_DENIED);
    assert_int_equal(put_role("admin", "{}"), ERR_DENIED);
    assert_int_equal(put_role("Admin", "{'grants':[{'object':'server','rights':['admin']}]}"),
                     ERR_DENIED);
    OK(put_role("aaa", "{}"));
    OK(put_role("zzz", "{}"));
    catalog_role_list(catalog, &arena, &list, &count);
    assert_int_equal(count, 3);
    assert_true(str_is(list[0].name, "aaa") && str_is(list[1].name, "admin") &&
                str_is(list[2].name, "zzz"));
}

static void a_role_is_changed_only_as_it_was_seen(void **state) {
    (void)state;
    struct catalog_role role;
    uint64_t version;
    OK(put_role("clerk", "{}"));
    OK(catalog_role_get(catalog, STR("clerk"), &arena, &role, &err));
    OK(put_role("clerk", "{'limits':{'rows_max':5}}"));
    assert_int_equal(catalog_role_put(catalog, &role, &author, &version, &err), ERR_CONFLICT);
    assert_int_equal(catalog_role_remove(catalog, &role, &author, &err), ERR_CONFLICT);
}

// ---- What roles come to

static void rights_are_those_of_the_grants_and_no_others(void **state) {
    (void)state;
    OK(put_role("reader", "{'grants':[{'object':'dataset:films','rights':['read_raw']}]}"));
    OK(put_role("all", "{'grants':[{'object':'dataset:*','rights':['read_raw','erase']}]}"));
    OK(put_role("box", "{'grants':[{'object':'bucket:cold','rights':['write']}]}"));
    OK(put_role("sees", "{'grants':[{'object':'view:safe','rights':['read']}]}"));
    OK(put_role("sees_all", "{'grants':[{'object':'view:*','rights':['read']}]}"));
    OK(put_role("root", "{'grants':[{'object':'server','rights':['admin']}]}"));
    OK(put_role("actor", "{'grants':[{'object':'server','rights':['impersonate']}]}"));
    OK(put_role("empty", "{}"));
    const unsigned every = CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_TOMBSTONE | CATALOG_ERASE;
    const struct {
        const char *roles, *dataset, *bucket;
        unsigned rights;
    } table[] = {
        {"reader", "films", "primary", CATALOG_READ_RAW},
        {"reader", "Films", "primary", 0},
        {"reader", "films2", "primary", 0},
        {"reader", "film", "primary", 0},
        {"reader", "*", "primary", 0},
        {"reader", "", "primary", 0},
        {"all", "films", "primary", CATALOG_READ_RAW | CATALOG_ERASE},
        {"all", "whatever", "cold", CATALOG_READ_RAW | CATALOG_ERASE},
        {"box", "whatever", "cold", CATALOG_WRITE},
        {"box", "cold", "primary", 0},
        {"box", "whatever", "colder", 0},
        {"sees", "safe", "primary", 0},
        {"sees_all", "safe", "primary", 0},
        {"actor", "films", "primary", 0},
        {"empty", "films", "primary", 0},
        {"nobody", "films", "primary", 0},
        {"", "films", "primary", 0},
        {"Admin", "films", "primary", 0},
        {"ADMIN", "films", "primary", 0},
        {"admin", "films", "primary", every},
        {"root", "films", "primary", every},
        {"reader,box", "films", "cold", CATALOG_READ_RAW | CATALOG_WRITE},
        {"reader,reader", "films", "primary", CATALOG_READ_RAW},
        {"reader,all,box", "films", "cold", CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_ERASE},
        {"nobody,reader", "films", "primary", CATALOG_READ_RAW},
        {"reader,admin", "other", "primary", every},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (on(table[i].roles, table[i].dataset, table[i].bucket) != table[i].rights) {
            fail_msg("\"%s\" on \"%s\" in \"%s\": %#x", table[i].roles, table[i].dataset,
                     table[i].bucket, on(table[i].roles, table[i].dataset, table[i].bucket));
        }
    }
    assert_int_equal(catalog_rights_on_view(rights_of("sees"), STR("safe")), CATALOG_READ);
    assert_int_equal(catalog_rights_on_view(rights_of("sees"), STR("other")), 0);
    assert_int_equal(catalog_rights_on_view(rights_of("sees_all"), STR("other")), CATALOG_READ);
    assert_int_equal(catalog_rights_on_view(rights_of("all,reader"), STR("films")), 0);
    assert_true(rights_of("actor")->impersonate && !rights_of("actor")->admin);
    assert_true(rights_of("root")->impersonate && rights_of("root")->admin);
    assert_false(rights_of("all")->impersonate);
    assert_true(catalog_rights_none(rights_of("nobody")));
    assert_true(catalog_rights_none(rights_of("empty")));
    assert_false(catalog_rights_none(rights_of("sees")));
}

static void grants_on_one_name_add_up(void **state) {
    (void)state;
    OK(put_role("twice", "{'grants':[{'object':'dataset:b','rights':['read_raw']},"
                         "{'object':'dataset:a','rights':['write']},"
                         "{'object':'dataset:b','rights':['write']},"
                         "{'object':'bucket:b','rights':['erase']}]}"));
    OK(put_role("more", "{'grants':[{'object':'dataset:b','rights':['tombstone']}]}"));
    assert_int_equal(on("twice", "b", "p"), CATALOG_READ_RAW | CATALOG_WRITE);
    assert_int_equal(on("twice,more", "b", "p"),
                     CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_TOMBSTONE);
    assert_int_equal(on("more,twice", "b", "b"),
                     CATALOG_READ_RAW | CATALOG_WRITE | CATALOG_TOMBSTONE | CATALOG_ERASE);
    assert_int_equal(rights_of("twice,more")->grant_count, 3);
}

static void the_widest_limit_counts(void **state) {
    (void)state;
    OK(put_role("small", "{'limits':{'rows_max':10,'bytes_max':10,'time_ms':10}}"));
    OK(put_role("large", "{'limits':{'rows_max':20,'bytes_max':5,'queries_max':1}}"));
    struct catalog_limits l = rights_of("small")->limits;
    assert_int_equal(l.rows_max, 10);
    assert_int_equal(l.queries_max, 0);
    l = rights_of("small,large")->limits;
    assert_int_equal(l.rows_max, 20);
    assert_int_equal(l.bytes_max, 10);
    assert_int_equal(l.time_ms, 0);
    assert_int_equal(l.queries_max, 0);
    // A role that is not there widens nothing.
    l = rights_of("nobody,small,nothing")->limits;
    assert_int_equal(l.rows_max, 10);
    l = rights_of("small,admin")->limits;
    assert_int_equal(l.rows_max, 0);
}

static void a_role_that_was_removed_gives_nothing(void **state) {
    (void)state;
    struct catalog_role role;
    OK(put_role("reader", "{'grants':[{'object':'dataset:films','rights':['read_raw']}]}"));
    const struct catalog_rights *before = rights_of("reader");
    OK(catalog_role_get(catalog, STR("reader"), &arena, &role, &err));
    OK(catalog_role_remove(catalog, &role, &author, &err));
    assert_int_equal(on("reader", "films", "primary"), 0);
    assert_true(catalog_rights_none(rights_of("reader")));
    assert_true(rights_of("reader")->seq > before->seq);
    // Who asked before goes on as of then.
    assert_int_equal(catalog_rights_on(before, STR("films"), STR("primary")), CATALOG_READ_RAW);
}

static void what_a_newer_server_has_granted_gives_nothing_here(void **state) {
    (void)state;
    struct txn_outcome outcome;
    json_t *changes = json_array();
    json_array_append_new(
        changes,
        catalog_change(
            STR("role:new"), 0,
            parse("{\"grants\":[{\"object\":\"table:x\",\"rights\":[\"all\"]},"
                  "{\"object\":\"dataset:a\",\"rights\":[\"read_raw\",\"fly\"]},"
                  "{\"object\":\"dataset:b\",\"rights\":[\"read_raw\"]}],\"limits\":{}}")));
    json_array_append_new(changes,
                          catalog_change(STR("role:bound"), 0,
                                         parse("{\"grants\":[{\"object\":\"dataset:a\",\"rights\":["
                                               "\"read_raw\"]}],\"limits\":{\"joules\":5}}")));
    json_array_append_new(changes, catalog_change(STR("role:admin"), 0, parse("{\"grants\":[]}")));
    OK(catalog_commit(catalog, &author, STR("x"), changes, &outcome, &err));
    assert_int_equal(on("new", "a", "p"), 0);
    assert_int_equal(on("new", "b", "p"), CATALOG_READ_RAW);
    assert_int_equal(on("bound", "a", "p"), 0); // rather nothing than without its limit
    assert_true(rights_of("admin")->admin);
}

// ---- What somebody is told

static void a_name_without_rights_on_it_is_a_missing_name(void **state) {
    (void)state;
    OK(put_role("reader", "{'grants':[{'object':'dataset:films','rights':['read_raw']}]}"));
    put_dataset("films", "primary");
    put_dataset("secret", "primary");
    put_dataset("Films2", "primary");
    OK(look("reader", "films", 0));
    OK(look("reader", "films", CATALOG_READ_RAW));
    OK(look("reader", "FILMS", CATALOG_READ_RAW));
    assert_int_equal(look("reader", "films", CATALOG_WRITE), ERR_DENIED);
    assert_int_equal(look("reader", "films", CATALOG_READ_RAW | CATALOG_ERASE), ERR_DENIED);
    assert_int_equal(look("reader", "secret", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"secret\"");
    assert_int_equal(look("reader", "SECRET", CATALOG_READ_RAW), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"SECRET\"");
    assert_int_equal(look("reader", "absent", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"absent\"");
    OK(look("admin", "secret", CATALOG_ERASE));
}

static void a_similar_name_is_suggested_only_to_those_who_may_know_it(void **state) {
    (void)state;
    OK(put_role("reader", "{'grants':[{'object':'dataset:flights','rights':['write']}]}"));
    OK(put_role("box", "{'grants':[{'object':'bucket:cold','rights':['read_raw']}]}"));
    put_dataset("flights", "primary");
    put_dataset("flight5", "primary");
    put_dataset("flight6", "cold");
    assert_int_equal(look("admin", "flihgts", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"flihgts\"; did you mean \"flights\"?");
    assert_int_equal(look("reader", "flihgts", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"flihgts\"; did you mean \"flights\"?");
    assert_int_equal(look("reader", "flight5", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"flight5\"; did you mean \"flights\"?");
    assert_int_equal(look("reader", "flight7", 0), ERR_NOT_FOUND); // the same as of one that is not
    assert_string_equal(err.msg, "no dataset \"flight7\"; did you mean \"flights\"?");
    assert_int_equal(look("box", "flights", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"flights\"; did you mean \"flight6\"?");
    assert_int_equal(look("nobody", "flihgts", 0), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no dataset \"flihgts\"");
}

static void a_hidden_name_does_not_stand_in_the_way_of_another_case(void **state) {
    (void)state;
    OK(put_role("one", "{'grants':[{'object':'dataset:Films','rights':['read_raw']}]}"));
    OK(put_role("two", "{'grants':[{'object':'dataset:films','rights':['read_raw']}]}"));
    put_dataset("Films", "primary");
    put_dataset("films", "primary");
    struct catalog_dataset d;
    const struct catalog_wish wish = {rights_of("one"), 0};
    OK(catalog_dataset_permit(catalog, STR("films"), &wish, &arena, &d, &err));
    assert_true(str_is(d.name, "Films"));
    OK(look("one", "FILMS", 0));
    assert_int_equal(look("one,two", "FILMS", 0), ERR_NOT_FOUND); // of two, neither
}

static void making_and_renaming_take_the_bucket(void **state) {
    (void)state;
    OK(put_role("maker", "{'grants':[{'object':'bucket:primary','rights':['write']}]}"));
    OK(put_role("writer", "{'grants':[{'object':'dataset:*','rights':['write','read_raw']}]}"));
    OK(put_role("trick", "{'grants':[{'object':'bucket:primary','rights':['write']},"
                         "{'object':'dataset:mine','rights':['read_raw']}]}"));
    put_dataset("old", "primary");
    struct catalog_dataset d;
    OK(catalog_dataset_get(catalog, STR("old"), &arena, &d, &err));
    OK(catalog_permit_create(rights_of("maker"), STR("primary"), &err));
    OK(catalog_permit_create(rights_of("maker"), STR_NONE, &err));
    OK(catalog_permit_create(rights_of("admin"), STR("other"), &err));
    assert_int_equal(catalog_permit_create(rights_of("maker"), STR("other"), &err), ERR_DENIED);
    assert_int_equal(catalog_permit_create(rights_of("writer"), STR_NONE, &err), ERR_DENIED);
    OK(catalog_permit_rename(rights_of("maker"), &d, STR("new"), &err));
    assert_int_equal(catalog_permit_rename(rights_of("writer"), &d, STR("new"), &err), ERR_DENIED);
    OK(catalog_permit_rename(rights_of("trick"), &d, STR("new"), &err));
    assert_int_equal(catalog_permit_rename(rights_of("trick"), &d, STR("mine"), &err), ERR_DENIED);
    OK(catalog_permit_rename(rights_of("trick,writer"), &d, STR("mine"), &err));
}

// ---- Tokens

static int64_t now_us;

static int64_t set_clock(void) {
    return now_us;
}

static struct catalog_token_made make_token(const char *role) {
    struct str roles[] = {str_from(role)};
    const struct catalog_token t = {.principal = STR("ada"), .roles = roles, .role_count = 1};
    struct catalog_token_made made = {0};
    OK(catalog_token_create(catalog, &t, &author, &arena, &made, &err));
    return made;
}

static void a_token_has_roles_that_exist(void **state) {
    (void)state;
    struct str roles[CATALOG_ROLES_MAX + 1];
    struct catalog_token_made made;
    struct catalog_token t = {.principal = STR("ada"), .roles = roles, .role_count = 2};
    roles[0] = STR("admin");
    roles[1] = STR("clerk");
    assert_int_equal(catalog_token_create(catalog, &t, &author, &arena, &made, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "no role \"clerk\""));
    OK(put_role("clerk", "{}"));
    OK(catalog_token_create(catalog, &t, &author, &arena, &made, &err));
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        roles[i] = STR("clerk");
    }
    t.role_count = ARRAY_LEN(roles);
    assert_int_equal(catalog_token_create(catalog, &t, &author, &arena, &made, &err), ERR_INVALID);
}

static int64_t last_used(void) {
    struct catalog_token *list;
    size_t count;
    catalog_token_list(catalog, &arena, &list, &count);
    assert_int_equal(count, 1);
    return list[0].last_used_us;
}

static void the_last_use_of_a_token_is_written_once_an_hour(void **state) {
    (void)state;
    const int64_t hour = INT64_C(3600) * 1000000;
    struct catalog_token t;
    now_us = 1000 * hour;
    clock_set_wall(set_clock);
    const struct catalog_token_made made = make_token("admin");
    assert_int_equal(last_used(), 0);
    const uint64_t before = txlog_seq(catalog->log);
    OK(catalog_token_keep_uses(catalog, &err));
    assert_int_equal(txlog_seq(catalog->log), before);
    OK(catalog_token_check(catalog, made.text, &arena, &t, &err));
    assert_int_equal(last_used(), now_us);
    assert_int_equal(txlog_seq(catalog->log), before); // a request writes nothing
    OK(catalog_token_keep_uses(catalog, &err));
    assert_int_equal(txlog_seq(catalog->log), before + 1);
    now_us += hour - 1;
    OK(catalog_token_check(catalog, made.text, &arena, &t, &err));
    OK(catalog_token_keep_uses(catalog, &err));
    assert_int_equal(txlog_seq(catalog->log), before + 1);
    assert_int_equal(last_used(), now_us);
    now_us += 1;
    OK(catalog_token_check(catalog, made.text, &arena, &t, &err));
    OK(catalog_token_keep_uses(catalog, &err));
    assert_int_equal(txlog_seq(catalog->log), before + 2);
    catalog_close(catalog);
    open_again();
    assert_int_equal(last_used(), now_us);
}

static void the_last_use_is_kept_when_the_catalog_is_closed(void **state) {
    (void)state;
    struct catalog_token t;
    now_us = INT64_C(1000000000000000);
    clock_set_wall(set_clock);
    const struct catalog_token_made made = make_token("admin");
    OK(catalog_token_check(catalog, made.text, &arena, &t, &err));
    catalog_close(catalog);
    open_again();
    assert_int_equal(last_used(), now_us);
}

static void nothing_is_left_of_the_use_of_a_revoked_token(void **state) {
    (void)state;
    struct catalog_token t;
    const struct catalog_token_made made = make_token("admin");
    OK(catalog_token_check(catalog, made.text, &arena, &t, &err));
    OK(catalog_token_keep_uses(catalog, &err));
    OK(catalog_token_revoke(catalog, made.id, &author, &err));
    struct txlog_entry *entries;
    size_t count;
    txlog_list(catalog->log, STR("token"), &arena, &entries, &count);
    assert_int_equal(count, 0);
    const uint64_t before = txlog_seq(catalog->log);
    OK(catalog_token_keep_uses(catalog, &err));
    assert_int_equal(txlog_seq(catalog->log), before);
    assert_int_equal(catalog->use_count, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_role_comes_back_as_it_was_put_and_after_a_restart),
        TEST(what_is_unknown_is_refused_when_a_role_is_put),
        TEST(a_role_has_a_plain_name),
        TEST(the_role_admin_is_there_and_nobody_changes_it),
        TEST(a_role_is_changed_only_as_it_was_seen),
        TEST(rights_are_those_of_the_grants_and_no_others),
        TEST(grants_on_one_name_add_up),
        TEST(the_widest_limit_counts),
        TEST(a_role_that_was_removed_gives_nothing),
        TEST(what_a_newer_server_has_granted_gives_nothing_here),
        TEST(a_name_without_rights_on_it_is_a_missing_name),
        TEST(a_similar_name_is_suggested_only_to_those_who_may_know_it),
        TEST(a_hidden_name_does_not_stand_in_the_way_of_another_case),
        TEST(making_and_renaming_take_the_bucket),
        TEST(a_token_has_roles_that_exist),
        TEST(the_last_use_of_a_token_is_written_once_an_hour),
        TEST(the_last_use_is_kept_when_the_catalog_is_closed),
        TEST(nothing_is_left_of_the_use_of_a_revoked_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
