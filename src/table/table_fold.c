// Folding: small files that deltas brought go into the file of a later delta.
//
// Without it a dataset that gets a row at a time would soon consist of thousands of files, and
// every look-up by key would open them all. Files of deltas are known by their names. The smallest
// are taken as long as one is not much larger than all before it together, so that a row is written
// again about as often as the number of its dataset's delta rows can be halved. Files that were
// written otherwise are never touched.

#include <stdlib.h>

#include "table/table_commit.h"

#define FOLD_FILES_MIN 12
#define FOLD_ROWS_MAX 65536 // of a file; larger ones are compaction's business
#define FOLD_GROWTH 2       // times all smaller ones

static int by_rows(const void *x, const void *y) {
    const int64_t a = (*(const struct table_file *const *)x)->file->record_count;
    const int64_t b = (*(const struct table_file *const *)y)->file->record_count;
    return a < b ? -1 : a > b;
}

// What tombstones hide can be brought back: its file stays.
static bool hides_rows(const struct table_file *f) {
    return f->deletes != NULL && f->deletes->tombstone_count > 0;
}

static bool is_of_delta(const struct table_file *f) {
    return str_find(f->object, STR("/data/" TABLE_DELTA_PREFIX)) >= 0 &&
           f->file->record_count <= FOLD_ROWS_MAX && !hides_rows(f);
}

// The rows of a file that are deleted by now or by this commit.
static const struct table_deletes *all_deletes(const struct table_fold *fold,
                                               const struct table_file *f, struct arena *a) {
    const uint64_t *gone = NULL;
    for (size_t i = 0; fold->gone != NULL && i < fold->scan->file_count && gone == NULL; i++) {
        if (fold->gone[i] != NULL && str_eq(fold->scan->files[i].file->path, f->file->path)) {
            gone = fold->gone[i];
        }
    }
    if (gone == NULL) {
        return f->deletes;
    }
    const size_t words = ((size_t)f->file->record_count + 63) / 64;
    uint64_t *bits = arena_array(a, words, sizeof(*bits));
    struct table_deletes *all = arena_alloc(a, sizeof(*all));
    *all = (struct table_deletes){.bits = bits, .rows = f->file->record_count};
    for (size_t i = 0; i < words; i++) {
        bits[i] = gone[i] | (f->deletes != NULL ? f->deletes->bits[i] : 0);
        all->count += __builtin_popcountll(bits[i]);
    }
    return all;
}

enum err_code table_fold_plan(struct tables *t, const struct table_pin *base,
                              struct table_fold *fold, struct arena *a, struct err *err) {
    struct table_scan all;
    fold->count = 0;
    if (base->snapshot == NULL || fold->rows > FOLD_ROWS_MAX) {
        return ERR_OK;
    }
    TRY(table_files_load(t, base, a, &all, err));
    struct table_file **small = arena_array(a, all.file_count, sizeof(void *));
    size_t count = 0;
    for (size_t i = 0; i < all.file_count; i++) {
        if (is_of_delta(&all.files[i])) {
            small[count++] = &all.files[i];
        }
    }
    if (count < FOLD_FILES_MIN) {
        return ERR_OK;
    }
    qsort(small, count, sizeof(void *), by_rows);
    int64_t rows = fold->rows;
    fold->files = arena_array(a, count, sizeof(*fold->files));
    while (fold->count < count && small[fold->count]->file->record_count <= FOLD_GROWTH * rows) {
        fold->files[fold->count] = *small[fold->count];
        rows += small[fold->count++]->file->record_count;
    }
    if (fold->count < FOLD_FILES_MIN) {
        fold->count = 0;
        return ERR_OK;
    }
    for (size_t i = 0; i < fold->count; i++) {
        fold->files[i].deletes = all_deletes(fold, &fold->files[i], a);
    }
    const struct table_scan scan = table_scan_of(t->engine, fold->files, fold->count, a);
    fold->select = table_scan_sql(base, &scan, a);
    return ERR_OK;
}

bool table_fold_has(const struct table_fold *fold, const struct table_file *f) {
    for (size_t i = 0; i < fold->count; i++) {
        if (str_eq(fold->files[i].file->path, f->file->path)) {
            return true;
        }
    }
    return false;
}

void table_fold_edit(const struct table_fold *fold, struct table_edit *e, struct arena *a) {
    for (size_t i = 0; i < fold->count; i++) {
        const struct table_file *f = &fold->files[i];
        table_path_add(&e->removed, f->file->path, a);
        for (size_t j = 0; j < f->delete_file_count; j++) {
            if (table_delete_target(f->delete_files[j]).len > 0) {
                table_path_add(&e->removed, f->delete_files[j]->path, a);
            }
        }
    }
}
