// Random changes of a dataset with tombstones, against a plain model in memory: visible rows,
// hidden rows, the list, and every older snapshot are always as the model says.

#include "table/table_keys.h"
#include "table/table_tombstone.h"
#include "upkeep/lake_test.h"

#define IDS 12
#define STEPS 80
#define ROWS_MAX 512
#define KEYS_MAX 4

struct row {
    int id;
    int64_t v;
    bool hidden;
};
struct model {
    struct row rows[ROWS_MAX];
    size_t count;
};
// A snapshot that was current after a step.
struct past {
    int64_t id, sequence;
    struct model model;
};

static struct model now;
static bool listed[IDS];
static int64_t applied[IDS]; // sequence number of the snapshot that was compacted; 0: never
static struct past pasts[STEPS + 1];
static size_t past_count;
static int64_t value;
static uint64_t random_state;

static int random_below(int n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)n);
}

static void add_row(int id, int64_t v) {
    assert_true(now.count < ROWS_MAX);
    now.rows[now.count++] = (struct row){id, v, listed[id]};
}

static void remove_rows(bool (*goes)(const struct row *r, const bool *ids), const bool *ids) {
    size_t count = 0;
    for (size_t i = 0; i < now.count; i++) {
        if (!goes(&now.rows[i], ids)) {
            now.rows[count++] = now.rows[i];
        }
    }
    now.count = count;
}

static bool is_visible_of(const struct row *r, const bool *ids) {
    return !r->hidden && ids[r->id];
}

static bool is_hidden(const struct row *r, const bool *ids) {
    (void)ids;
    return r->hidden;
}

static bool is_any(const struct row *r, const bool *ids) {
    (void)r;
    (void)ids;
    return true;
}

static int by_row(const void *x, const void *y) {
    const struct row *a = x;
    const struct row *b = y;
    return a->id != b->id ? a->id - b->id : (a->v < b->v ? -1 : a->v > b->v);
}

static const char *model_text(const struct model *m, bool hidden) {
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    struct model sorted = *m;
    qsort(sorted.rows, sorted.count, sizeof(*sorted.rows), by_row);
    for (size_t i = 0; i < sorted.count; i++) {
        const struct row *r = &sorted.rows[i];
        if (r->hidden == hidden) {
            buf_printf(&out, "%s%d=%lld", out.len == 0 ? "" : " ", r->id, (long long)r->v);
        }
    }
    return arena_cstr(&world.arena, buf_str(&out));
}

// "(VALUES (1, 1001), …) t(id, v)" of some ids, each once, which are set in ids.
static struct str random_rows(bool with_values, bool *ids) {
    DEFER(buf_release) struct buf out = BUF(1 << 16);
    const int count = 1 + random_below(5);
    buf_add_cstr(&out, "(VALUES ");
    for (int i = 0; i < count; i++) {
        int id = random_below(IDS);
        while (ids[id]) {
            id = (id + 1) % IDS;
        }
        ids[id] = true;
        buf_printf(&out, "%s(%d", i == 0 ? "" : ", ", id);
        if (with_values) {
            const long long v = value + id;
            buf_printf(&out, ", %lld::BIGINT", v);
        }
        buf_add_cstr(&out, ")");
    }
    buf_add_cstr(&out, with_values ? ") t(id, v)" : ") t(id)");
    return arena_str(&world.arena, buf_str(&out));
}

static void bring_rows(void) {
    bool ids[IDS] = {false};
    value += 100;
    const struct str source = random_rows(true, ids);
    const int kind = random_below(8);
    if (kind < 4) {
        lake_delta(TABLE_DELTA_UPSERT, source.ptr);
        remove_rows(is_visible_of, ids);
    } else if (kind < 7) {
        lake_write(TABLE_APPEND, source.ptr);
    } else {
        lake_write(TABLE_REPLACE, source.ptr);
        remove_rows(is_any, ids);
    }
    for (int i = 0; i < IDS; i++) {
        if (ids[i]) {
            add_row(i, value + i);
        }
    }
}

static void delete_rows(void) {
    bool ids[IDS] = {false};
    const struct str source = random_rows(false, ids);
    lake_delta(TABLE_DELTA_DELETE, source.ptr);
    remove_rows(is_visible_of, ids);
}

static int64_t rows_with(int id, bool hidden) {
    int64_t count = 0;
    for (size_t i = 0; i < now.count; i++) {
        count += now.rows[i].id == id && now.rows[i].hidden == hidden ? 1 : 0;
    }
    return count;
}

static void set_hidden(int id, bool hidden) {
    for (size_t i = 0; i < now.count; i++) {
        now.rows[i].hidden = now.rows[i].id == id ? hidden : now.rows[i].hidden;
    }
}

static void change_tombstones(void) {
    struct table_key keys[KEYS_MAX];
    struct table_tombstoned done;
    const bool undo = random_below(3) == 0;
    struct table_tombstone r = {.dataset = STR("d"),
                                .column = STR("id"),
                                .keys = keys,
                                .key_count = (size_t)(1 + random_below(KEYS_MAX)),
                                .who = {.actor = STR("tester"), .action = STR("dataset.tombstone")},
                                .session = world.session};
    const int first = random_below(IDS);
    for (size_t i = 0; i < r.key_count; i++) {
        keys[i] = (struct table_key){
            .text = arena_printf(&world.arena, "%d", (first + (int)i * 5) % IDS), .integer = true};
    }
    OK(undo ? table_tombstone_undo(world.tables, &r, &world.arena, &done, &err)
            : table_tombstone(world.tables, &r, &world.arena, &done, &err));
    int64_t expected = 0;
    int64_t rows = 0;
    for (size_t i = 0; i < r.key_count; i++) {
        const int id = (first + (int)i * 5) % IDS;
        if (undo ? listed[id] : !listed[id] && rows_with(id, false) > 0) {
            rows += rows_with(id, undo);
            expected++;
            listed[id] = !undo;
            set_hidden(id, !undo);
        }
    }
    assert_int_equal(done.keys, expected);
    assert_int_equal(done.rows, rows);
    assert_int_equal(done.failure_count, (int64_t)r.key_count - expected);
}

static struct table_pin pin_now(struct arena *a) {
    struct table_pin pin;
    const struct table_want want = {.name = STR("d")};
    OK(table_pin_at(world.tables, &want, a, &pin, &err));
    return pin;
}

static void compact_somehow(void) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    struct upkeep_compacted done;
    const int kind = random_below(3);
    int64_t items = 0;
    int64_t hidden = 0;
    OK(lake_compact_as((struct upkeep_compact){.dry_run = kind == 0, .keeps_tombstones = kind == 1},
                       &done));
    for (int i = 0; i < IDS; i++) {
        items += listed[i] ? 1 : 0;
        hidden += rows_with(i, true);
    }
    if (kind == 1) {
        assert_int_equal(done.tombstones_applied, 0);
        return;
    }
    assert_int_equal(done.tombstones_applied, items);
    assert_int_equal(done.rows_dropped_by_tombstones, hidden);
    if (kind == 0) {
        return;
    }
    const struct table_pin pin = pin_now(&a);
    for (int i = 0; i < IDS; i++) {
        applied[i] = listed[i] && pin.snapshot != NULL ? pin.snapshot->sequence_number : applied[i];
        listed[i] = false;
    }
    remove_rows(is_hidden, NULL);
}

// Must the key not be seen in that snapshot, whatever the snapshot itself says?
static bool is_covered(const struct past *p, int id) {
    return listed[id] || p->sequence < applied[id];
}

static void roll_back(void) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    struct upkeep_rolled done;
    const struct past *p = &pasts[random_below((int)past_count)];
    const struct upkeep_rollback r = {.dataset = STR("d"), .version = p->id, .who = world_author};
    OK(upkeep_rollback(upkeep, &r, &a, &done, &err));
    now = p->model;
    for (size_t i = 0; i < now.count; i++) {
        now.rows[i].hidden = is_covered(p, now.rows[i].id);
    }
}

static void step(void) {
    const int kind = random_below(20);
    if (kind < 6) {
        bring_rows();
    } else if (kind < 9) {
        delete_rows();
    } else if (kind < 15) {
        change_tombstones();
    } else if (kind < 17) {
        compact_somehow();
    } else if (kind < 19) {
        roll_back();
    } else {
        lake_reopen();
    }
}

static void note_snapshot(void) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    const struct table_pin pin = pin_now(&a);
    for (size_t i = 0; i < past_count; i++) {
        if (pasts[i].id == pin.snapshot->id) {
            return; // it is as it was
        }
    }
    pasts[past_count++] = (struct past){pin.snapshot->id, pin.snapshot->sequence_number, now};
}

static struct str hidden_rows(void) {
    DEFER(arena_release) struct arena a = ARENA(1 << 28);
    const struct table_pin pin = pin_now(&a);
    struct table_scan all;
    struct str text;
    OK(table_files_load(world.tables, &pin, &a, &all, &err));
    const struct table_scan hidden = table_scan_hidden(world.tables, &all, &a);
    OK(session_text(world.session,
                    arena_printf(&a, "SELECT " LAKE_ROWS " FROM (" STR_FMT ") t",
                                 STR_ARG(table_scan_sql(&pin, &hidden, &a))),
                    &world.arena, &text, &err));
    return text;
}

static void assert_list(void) {
    const struct catalog_dataset d = lake_dataset();
    const struct table_tombstone_list *list;
    size_t count = 0;
    OK(table_tombstone_list_load(world.tables, &d, &world.arena, &list, &err));
    for (int i = 0; i < IDS; i++) {
        const struct str text = arena_printf(&world.arena, "%d", i);
        assert_int_equal(table_tombstone_find(list, text) != NULL, listed[i]);
        count += listed[i] ? 1 : 0;
    }
    assert_int_equal(list->count, count);
    assert_int_equal(d.tombstones.count, count);
    assert_int_equal(world_files(&world, "primary/_catalog/content"),
                     d.tombstones.content.object.len > 0 ? 1 : 0);
}

static void assert_now(void) {
    int64_t visible = 0;
    for (size_t i = 0; i < now.count; i++) {
        visible += now.rows[i].hidden ? 0 : 1;
    }
    assert_str(lake_value_at(0, false, LAKE_ROWS), model_text(&now, false));
    assert_str(hidden_rows(), model_text(&now, true));
    assert_int_equal(lake_dataset().rows, visible);
    assert_list();
}

static void assert_past(void) {
    const struct past *p = &pasts[random_below((int)past_count)];
    struct model m = p->model;
    for (size_t i = 0; i < m.count; i++) {
        m.rows[i].hidden = m.rows[i].hidden || is_covered(p, m.rows[i].id);
    }
    if (p->id != lake_snapshot()) {
        assert_str(lake_value_at(p->id, false, LAKE_ROWS), model_text(&m, false));
    }
}

static void run(uint64_t seed) {
    random_state = seed;
    past_count = 0;
    value = 1000;
    now = (struct model){0};
    memset(listed, 0, sizeof(listed));
    memset(applied, 0, sizeof(applied));
    lake_write(TABLE_CREATE, "(VALUES (3, 3::BIGINT), (5, 5)) t(id, v)");
    add_row(3, 3);
    add_row(5, 5);
    note_snapshot();
    for (int i = 0; i < STEPS; i++) {
        step();
        assert_now();
        note_snapshot();
        assert_past();
    }
}

static void rows_are_always_as_the_model_says(void **state) {
    (void)state;
    run(88172645463325252ULL);
}

static void and_from_another_seed(void **state) {
    (void)state;
    run(2463534242ULL);
}

static void and_from_a_third(void **state) {
    (void)state;
    run(1234567890123ULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_are_always_as_the_model_says),
        TEST(and_from_another_seed),
        TEST(and_from_a_third),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
