// Random histories: rows that come, change and go, compactions, rollbacks, tags, renamed columns
// and tombstones, and an erasure now and then. Every snapshot shows what it showed before, but for
// the subject, and nothing that is left tells of that one.

#include "erase/left_test.h"

#include "table/table_alter.h"
#include "table/table_tombstone.h"

#define PEOPLE 12
#define STEPS 20
#define ERASURES 3

static uint64_t random_state;
static const char *key_name, *value_name;
static int tags;
static int64_t rows_erased, snapshots_changed, tombstoned, tombstones_erased;

static int random_below(int n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)n);
}

// Told apart by their first fifteen bytes.
static struct str person(int n) {
    return arena_printf(&world.arena, "%02d-person-of-interest-%d@example.org", n, n);
}

static struct str some_rows(bool keys_alone, bool twice) {
    DEFER(buf_release) struct buf sql = BUF(1 << 16);
    bool used[PEOPLE] = {false};
    const int count = 1 + random_below(random_below(4) == 0 ? PEOPLE : 3);
    buf_add_cstr(&sql, "(VALUES ");
    for (int i = 0; i < count; i++) {
        int who = random_below(PEOPLE);
        while (used[who] && !twice) {
            who = (who + 1) % PEOPLE;
        }
        used[who] = true;
        buf_printf(&sql, "%s('" STR_FMT "'", i == 0 ? "" : ", ", STR_ARG(person(who)));
        if (!keys_alone) {
            buf_printf(&sql, ", 'says " STR_FMT "', %d", STR_ARG(person(who)), random_below(1000));
        }
        buf_add_char(&sql, ')');
    }
    buf_printf(&sql, keys_alone ? ") t(%s)" : ") t(%s, %s, n)", key_name, value_name);
    return arena_str(&world.arena, buf_str(&sql));
}

static void change_rows(void) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const bool deletes = random_below(3) == 0;
    const struct str key = str_from(key_name);
    const struct table_delta d = {.dataset = STR("d"),
                                  .mode = deletes ? TABLE_DELTA_DELETE : TABLE_DELTA_UPSERT,
                                  .keys = &key,
                                  .key_count = 1,
                                  .source = some_rows(deletes, false),
                                  .who = world_author,
                                  .session = world.session};
    struct table_delta_done done;
    err = ERR_NONE;
    OK(table_delta(world.tables, &d, &a, &done, &err));
}

static void roll_back_somewhere(void) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    const struct table_want want = {.name = STR("d")};
    struct table_pin pin;
    struct upkeep_rolled done;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    const int at = random_below((int)pin.metadata->snapshot_count);
    const struct upkeep_rollback r = {
        .dataset = STR("d"), .version = pin.metadata->snapshots[at].id, .who = world_author};
    OK(upkeep_rollback(upkeep, &r, &a, &done, &err));
}

// A tag or a branch at one of the snapshots.
static enum err_code add_ref(void *ctx, struct ice_metadata *next, struct arena *a,
                             struct err *error) {
    (void)ctx;
    (void)error;
    json_t *refs = past_own(json_copy(next->refs), a);
    const int at = random_below((int)next->snapshot_count);
    json_t *ref = json_pack("{s:I,s:s}", "snapshot-id", (json_int_t)next->snapshots[at].id, "type",
                            random_below(2) == 0 ? "tag" : "branch");
    assert_int_equal(json_object_set_new(refs, arena_printf(a, "ref%d", tags++).ptr, ref), 0);
    next->refs = refs;
    return ERR_OK;
}

static enum err_code prepare_ref(struct table_commit *c, struct table_edit *e, struct err *error) {
    (void)c;
    (void)error;
    e->amend = add_ref;
    return ERR_OK;
}

static void rename_one(const char **name, const char *to) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const struct table_column_change change = {
        .op = TABLE_COLUMN_RENAME, .name = str_from(*name), .to = str_from(to)};
    const struct table_alter r = {
        .dataset = STR("d"), .changes = &change, .count = 1, .who = world_author};
    struct table_altered altered;
    err = ERR_NONE;
    OK(table_alter(world.tables, &r, &a, &altered, &err));
    *name = to;
}

static void rename_something(void) {
    if (random_below(2) == 0) {
        rename_one(&key_name, strcmp(key_name, "id") == 0 ? "who" : "id");
    } else {
        rename_one(&value_name, strcmp(value_name, "v") == 0 ? "w" : "v");
    }
}

static void compact_somehow(void) {
    struct upkeep_compacted done;
    const struct upkeep_compact r = {.tiered = random_below(2) == 0,
                                     .target_bytes = random_below(3) == 0 ? 2000 : 0};
    OK(lake_compact_as(r, &done));
}

static void expire_some(void) {
    struct upkeep_expired done;
    const struct upkeep_expire r = {.dataset = STR("d"),
                                    .older_than_ms = 0,
                                    .keep_min = 5 + random_below(8),
                                    .who = world_author};
    OK(upkeep_expire(upkeep, &r, NULL, &world.arena, &done, &err));
}

// Hides some people, or brings some back.
static void tombstone_some(void) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    const int first = random_below(PEOPLE);
    const struct table_key keys[] = {{.text = person(first)},
                                     {.text = person((first + 5) % PEOPLE)}};
    const struct table_tombstone r = {.dataset = STR("d"),
                                      .column = str_from(key_name),
                                      .keys = keys,
                                      .key_count = ARRAY_LEN(keys),
                                      .who = world_author,
                                      .session = world.session};
    struct table_tombstoned done;
    err = ERR_NONE;
    if (random_below(3) == 0) {
        OK(table_tombstone_undo(world.tables, &r, &a, &done, &err));
    } else {
        OK(table_tombstone(world.tables, &r, &a, &done, &err));
    }
    tombstoned += done.keys;
}

static void step(void) {
    const int kind = random_below(23);
    if (kind < 11) {
        change_rows();
    } else if (kind < 13) {
        lake_write(TABLE_APPEND, some_rows(false, true).ptr);
    } else if (kind < 15) {
        compact_somehow();
    } else if (kind < 16) {
        roll_back_somewhere();
    } else if (kind < 18) {
        past_commit(prepare_ref, NULL);
    } else if (kind < 19) {
        rename_something();
    } else if (kind < 20) {
        expire_some();
    } else {
        tombstone_some();
    }
}

// Somebody who has a tombstone, if there is one.
static struct str hidden_or(int n) {
    const struct catalog_dataset d = lake_dataset();
    const struct table_tombstone_list *list;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    return list->count > 0 ? arena_str(&world.arena, list->items[0].value) : person(n);
}

static void erase_some(void) {
    struct table_key keys[2];
    const size_t count = 1 + (size_t)random_below(2);
    const int first = random_below(PEOPLE);
    DEFER(buf_release) struct buf in = BUF(1 << 12);
    struct erase_history h;
    for (size_t i = 0; i < count; i++) {
        keys[i].text = i == 0 ? hidden_or(first) : person((first + (int)i) % PEOPLE);
        keys[i].integer = false;
        buf_printf(&in, "%s'" STR_FMT "'", i == 0 ? "" : ", ", STR_ARG(keys[i].text));
    }
    const struct past before = past_of(1, in.ptr);
    OK(rewrite_keys(key_name, keys, count, &h));
    remove_old(&h);
    assert_int_equal(h.snapshots, before.count);
    assert_true(h.snapshots_changed <= h.snapshots);
    rows_erased += h.rows;
    snapshots_changed += h.snapshots_changed;
    tombstones_erased += h.tombstones;
    const struct past now = past_of(1, NULL);
    assert_same_past(&before, &now);
    for (size_t i = 0; i < count; i++) {
        assert_nothing_tells_of(keys[i].text.ptr);
        assert_int_equal(look(key_name, keys[i].text.ptr).rows, 0);
    }
}

static void run(uint64_t seed) {
    random_state = seed;
    key_name = "id";
    value_name = "v";
    tags = 0;
    rows_erased = snapshots_changed = tombstoned = tombstones_erased = 0;
    lake_write(TABLE_CREATE, some_rows(false, true).ptr);
    for (int i = 0; i < ERASURES; i++) {
        for (int j = 0; j < STEPS; j++) {
            step();
        }
        for (int j = 0; j < PEOPLE && i + 1 == ERASURES && lake_dataset().tombstones.count == 0;
             j++) {
            tombstone_some(); // so that there is one to be erased, whatever came before
        }
        arena_reset(&world.arena); // no reader holds back what an expiry left
        erase_some();
        assert_sound();
    }
    assert_true(rows_erased > ERASURES);
    assert_true(snapshots_changed > ERASURES);
    assert_true(tombstoned > 0 && tombstones_erased > 0);
}

static void every_snapshot_shows_what_it_showed_but_for_the_subject(void **state) {
    (void)state;
    run(88172645463325252ULL);
}

static void and_so_it_is_from_another_seed(void **state) {
    (void)state;
    run(2463534242ULL);
}

int main(void) {
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        PAST_TEST(every_snapshot_shows_what_it_showed_but_for_the_subject),
        PAST_TEST(and_so_it_is_from_another_seed),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
