// Makes a data folder whose catalog has many datasets: make_catalog FOLDER COUNT.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/threads.h"
#include "catalog/catalog.h"

#define THREADS 64

struct work {
    struct catalog *catalog;
    _Atomic int64_t next;
    int64_t count;
};

static void *make_some(void *arg) {
    struct work *w = arg;
    for (int64_t i = w->next++; i < w->count; i = w->next++) {
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct err err = ERR_NONE;
        uint64_t version;
        struct str id = uuid_new(&a);
        struct catalog_dataset d = {
            .name = arena_printf(&a, "dataset_%06lld", (long long)i),
            .id = id,
            .bucket = STR("primary"),
            .dir = arena_printf(&a, "tables/dataset_%06lld-" STR_FMT, (long long)i, STR_ARG(id)),
            .metadata = arena_printf(
                &a, "tables/dataset_%06lld-" STR_FMT "/metadata/00000-" STR_FMT ".metadata.json",
                (long long)i, STR_ARG(id), STR_ARG(id)),
            .fingerprint = hex_sha256(sha256(id), &a),
            .source_sha256 = hex_sha256(sha256(id), &a),
            .rows = 1000 + i,
            .bytes = 100000 + i,
            .files = 1,
            .snapshot_id = 4075463461038582 + i,
            .created_us = clock_wall_us(),
            .updated_us = clock_wall_us()};
        struct catalog_author who = {.actor = STR("bench"), .action = STR("dataset.create")};
        if (catalog_dataset_put(w->catalog, &d, &who, NULL, &version, &err) != ERR_OK) {
            (void)fprintf(stderr, "make_catalog: %s\n", err.msg);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct config c;
    struct err err = ERR_NONE;
    DEFER(arena_release) struct arena a = ARENA(1 << 20);
    struct work w = {0};
    if (argc != 3 || !str_to_i64(str_from(argv[2]), &w.count)) {
        (void)fprintf(stderr, "make_catalog FOLDER COUNT\n");
        return 2;
    }
    char flag[] = "--data";
    char *options[] = {flag, argv[1]};
    if (config_load(2, options, &a, &c, &err) != ERR_OK ||
        catalog_open(&c, &w.catalog, &err) != ERR_OK) {
        (void)fprintf(stderr, "make_catalog: %s\n", err.msg);
        return 1;
    }
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        threads[i] = threads_start("make", make_some, &w);
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    catalog_close(w.catalog);
    return 0;
}
