// Baseline: the engine called directly through its C API, for "make bench" to measure against.
//
// Reads commands from standard input, one a line, and answers each with one JSON line:
//   once N SQL    runs SQL N times, fetching every chunk:
//                 {"wall_us": [...], "cpu_us": total of the process over all N}
//   run N SQL     the same, after running it once unmeasured
//   encode ROWS   writes ROWS rows of 5 columns as a jansson tree, as NDJSON and as Arrow; CPU
//   time:
//                 {"tree_us": ..., "dump_us": ..., "ndjson_us": ..., "arrow_us": ...}

#include <duckdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/json.h"
#include "bench/encoding.h"

#define LINE_MAX_BYTES (1 << 20)

static int64_t now_us(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool run_once(duckdb_connection c, const char *sql) {
    duckdb_result result;
    if (duckdb_query(c, sql, &result) != DuckDBSuccess) {
        printf("{\"error\": \"see standard error\"}\n");
        (void)fprintf(stderr, "baseline: %s\n", duckdb_result_error(&result));
        duckdb_destroy_result(&result);
        return false;
    }
    for (duckdb_data_chunk chunk = duckdb_fetch_chunk(result); chunk != NULL;
         chunk = duckdb_fetch_chunk(result)) {
        duckdb_destroy_data_chunk(&chunk);
    }
    duckdb_destroy_result(&result);
    return true;
}

static void run(duckdb_connection c, int times, const char *sql) {
    int64_t cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
    printf("{\"wall_us\": [");
    for (int i = 0; i < times; i++) {
        int64_t start = now_us(CLOCK_MONOTONIC);
        if (!run_once(c, sql)) {
            return;
        }
        printf("%s%lld", i == 0 ? "" : ", ", (long long)(now_us(CLOCK_MONOTONIC) - start));
    }
    printf("], \"cpu_us\": %lld}\n", (long long)(now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu));
}

static void command(duckdb_connection c, char *line) {
    struct str rest = str_trim(str_from(line));
    struct str verb;
    struct str number;
    int64_t n = 0;
    (void)str_cut(&rest, ' ', &verb);
    (void)str_cut(&rest, ' ', &number);
    if (!str_to_i64(number, &n) || n < 1) {
        printf("{\"error\": \"a number must follow the verb\"}\n");
    } else if (str_is(verb, "run") || str_is(verb, "once")) {
        DEFER(arena_release) struct arena a = ARENA(LINE_MAX_BYTES);
        const char *sql = arena_cstr(&a, rest);
        if (str_is(verb, "once") || run_once(c, sql)) {
            run(c, (int)n, sql);
        }
    } else if (str_is(verb, "encode")) {
        encoding_measure(n);
    } else {
        printf("{\"error\": \"unknown verb\"}\n");
    }
    (void)fflush(stdout);
}

int main(void) {
    duckdb_database db;
    duckdb_connection c;
    static char line[LINE_MAX_BYTES];
    if (duckdb_open(NULL, &db) != DuckDBSuccess || duckdb_connect(db, &c) != DuckDBSuccess) {
        (void)fprintf(stderr, "baseline: the engine does not open\n");
        return 1;
    }
    (void)run_once(c, "SET TimeZone = 'UTC'");
    (void)run_once(c, "SET parquet_metadata_cache = true");
    while (fgets(line, sizeof(line), stdin) != NULL) {
        command(c, line);
    }
    duckdb_disconnect(&c);
    duckdb_close(&db);
    return 0;
}
