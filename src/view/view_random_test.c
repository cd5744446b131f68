// Random tests of views: whatever happens to base, filter and files, a view shows what the engine
// makes of the base's rows with the same filter and with masks written in SQL.

#include "table/table_alter.h"
#include "view/house_test.h"

#define STEPS 40
#define SEEDS 2

static uint64_t random_state;

static int64_t random_below(int64_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)n);
}

// A mask in its JSON form, and what it makes of a column x, in SQL. %1 is tarn_map's number for the
// hash.
static const struct {
    const char *json, *sql;
} text_masks[] = {
    {"null", "x"},
    {"\"null\"", "CAST(NULL AS VARCHAR)"},
    {"\"mask-to-default\"", "''"},
    {"\"hash\"", "tarn_map(%lld, x)"},
    {"{\"mask\": {\"keep_prefix\": 1, \"keep_suffix\": 2}}",
     "CASE WHEN length(x) >= 6 THEN left(x, 1) || '******' || right(x, 2) WHEN x IS NOT NULL THEN "
     "'******' END"},
    {"\"mask-alphanum\"", "regexp_replace(regexp_replace(x, '[a-zA-Z]', 'x', 'g'), '[0-9]', 'n', "
                          "'g')"},
};
static const struct {
    const char *json, *sql;
} date_masks[] = {
    {"null", "d"},
    {"\"mask-to-default\"", "DATE '1970-01-01'"},
    {"\"truncate-to-year\"", "CAST(date_trunc('year', d) AS DATE)"},
    {"\"truncate-to-month\"", "CAST(date_trunc('month', d) AS DATE)"},
};

// %s: what stands behind FROM for the other dataset.
static const char *const filters[] = {
    "",
    "team = 1",
    "lower(x) LIKE '%%1%%'",
    "regexp_matches(x, '[02468]$')",
    "id IN (SELECT acl.aid FROM %s)",
    "id NOT IN (SELECT acl.aid FROM %s)",
    "EXISTS (SELECT 1 FROM %s WHERE acl.aid %% 7 = t.id %% 7)",
    "id %% 3 <> 0 OR d IS NULL",
    "length(x) > (SELECT count(*) %% 9 FROM %s)",
};

struct model {
    size_t text, date, filter;
    int64_t map; // number of the hash
    int64_t next_id;
    int64_t versions[STEPS * 2];
    size_t version_count;
};

static struct str scan_of(const struct table_pin *pin, struct arena *a) {
    const struct table_conditions none = {0};
    struct table_scan scan;
    OK(table_scan_plan(world.tables, pin, &none, a, &scan, &err));
    return table_scan_sql(pin, &scan, a);
}

// The literal's %s and %% filled in.
static struct str filter_with(const char *filter, struct str acl, struct arena *a) {
    DEFER(buf_release) struct buf out = BUF(16 << 20);
    for (const char *p = filter; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 's') {
            buf_add_str(&out, acl);
            p++;
        } else {
            buf_add_char(&out, *p);
            p += p[0] == '%' ? 1 : 0;
        }
    }
    return arena_str(a, buf_str(&out));
}

#define DIGEST "count(*) || ' ' || coalesce(sum(CAST(hash(t) AS HUGEINT)), 0)"

static struct str expected(const struct model *m, int64_t version, struct arena *a) {
    struct table_pin base;
    struct table_pin acl;
    struct str text;
    struct table_want want = {
        .name = STR("t"), .at = version > 0 ? TABLE_AT_VERSION : TABLE_AT_NOW, .value = version};
    OK(table_pin_at(world.tables, &want, a, &base, &err));
    want = (struct table_want){.name = STR("acl")};
    OK(table_pin_at(world.tables, &want, a, &acl, &err));
    const struct str other = arena_printf(a, "(" STR_FMT ") AS acl", STR_ARG(scan_of(&acl, a)));
    struct str filter = filter_with(filters[m->filter], other, a);
    filter = filter.len > 0 ? filter : STR("true");
    DEFER(buf_release) struct buf x = BUF(1000);
    const char *sql = text_masks[m->text].sql;
    if (strstr(sql, "tarn_map") != NULL) {
        buf_printf(&x, "tarn_map(%lld, x)", (long long)m->map);
    } else {
        buf_add_cstr(&x, sql);
    }
    OK(session_text(world.session,
                    arena_printf(a,
                                 "SELECT " DIGEST " FROM (SELECT %s AS x, id, %s AS d FROM "
                                 "(" STR_FMT ") AS t WHERE " STR_FMT ") AS t",
                                 x.ptr, date_masks[m->date].sql, STR_ARG(scan_of(&base, a)),
                                 STR_ARG(filter)),
                    a, &text, &err));
    return text;
}

static void compare(const struct model *m, int64_t version) {
    DEFER(arena_release) struct arena a = ARENA(64 << 20);
    const struct str model = expected(m, version, &a);
    const struct str view = shown_at("v", version, DIGEST, "");
    if (!str_eq(model, view)) {
        fail_msg("version %lld, filter %s, masks %s, %s: " STR_FMT " instead of " STR_FMT,
                 (long long)version, filters[m->filter], text_masks[m->text].json,
                 date_masks[m->date].json, STR_ARG(view), STR_ARG(model));
    }
}

static void define(struct model *m) {
    m->text = (size_t)random_below(ARRAY_LEN(text_masks));
    m->date = (size_t)random_below(ARRAY_LEN(date_masks));
    m->filter = (size_t)random_below(ARRAY_LEN(filters));
    put_view("v", "t",
             arena_printf(&world.arena, "{\"x\": %s, \"id\": null, \"d\": %s}",
                          text_masks[m->text].json, date_masks[m->date].json)
                 .ptr,
             filter_with(filters[m->filter], STR("acl"), &world.arena).ptr);
}

static const char *some_rows(struct model *m) {
    const int64_t from = m->next_id;
    m->next_id += 5 + random_below(200);
    return arena_printf(&world.arena,
                        "(SELECT i::INTEGER AS id, CASE WHEN i %% 11 <> 0 THEN 'Text ' || hash(i) "
                        "%% 1000 END AS x, CASE WHEN i %% 5 <> 0 THEN DATE '2019-12-20' + "
                        "(i %% 400)::INTEGER END AS d, (i %% 3)::INTEGER AS team FROM range(%lld, "
                        "%lld) r(i))",
                        (long long)from, (long long)m->next_id)
        .ptr;
}

static void hide(const struct model *m) {
    struct table_tombstoned done;
    const struct table_key key = {
        .text = arena_printf(&world.arena, "%lld", (long long)random_below(m->next_id)),
        .integer = true};
    const struct table_tombstone request = {.dataset = STR("t"),
                                            .column = STR("id"),
                                            .keys = &key,
                                            .key_count = 1,
                                            .who = world_author,
                                            .session = world.session};
    OK(random_below(3) > 0
           ? table_tombstone(world.tables, &request, &world.arena, &done, &err)
           : table_tombstone_undo(world.tables, &request, &world.arena, &done, &err));
}

static void note_version(struct model *m) {
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    const struct table_want want = {.name = STR("t")};
    struct table_pin pin;
    OK(table_pin_at(world.tables, &want, &a, &pin, &err));
    m->versions[m->version_count++] = pin.snapshot->sequence_number;
}

static void step(struct model *m) {
    switch (random_below(12)) {
    case 0:
    case 1:
    case 2:
        write_rows(TABLE_APPEND, "t", some_rows(m));
        break;
    case 3:
    case 4:
        delete_keys("t", "id",
                    arena_printf(&world.arena,
                                 "(SELECT i::INTEGER AS id FROM range(%lld) r(i) WHERE hash(i, "
                                 "%lld) %% 10 = 0)",
                                 (long long)m->next_id, (long long)random_below(1000))
                        .ptr);
        break;
    case 5:
    case 6:
        hide(m);
        break;
    case 7:
        write_rows(random_below(2) == 0 ? TABLE_APPEND : TABLE_REPLACE, "acl",
                   arena_printf(&world.arena,
                                "(SELECT (i * %lld)::INTEGER AS aid FROM range(1, 30) r(i))",
                                (long long)random_below(9) + 1)
                       .ptr);
        break;
    case 8:
        OK(views_forget(views, &err));
        break;
    case 9:
        views_again(1 << 30);
        break;
    default:
        define(m);
    }
    note_version(m);
}

static void hash_text(void *ctx, struct str in, struct buf *out) {
    masker_text(ctx, in, out);
}

static void a_view_shows_what_the_model_says(void **state) {
    (void)state;
    struct catalog_secret secret;
    struct mask_keys keys;
    OK(catalog_secret_get(world.catalog, VIEW_SECRET, &world.arena, &secret, &err));
    mask_keys_derive(secret.bytes, &keys);
    DEFER(masker_freep)
    struct masker *hash = masker_new(&(struct mask){.kind = MASK_HASH}, &keys);
    const struct engine_mapper mapper = {.text = hash_text, .ctx = hash};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model m = {.map = engine_map_begin(engine, &mapper)};
        random_state = seed * UINT64_C(0x9E3779B97F4A7C15);
        write_rows(seed == 1 ? TABLE_CREATE : TABLE_REPLACE, "t", some_rows(&m));
        write_rows(seed == 1 ? TABLE_CREATE : TABLE_REPLACE, "acl",
                   "(SELECT (i * 2)::INTEGER AS aid FROM range(1, 30) r(i))");
        define(&m);
        note_version(&m);
        for (int i = 0; i < STEPS; i++) {
            step(&m);
            compare(&m, 0);
            compare(&m, m.versions[random_below((int64_t)m.version_count)]);
        }
        engine_map_end(engine, m.map);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_view_shows_what_the_model_says, setup, teardown),
    };
    return cmocka_run_group_tests(tests, open_engines, close_engines);
}
