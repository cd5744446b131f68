// The policy: compaction and expiry unasked, one dataset at a time, at low cost.
//
// A thread looks, every interval, whether the catalog's log has moved since it looked last. If not,
// it sleeps on. Else it looks at the datasets whose entry is of another version than then: at the
// number of files and bytes that the entry says, and at the totals in the summary of the newest
// snapshot. No manifest is read before there is something to do. Once an hour it looks at all of
// them, since snapshots grow old by themselves.

#include <stdlib.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "catalog/catalog_content.h"
#include "upkeep/upkeep_int.h"

#define LOOK_AT_ALL_US (INT64_C(3600) * 1000000)
#define METADATA_SLACK 500 // commits after which forgotten metadata files are looked for
#define KIND "upkeep"

// What is remembered of a dataset, by its id.
struct memo {
    char *id;
    uint64_t version;   // that was looked at
    int64_t files_left; // after the last compaction
    int64_t expired_at; // last sequence number when it was expired
    UT_hash_handle hh;
};

struct upkeep_policy {
    struct upkeep *upkeep;
    struct jobs *jobs;
    struct upkeep_policy_options options;
    pthread_t thread;
    pthread_mutex_t lock; // guards everything below
    pthread_cond_t wake;
    bool stopping;
    struct memo *memos;
    uint64_t seen_seq;
    int64_t seen_all_us;
};

// What is due for a dataset.
struct due {
    bool compact, expire;
};

// A dataset's turn. Belongs to the job.
struct turn {
    struct upkeep_policy *policy;
    struct arena texts;
    struct str dataset, id;
    struct due due;
};

static void memo_free(struct memo *m) {
    free(m->id);
    free(m);
}

// With the lock held.
static struct memo *memo_of(struct upkeep_policy *p, struct str id) {
    struct memo *m = NULL;
    HASH_FIND(hh, p->memos, id.ptr, id.len, m);
    if (m == NULL) {
        DEFER(arena_release) struct arena a = ARENA(1 << 12);
        m = xcalloc(1, sizeof(*m));
        m->id = xstrdup(arena_cstr(&a, id));
        HASH_ADD_KEYPTR(hh, p->memos, m->id, id.len, m);
    }
    return m;
}

// Files beyond those that the bytes need at least, or that the last compaction left.
static bool has_many_files(const struct upkeep_policy *p, const struct memo *m,
                           const struct catalog_dataset *d) {
    const int64_t least = d->bytes / p->upkeep->options.target_bytes + 1;
    return d->files - MAX(least, m->files_left) >= p->options.small_files;
}

static bool has_many_deletes(const struct upkeep_policy *p, const struct ice_snapshot *s) {
    const struct ice_totals t = ice_totals_of(s);
    return t.position_deletes > 0 && t.records > 0 &&
           (double)t.position_deletes * 100 >=
               (double)p->options.deletes_percent * (double)t.records;
}

static bool has_old_snapshots(const struct upkeep_policy *p, const struct memo *m,
                              const struct ice_metadata *metadata, bool by_age, struct arena *a) {
    struct ice_retention keep = ice_metadata_retention(metadata, clock_wall_us() / 1000);
    size_t count = 0;
    // A few more than are kept, so that not every commit is followed by an expiry.
    const int64_t most = p->upkeep->options.snapshots_max;
    if ((int64_t)metadata->snapshot_count > most + MAX(most / 10, 1) ||
        metadata->last_sequence_number - m->expired_at >= METADATA_SLACK) {
        return true;
    }
    if (by_age) {
        (void)ice_metadata_expired(metadata, &keep, a, &count);
    }
    return count > 0;
}

static enum err_code look_at(struct upkeep_policy *p, const struct catalog_dataset *d,
                             struct memo *m, bool all, struct due *ret, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    const struct ice_metadata *metadata;
    *ret = (struct due){0};
    if (d->version == m->version && !all) {
        return ERR_OK;
    }
    TRY(table_metadata_load(p->upkeep->tables, d, &a, &metadata, err));
    ret->compact = has_many_files(p, m, d) || has_many_deletes(p, ice_metadata_snapshot(metadata));
    ret->expire = has_old_snapshots(p, m, metadata, all, &a);
    m->version = d->version;
    return ERR_OK;
}

static enum err_code do_compact(struct turn *t, struct job *job, struct arena *a, json_t *result,
                                struct err *err) {
    const struct upkeep_policy *p = t->policy;
    const struct upkeep_compact r = {
        .dataset = t->dataset,
        .tiered = true,
        .keeps_tombstones = true,
        .deletes_share = p->options.deletes_percent * 10,
        .bytes_a_second = p->options.bytes_a_second,
        .threads = 1,
        .who = {.actor = STR("upkeep"), .action = STR("dataset.compact"), .reason = STR("policy")}};
    struct upkeep_compacted done;
    TRY(upkeep_compact(p->upkeep, &r, job, a, &done, err));
    json_object_set_new(result, "files_before", json_integer(done.files_before));
    json_object_set_new(result, "files_after", json_integer(done.files_after));
    json_object_set_new(result, "deletes_applied", json_integer(done.deletes_applied));
    LOCKED(&t->policy->lock);
    memo_of(t->policy, t->id)->files_left = done.files_after;
    return ERR_OK;
}

static enum err_code do_expire(struct turn *t, struct job *job, struct arena *a, json_t *result,
                               struct err *err) {
    const struct upkeep_expire r = {
        .dataset = t->dataset,
        .older_than_ms = -1,
        .who = {.actor = STR("upkeep"), .action = STR("dataset.expire"), .reason = STR("policy")}};
    const struct table_want want = {.name = t->dataset};
    struct table_pin pin;
    struct upkeep_expired done;
    TRY(upkeep_expire(t->policy->upkeep, &r, job, a, &done, err));
    json_object_set_new(result, "snapshots_removed", json_integer(done.snapshots_removed));
    json_object_set_new(result, "objects_removed", json_integer(done.objects_removed));
    TRY(table_pin_at(t->policy->upkeep->tables, &want, a, &pin, err));
    LOCKED(&t->policy->lock);
    memo_of(t->policy, t->id)->expired_at = pin.metadata->last_sequence_number;
    return ERR_OK;
}

static enum err_code turn_run(struct job *job, void *ctx, struct arena *a, json_t **ret,
                              struct err *err) {
    struct turn *t = ctx;
    DEFER(json_decrefp) json_t *result = json_object();
    if (t->due.compact) {
        TRY(do_compact(t, job, a, result, err));
    }
    if (t->due.expire) {
        TRY(do_expire(t, job, a, result, err));
    }
    *ret = json_incref(result);
    return ERR_OK;
}

static void turn_free(void *ctx) {
    struct turn *t = ctx;
    arena_release(&t->texts);
    free(t);
}

static void turn_start(struct upkeep_policy *p, const struct catalog_dataset *d, struct due due) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct err err = ERR_NONE;
    struct str id;
    struct turn *t = xcalloc(1, sizeof(*t));
    *t = (struct turn){.policy = p, .texts = ARENA(1 << 16), .due = due};
    t->dataset = arena_str(&t->texts, d->name);
    t->id = arena_str(&t->texts, d->id);
    const struct job_spec spec = {.kind = KIND,
                                  .target = t->dataset,
                                  .principal = STR("upkeep"),
                                  .run = turn_run,
                                  .release = turn_free,
                                  .ctx = t};
    if (jobs_start(p->jobs, &spec, &a, &id, &err) != ERR_OK) {
        log_debug("upkeep", "error=%s", log_quote(str_from(err.msg)));
    }
}

// The first dataset that needs something gets its turn. False: none does.
static bool give_a_turn(struct upkeep_policy *p, bool all) {
    struct str after = STR_NONE;
    struct catalog_datasets page;
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    do {
        catalog_dataset_list(p->upkeep->catalog, after, 100, &a, &page);
        for (size_t i = 0; i < page.count; i++) {
            const struct catalog_dataset *d = &page.items[i];
            struct err err = ERR_NONE;
            struct due due;
            LOCKED(&p->lock);
            after = d->name;
            if (look_at(p, d, memo_of(p, d->id), all, &due, &err) != ERR_OK) {
                log_warn("upkeep", "dataset=%s error=%s", log_quote(d->name),
                         log_quote(str_from(err.msg)));
            } else if (due.compact || due.expire) {
                turn_start(p, d, due);
                return true;
            }
        }
    } while (page.more);
    return false;
}

// Content objects that a change left behind when it was cut short may hold values of people.
static void sweep_content(struct upkeep_policy *p) {
    DEFER(arena_release) struct arena a = ARENA(1U << 30);
    struct catalog_content_swept swept;
    struct err err = ERR_NONE;
    if (catalog_content_sweep(p->upkeep->catalog, LOOK_AT_ALL_US, &a, &swept, &err) != ERR_OK) {
        log_warn("upkeep", "error=%s", log_quote(str_from(err.msg)));
    }
}

static void look(struct upkeep_policy *p) {
    const uint64_t seq = txlog_seq(catalog_log(p->upkeep->catalog));
    const int64_t now_us = clock_mono_us();
    const bool all = now_us - p->seen_all_us >= LOOK_AT_ALL_US;
    if (jobs_active(p->jobs, KIND, STR_NONE) || (seq == p->seen_seq && !all)) {
        return;
    }
    if (all) {
        sweep_content(p);
    }
    if (!give_a_turn(p, all)) {
        p->seen_seq = seq;
        p->seen_all_us = all ? now_us : p->seen_all_us;
    }
}

// Waits for the interval; false at the end.
static bool wait_for_turn(struct upkeep_policy *p) {
    const int64_t end_us = clock_mono_us() + p->options.interval_ms * 1000;
    LOCKED(&p->lock);
    while (!p->stopping && threads_cond_wait_until(&p->wake, &p->lock, end_us)) {
    }
    return !p->stopping;
}

static void *policy_run(void *arg) {
    struct upkeep_policy *p = arg;
    while (wait_for_turn(p)) {
        look(p);
    }
    return NULL;
}

struct upkeep_policy *upkeep_policy_new(struct upkeep *u, struct jobs *jobs,
                                        const struct upkeep_policy_options *o) {
    struct upkeep_policy *p = xcalloc(1, sizeof(*p));
    p->upkeep = u;
    p->jobs = jobs;
    p->options = *o;
    p->seen_all_us = clock_mono_us();
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    threads_cond_init(&p->wake);
    p->thread = threads_start("upkeep", policy_run, p);
    return p;
}

void upkeep_policy_stop(struct upkeep_policy *p) {
    if (p == NULL) {
        return;
    }
    {
        LOCKED(&p->lock);
        if (p->stopping) {
            return;
        }
        p->stopping = true;
        CHECK(pthread_cond_signal(&p->wake) == 0);
    }
    CHECK(pthread_join(p->thread, NULL) == 0);
}

void upkeep_policy_free(struct upkeep_policy *p) {
    if (p == NULL) {
        return;
    }
    upkeep_policy_stop(p);
    struct memo *m = p->memos;
    HASH_CLEAR(hh, p->memos); // the list goes on through the items
    while (m != NULL) {
        struct memo *next = m->hh.next;
        memo_free(m);
        m = next;
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
