// A world with one dataset "d" of id and v whose rows tests hide and bring back.
#pragma once

#include "base/json.h"
#include "table/one_world_test.h"
#include "table/table_tombstone.h"

static inline void tomb_write(enum table_mode mode, const char *source) {
    struct table_written w;
    OK(world_write(&world, mode, "d", source, &w));
}

static inline enum err_code tomb_delta_try(enum table_delta_mode mode, const char *source) {
    static const struct str key = {"id", 2};
    const struct table_delta d = {.dataset = STR("d"),
                                  .mode = mode,
                                  .keys = &key,
                                  .key_count = mode == TABLE_DELTA_APPEND ? 0 : 1,
                                  .source = str_from(source),
                                  .who = world_author,
                                  .session = world.session};
    struct table_delta_done done;
    err = ERR_NONE;
    return table_delta(world.tables, &d, &world.arena, &done, &err);
}

static inline void tomb_delta(enum table_delta_mode mode, const char *source) {
    OK(tomb_delta_try(mode, source));
}

#define TOMB_KEYS_MAX 64

// "1 2 x": one key a word; integers are such as JSON has them.
static inline size_t tomb_keys(const char *words, struct table_key *ret) {
    struct str rest = arena_str(&world.arena, str_from(words));
    struct str word;
    size_t count = 0;
    while (str_cut(&rest, ' ', &word)) {
        int64_t n;
        assert_true(count < TOMB_KEYS_MAX);
        ret[count++] = (struct table_key){.text = word, .integer = str_to_i64(word, &n)};
    }
    return count;
}

static inline struct table_tombstone tomb_request(const char *column, const char *words,
                                                  struct table_key *keys) {
    return (struct table_tombstone){
        .dataset = STR("d"),
        .column = str_from(column),
        .keys = keys,
        .key_count = tomb_keys(words, keys),
        .who = {.actor = STR("tester"), .action = STR("dataset.tombstone"), .reason = STR("why")},
        .session = world.session};
}

static inline enum err_code tomb_try(const char *column, const char *words,
                                     struct table_tombstoned *ret) {
    struct table_key keys[TOMB_KEYS_MAX];
    const struct table_tombstone r = tomb_request(column, words, keys);
    err = ERR_NONE;
    return table_tombstone(world.tables, &r, &world.arena, ret, &err);
}

static inline struct table_tombstoned tomb(const char *words) {
    struct table_tombstoned done;
    OK(tomb_try("id", words, &done));
    return done;
}

static inline enum err_code tomb_undo_try(const char *column, const char *words,
                                          struct table_tombstoned *ret) {
    struct table_key keys[TOMB_KEYS_MAX];
    struct table_tombstone r = tomb_request(column, words, keys);
    r.who.action = STR("dataset.undo_tombstone");
    err = ERR_NONE;
    return table_tombstone_undo(world.tables, &r, &world.arena, ret, &err);
}

static inline struct table_tombstoned tomb_undo(const char *words) {
    struct table_tombstoned done;
    OK(tomb_undo_try("", words, &done));
    return done;
}

// The dataset as the catalog has it.
static inline struct catalog_dataset tomb_dataset(void) {
    struct catalog_dataset d;
    OK(catalog_dataset_get(world.catalog, STR("d"), &world.arena, &d, &err));
    return d;
}

// Values of the list, in its order.
static inline const char *tomb_listed(void) {
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    const struct catalog_dataset d = tomb_dataset();
    const struct table_tombstone_list *list;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    assert_int_equal(d.tombstones.count, list->count);
    for (size_t i = 0; i < list->count; i++) {
        buf_printf(&out, "%s" STR_FMT, i == 0 ? "" : " ", STR_ARG(list->items[i].value));
    }
    return arena_cstr(&world.arena, buf_str(&out));
}

#define TOMB_ROWS "coalesce(string_agg(id || '=' || v, ' ' ORDER BY id, v), '')"

// Rows as of a version; 0: now.
static inline struct str tomb_rows_at(int64_t version, bool raw) {
    const struct table_want want = {.name = STR("d"),
                                    .raw = raw,
                                    .at = version == 0 ? TABLE_AT_NOW : TABLE_AT_VERSION,
                                    .value = version};
    const struct table_conditions none = {0};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &world.arena, &pin, &err));
    return world_value_of(&world, &pin, &none, TOMB_ROWS, "");
}

static inline void assert_visible(const char *rows) {
    assert_str(tomb_rows_at(0, false), rows);
}

static inline void assert_raw(const char *rows) {
    assert_str(tomb_rows_at(0, true), rows);
}

static inline void assert_listed(const char *values) {
    assert_string_equal(tomb_listed(), values);
}
