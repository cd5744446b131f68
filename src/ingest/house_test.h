// A house for tests of ingest: catalog, engine, tables, the service, and what came out of a file.
// file.
#pragma once

#include "ingest/ingest.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct fixture {
    char folder[64];
    struct arena arena; // of one test
    struct arena whole; // of the program
    struct config config;
    struct catalog *catalog;
    struct engine *engine;
    struct tables *tables;
    struct ingest *ingest;
    struct err err;
    int number; // makes dataset names
} f;

#define OK(call)                                                                                   \
    do {                                                                                           \
        f.err = ERR_NONE;                                                                          \
        if ((call) != ERR_OK) {                                                                    \
            fail_msg("%s: %s", #call, f.err.msg);                                                  \
        }                                                                                          \
    } while (0)

static int open_house(void **state) {
    (void)state;
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/ingest_test_XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    f.arena = ARENA(64 << 20);
    f.whole = ARENA(64 << 20);
    char flag[100];
    (void)snprintf(flag, sizeof(flag), "--data=%s", f.folder);
    char rejects[] = "--ingest-rejects-max=50";
    char unpacked[] = "--ingest-unpacked-max=64M";
    char *argv[] = {flag, rejects, unpacked};
    OK(config_load(3, argv, &f.whole, &f.config, &f.err));
    OK(catalog_open(&f.config, &f.catalog, &f.err));
    const struct engine_options o = {.threads = 2, .memory_bytes = 1 << 30};
    OK(engine_open(&o, &f.engine, &f.err));
    const struct tables_options t = {
        .spool = arena_printf(&f.whole, "%s/spool", f.folder),
        .target_bytes = 64 << 20,
        .cache_bytes = 16 << 20,
    };
    assert_int_equal(mkdir(t.spool.ptr, 0700), 0);
    f.tables = tables_new(f.catalog, f.engine, &t);
    OK(ingest_open(&f.config, f.tables, f.engine, &f.ingest, &f.err));
    return 0;
}

static int close_house(void **state) {
    (void)state;
    ingest_close(f.ingest);
    tables_free(f.tables);
    engine_close(f.engine);
    catalog_close(f.catalog);
    arena_release(&f.arena);
    arena_release(&f.whole);
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", f.folder);
    FILE *p = popen(command, "r");
    return p ? pclose(p) : 1;
}

static int reset(void **state) {
    (void)state;
    arena_reset(&f.arena);
    f.err = ERR_NONE;
    return 0;
}

// Everything but the folder of rejects and that of deltas is gone.
static void assert_spool_empty(void) {
    DIR *folder = opendir(arena_printf(&f.arena, "%s/spool", f.folder).ptr);
    assert_non_null(folder);
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "rejects") != 0 &&
            !str_starts(str_from(entry->d_name), STR("deltas-"))) {
            fail_msg("\"%s\" was left in the spool folder", entry->d_name);
        }
    }
    (void)closedir(folder);
}

static struct ingest_request request(const char *dataset) {
    return (struct ingest_request){
        .dataset = str_from(dataset),
        .who = {.actor = STR("test"), .action = STR("dataset.ingest")},
    };
}

static struct str new_name(void) {
    return arena_printf(&f.arena, "t%d", ++f.number);
}

// Sends the file in pieces of `piece` bytes.
static enum err_code send(const struct ingest_request *r, struct str file, size_t piece,
                          struct ingest_result *ret) {
    struct ingest_upload *u = NULL;
    f.err = ERR_NONE;
    enum err_code code = ingest_begin(f.ingest, r, &u, &f.err);
    if (code != ERR_OK) {
        return code;
    }
    for (size_t at = 0; code == ERR_OK && at < file.len; at += piece) {
        code = ingest_add(u, str_slice(file, at, at + piece), &f.err);
    }
    code = code == ERR_OK ? ingest_finish(u, &f.arena, ret, &f.err) : code;
    ingest_end(u);
    assert_spool_empty();
    return code;
}

static struct str schema_text(const struct ice_schema *s) {
    struct buf out = BUF(1 << 20);
    for (size_t i = 0; i < s->field_count; i++) {
        const struct str type = ice_type_text(&s->fields[i].type, &f.arena);
        buf_printf(&out, "%s" STR_FMT " " STR_FMT "%s", i > 0 ? ", " : "",
                   STR_ARG(s->fields[i].name), STR_ARG(type), s->fields[i].required ? "!" : "");
    }
    const struct str text = arena_str(&f.arena, buf_str(&out));
    buf_release(&out);
    return text;
}

static struct str scan_of(struct str dataset) {
    const struct table_want want = {.name = dataset};
    const struct table_conditions none = {0};
    struct table_pin pin;
    struct table_scan scan;
    OK(table_pin_at(f.tables, &want, &f.arena, &pin, &f.err));
    OK(table_scan_plan(f.tables, &pin, &none, &f.arena, &scan, &f.err));
    return table_scan_sql(&pin, &scan, &f.arena);
}

// The dataset's rows: values with '|' between, rows with ';' behind; NULL is ~.
static struct str rows_in_order(struct str dataset, const char *order) {
    const struct str scan = scan_of(dataset);
    const struct str sql =
        arena_printf(&f.arena, "SELECT COLUMNS(*)::VARCHAR FROM (SELECT * FROM (" STR_FMT ")%s)",
                     STR_ARG(scan), order);
    struct session *s = NULL;
    struct rows *r = NULL;
    OK(session_open(f.engine, &s, &f.err));
    OK(session_query(s, sql, &r, &f.err));
    struct buf out = BUF(64 << 20);
    const struct vec_chunk *chunk = NULL;
    do {
        OK(rows_next(r, &chunk, &f.err));
        for (size_t row = 0; chunk && row < chunk->rows; row++) {
            for (size_t i = 0; i < chunk->column_count; i++) {
                const struct vec *v = &chunk->columns[i];
                buf_add_cstr(&out, i > 0 ? "|" : "");
                buf_add_str(&out, vec_is_null(v, row) ? STR("~") : vec_str(v, row));
            }
            buf_add_char(&out, ';');
        }
    } while (chunk);
    rows_close(r);
    session_close(s);
    const struct str text = arena_str(&f.arena, buf_str(&out));
    buf_release(&out);
    return text;
}

static struct str rows_text(struct str dataset) {
    return rows_in_order(dataset, "");
}

// One answer from SQL over the dataset's rows, which stand for %s.
static struct str ask(struct str dataset, const char *select) {
    const struct str scan = scan_of(dataset);
    struct session *s = NULL;
    struct str answer = STR_NONE;
    OK(session_open(f.engine, &s, &f.err));
    OK(session_text(s, arena_printf(&f.arena, "%s (" STR_FMT ")", select, STR_ARG(scan)), &f.arena,
                    &answer, &f.err));
    session_close(s);
    return answer;
}
