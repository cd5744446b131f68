// Which files a compaction writes again, and which of them together.

#include <stdlib.h>

#include "upkeep/upkeep_int.h"

#define BIN_FILES_MAX 10000 // files that one statement reads

static int64_t deleted_of(const struct table_file *f) {
    return f->deletes != NULL ? f->deletes->count : 0;
}

// Bytes that the live rows will take.
static int64_t weight_of(const struct table_file *f) {
    const double rows = (double)MAX(f->file->record_count, 1);
    const double live = rows - (double)deleted_of(f);
    return MAX((int64_t)((double)f->file->file_bytes * live / rows), 1);
}

static bool is_small(const struct table_file *f, int64_t target_bytes) {
    return f->file->file_bytes < target_bytes / 4 * 3;
}

static bool has_many_deletes(const struct table_file *f, int64_t share) {
    const int64_t deleted = deleted_of(f);
    return deleted > 0 && (double)deleted * 1000 >= (double)share * (double)f->file->record_count;
}

static int by_sequence(const void *x, const void *y) {
    const struct table_file *a = *(const struct table_file *const *)x;
    const struct table_file *b = *(const struct table_file *const *)y;
    if (a->entry->sequence_number != b->entry->sequence_number) {
        return a->entry->sequence_number < b->entry->sequence_number ? -1 : 1;
    }
    return str_cmp(a->file->path, b->file->path);
}

static int by_weight(const void *x, const void *y) {
    const int64_t a = weight_of(*(const struct table_file *const *)x);
    const int64_t b = weight_of(*(const struct table_file *const *)y);
    return a != b ? (a < b ? -1 : 1) : by_sequence(x, y);
}

// From small to large: a file that outweighs all smaller ones together stays as it is, and so do
// those that are larger still. A large file is so written again only when it doubles.
static size_t cut_large(const struct table_file **files, size_t count, int64_t share) {
    size_t kept = 0;
    size_t some = 0;
    int64_t sum = 0;
    qsort(files, count, sizeof(void *), by_weight);
    for (; some < count; some++) {
        const int64_t weight = weight_of(files[some]);
        if (some >= 2 && weight > sum) {
            break;
        }
        sum += weight;
    }
    for (size_t i = 0; i < count; i++) {
        if (i < some || has_many_deletes(files[i], share)) {
            files[kept++] = files[i];
        }
    }
    return kept;
}

void upkeep_bin_add(struct upkeep_bin *b, const struct table_file *f) {
    b->count++;
    b->tombstoned += f->deletes != NULL ? f->deletes->tombstone_count : 0;
    b->bytes += weight_of(f);
    b->deleted += deleted_of(f);
    b->live += f->file->record_count - deleted_of(f);
}

// Of one file without deletes nothing better can be made.
bool upkeep_bin_is_of_use(const struct upkeep_bin *b) {
    return b->count > 1 || b->deleted > 0;
}

static void pack(const struct table_file **files, size_t count, int64_t target_bytes,
                 struct arena *a, struct upkeep_plan *ret) {
    ret->bins = arena_array(a, count, sizeof(*ret->bins));
    for (size_t i = 0; i < count;) {
        struct upkeep_bin b = {.files = files + i};
        do {
            upkeep_bin_add(&b, files[i++]);
        } while (i < count && b.bytes + weight_of(files[i]) <= target_bytes &&
                 b.count < BIN_FILES_MAX);
        if (upkeep_bin_is_of_use(&b)) {
            ret->bins[ret->count++] = b;
        }
    }
}

void upkeep_plan_make(const struct upkeep_compact *request, const struct table_scan *files,
                      int64_t target_bytes, struct arena *a, struct upkeep_plan *ret) {
    const bool all = request->cluster_count > 0;
    const struct table_file **some = arena_array(a, files->file_count, sizeof(void *));
    size_t count = 0;
    *ret = (struct upkeep_plan){0};
    for (size_t i = 0; i < files->file_count; i++) {
        const struct table_file *f = &files->files[i];
        if (all || is_small(f, target_bytes) || has_many_deletes(f, request->deletes_share)) {
            some[count++] = f;
        }
    }
    if (request->tiered) {
        count = cut_large(some, count, request->deletes_share);
    }
    qsort(some, count, sizeof(void *), by_sequence);
    if (!all) {
        pack(some, count, target_bytes, a, ret);
    } else if (count > 0) {
        struct upkeep_bin *b = arena_alloc(a, sizeof(*b));
        b->files = some;
        for (size_t i = 0; i < count; i++) {
            upkeep_bin_add(b, some[i]);
        }
        *ret = (struct upkeep_plan){b, 1};
    }
}
