// Tests of the demonstration data: counts, keys, references, and the same rows every time.
#define _GNU_SOURCE // mkdtemp
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "demo/demo_world.h"

struct world {
    struct arena arena;
    struct engine *engine;
    struct session *session;
    char folder[64], again[64];
};

static const char *const files[] = {"candidates", "clients", "placements"};

static void write_into(struct world *w, char *folder) {
    struct err err = ERR_NONE;
    snprintf(folder, sizeof(w->folder), "/tmp/demo-world-XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (demo_world_write(w->engine, folder, &err) != ERR_OK) {
        fail_msg("%s", err.msg);
    }
}

static int set_up(void **state) {
    static struct world world;
    struct err err = ERR_NONE;
    const struct engine_options options = {.threads = 2};
    world.arena = ARENA(1 << 20);
    if (engine_open(&options, &world.engine, &err) != ERR_OK ||
        session_open(world.engine, &world.session, &err) != ERR_OK) {
        fail_msg("%s", err.msg);
    }
    write_into(&world, world.folder);
    *state = &world;
    return 0;
}

static void remove_folder(const char *folder) {
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s.parquet", folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static int tear_down(void **state) {
    struct world *w = *state;
    remove_folder(w->folder);
    remove_folder(w->again);
    session_close(w->session);
    engine_close(w->engine);
    arena_release(&w->arena);
    return 0;
}

// The first value of a statement in which %s stands for the folder of the files.
static const char *ask(struct world *w, const char *folder, const char *before, const char *file,
                       const char *after) {
    struct err err = ERR_NONE;
    struct str ret = STR_NONE;
    const struct str sql =
        arena_printf(&w->arena, "%s '%s/%s.parquet' %s", before, folder, file, after);
    if (session_text(w->session, sql, &w->arena, &ret, &err) != ERR_OK) {
        fail_msg("%s: %s", sql.ptr, err.msg);
    }
    return arena_cstr(&w->arena, ret);
}

static void tables_have_their_rows(void **state) {
    struct world *w = *state;
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "candidates", ""), "100000");
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "clients", ""), "2000");
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "placements", ""), "1470000");
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM (DESCRIBE FROM", "candidates", ")"),
                        "15");
}

static void keys_are_unique(void **state) {
    struct world *w = *state;
    assert_string_equal(ask(w, w->folder,
                            "SELECT min(candidate_id) || ' ' || max(candidate_id) || ' ' ||"
                            " count(DISTINCT candidate_id) || ' ' || count(DISTINCT email) FROM",
                            "candidates", ""),
                        "CAND-000001 CAND-100000 100000 100000");
    assert_string_equal(ask(w, w->folder, "SELECT count(DISTINCT client_id) FROM", "clients", ""),
                        "2000");
    assert_string_equal(
        ask(w, w->folder, "SELECT count(DISTINCT placement_id) FROM", "placements", ""), "1470000");
}

static void placements_name_what_is_there(void **state) {
    struct world *w = *state;
    const struct str clients = arena_printf(
        &w->arena, "p WHERE client_id NOT IN (SELECT client_id FROM '%s/clients.parquet')",
        w->folder);
    const struct str candidates = arena_printf(
        &w->arena, "p WHERE candidate_id NOT IN (SELECT candidate_id FROM '%s/candidates.parquet')",
        w->folder);
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "placements", clients.ptr), "0");
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "placements", candidates.ptr),
                        "0");
}

static void values_make_sense(void **state) {
    struct world *w = *state;
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "placements",
                            "WHERE end_date <= start_date OR bill_rate <= pay_rate OR"
                            " (end_date IS NULL) != (status = 'active')"),
                        "0");
    assert_string_equal(ask(w, w->folder,
                            "SELECT typeof(bill_rate) || ' ' || typeof(end_date) FROM",
                            "placements", "LIMIT 1"),
                        "DECIMAL(10,2) DATE");
    assert_string_equal(ask(w, w->folder, "SELECT count(*) FROM", "candidates",
                            "WHERE NOT regexp_full_match(phone, '\\(\\d{3}\\) 555-01\\d\\d') OR"
                            " NOT regexp_full_match(zip, '\\d{5}') OR"
                            " NOT regexp_full_match(email, '[a-z.0-9]+@example\\.(com|org|net)')"),
                        "0");
    assert_string_equal(ask(w, w->folder,
                            "SELECT count(DISTINCT status) || ' ' ||"
                            " count(DISTINCT city) || ' ' || count(DISTINCT vertical) FROM",
                            "candidates", ""),
                        "4 20 8");
}

static void rows_are_the_same_every_time(void **state) {
    struct world *w = *state;
    write_into(w, w->again);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        // Order counts: the number of the row is part of what is summed.
        const char *before = "SELECT sum(hash(t))::VARCHAR FROM (SELECT * FROM read_parquet(";
        const char *after = ", file_row_number = true)) t";
        assert_string_equal(ask(w, w->folder, before, files[i], after),
                            ask(w, w->again, before, files[i], after));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_have_their_rows),        cmocka_unit_test(keys_are_unique),
        cmocka_unit_test(placements_name_what_is_there), cmocka_unit_test(values_make_sense),
        cmocka_unit_test(rows_are_the_same_every_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
