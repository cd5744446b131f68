// What is left after an erasure: a search through all of it, and whether it is sound.
#pragma once

#include "erase/past_test.h"

// The search: values are known by their first 15 bytes, since bounds are cut to 16 code points and
// the last one is raised.
static struct str wanted;

static inline void assert_not_in(struct str bytes, const char *where, const char *what) {
    if (str_find(bytes, wanted) >= 0) {
        fail_msg("\"" STR_FMT "\" is in %s of %s", STR_ARG(wanted), what, where);
    }
}

static inline void search_bounds(const struct ice_bounds *b, const char *where) {
    for (size_t i = 0; i < b->count; i++) {
        assert_not_in(b->items[i].bytes, where, "a bound");
    }
}

static inline void search_avro(struct str bytes, const char *path) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct ice_manifest_list list;
    struct ice_manifest *m = NULL;
    const struct ice_manifest_ref ref = {
        .path = str_from(path), .sequence_number = 1, .added_snapshot_id = 1};
    if (strstr(path, "/snap-") != NULL) {
        OK(ice_manifest_list_read(bytes, str_from(path), &a, &list, &err));
        for (size_t i = 0; i < list.manifest_count; i++) {
            assert_not_in(list.manifests[i].partitions, path, "a summary");
        }
        return;
    }
    struct ice_manifest_ref deletes = ref;
    deletes.deletes = true;
    if (ice_manifest_read(bytes, &ref, &a, &m, &err) != ERR_OK) {
        OK(ice_manifest_read(bytes, &deletes, &a, &m, &err));
    }
    for (size_t i = 0; i < m->entry_count; i++) {
        search_bounds(&m->entries[i].file.lower, path);
        search_bounds(&m->entries[i].file.upper, path);
        for (size_t j = 0; j < m->entries[i].file.partition_count; j++) {
            assert_not_in(m->entries[i].file.partition[j].bytes, path, "a partition");
        }
    }
}

static inline void search_parquet(const char *path) {
    static const char *const sources[] = {"read_parquet", "parquet_metadata",
                                          "parquet_kv_metadata"};
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct str count;
        OK(session_text(world.session,
                        arena_printf(&a,
                                     "SELECT count(*) FROM %s('%s') t WHERE contains(CAST(t AS "
                                     "VARCHAR), '" STR_FMT "')",
                                     sources[i], path, STR_ARG(wanted)),
                        &a, &count, &err));
        if (!str_is(count, "0")) {
            fail_msg("\"" STR_FMT "\" is in %s of %s", STR_ARG(wanted), sources[i], path);
        }
    }
}

static inline void search_file(const FTSENT *e) {
    DEFER(buf_release) struct buf bytes = BUF(256U << 20);
    if (e->fts_info != FTS_F) {
        return;
    }
    FILE *file = fopen(e->fts_accpath, "rb");
    assert_non_null(file);
    char *into = buf_reserve(&bytes, (size_t)e->fts_statp->st_size + 1);
    bytes.len = fread(into, 1, (size_t)e->fts_statp->st_size, file);
    (void)fclose(file);
    assert_not_in(buf_str(&bytes), e->fts_path, "the bytes");
    const struct str path = str_from(e->fts_path);
    if (str_ends(path, STR(".avro"))) {
        search_avro(buf_str(&bytes), e->fts_path);
    } else if (str_ends(path, STR(".parquet"))) {
        search_parquet(e->fts_path);
    }
}

// Nothing under the bucket tells of it, in whatever form.
static inline void assert_nothing_tells_of(const char *value) {
    wanted = str_slice(str_from(value), 0, 15);
    (void)world_walk(arena_printf(&world.texts, "%s/primary", world.root).ptr, search_file);
}

// Nothing is left that no snapshot leads to, and all that they lead to is there and whole.
static inline void assert_sound(void) {
    DEFER(arena_release) struct arena a = ARENA(1U << 28);
    struct upkeep_orphaned orphaned;
    struct upkeep_health health;
    DEFER(store_closep) struct store *s = NULL;
    const struct upkeep_orphans r = {.dataset = STR("d"), .dry_run = true};
    OK(upkeep_orphans(upkeep, &r, NULL, &a, &orphaned, &err));
    for (size_t i = 0; i < orphaned.name_count; i++) {
        print_message("orphan: " STR_FMT "\n", STR_ARG(orphaned.names[i]));
    }
    assert_int_equal(orphaned.objects, 0);
    OK(store_folder_open(arena_printf(&a, "%s/primary", world.root).ptr, &s, &err));
    const struct upkeep_fsck options = {.store = s,
                                        .uri = arena_printf(&a, "file://%s/primary", world.root),
                                        .scratch = arena_printf(&a, "%s/spool", world.root)};
    OK(upkeep_fsck(&options, &a, &health, &err));
    for (size_t i = 0; i < health.count; i++) {
        print_message(STR_FMT ": " STR_FMT "\n", STR_ARG(health.findings[i].object),
                      STR_ARG(health.findings[i].what));
    }
    assert_int_equal(health.count, 0);
}
