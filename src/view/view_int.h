// What the files of view/ share: the service, its folder, and masked files on their way.
#pragma once

#include <pthread.h>
#include <time.h>

#include "base/cache.h"
#include "base/hashmap.h"
#include "base/scratch.h"
#include "base/threads.h"
#include "guard/guard_filter.h"
#include "table/table_files.h"
#include "view/view.h"

#define VIEW_KEY_LEN 32 // hexadecimal digits of a masked file's hash

// A masked file that is in the folder.
struct masked {
    char key[VIEW_KEY_LEN + 1];
    char *name;
    char view[9]; // the first digits of the view's id
    int64_t number, rows, bytes;
    int64_t used_us;    // wall clock
    int64_t touched_us; // when the file's own time was last set
    size_t holders;
    bool there;                 // in the index; else the last holder frees it
    uint64_t seen;              // number of the listing that had it
    struct masked *prev, *next; // used least lately first
    UT_hash_handle hh;
};

// Which SQL functions stand for the masks of a view; ids[i]: of column i, or 0.
struct view_maps {
    int64_t *ids;
};

// What one query misses: an arena with pins of its own, for the jobs of several files.
struct view_batch {
    struct arena arena;
    struct view_pin pin;
    struct table_scan scan; // of the base
    struct str *scans;      // SQL of each pin; the base's is made for each file
    struct view_maps maps;
    struct str generation;
    size_t jobs; // that are not over
};

// One masked file that is to be made, or is made.
enum view_job_state { VIEW_QUEUED, VIEW_RUNNING, VIEW_MADE, VIEW_FAILED, VIEW_DROPPED };
struct view_job {
    char key[VIEW_KEY_LEN + 1];
    struct view_batch *batch; // until it is over
    size_t file;              // which of the batch's scan
    enum view_job_state state;
    size_t waiters;
    bool dropped;            // views_forget came: nobody finds it any more
    bool counted;            // in views.dropping, since it ran then
    struct session *session; // while it runs
    struct masked *made;     // held once for each waiter
    struct err err;
    struct view_job *prev, *next; // in the queue
    UT_hash_handle hh;            // in views.jobs, until it is over
};

// A making that failed is not tried again at once.
struct view_failure {
    char key[VIEW_KEY_LEN + 1];
    struct err err;
    int64_t until_us;
    UT_hash_handle hh;
};

struct views {
    struct tables *tables;
    struct catalog *catalog;
    struct engine *engine, *parser;
    char *cache, *folder;  // <cache>/masked
    struct scratch making; // where files are made
    int64_t bytes_max;
    struct cache *filters; // checked, by base and text
    size_t maker_count;
    pthread_t *makers;

    pthread_mutex_t lock;  // guards everything below; a lock on the folder is taken before it
    pthread_cond_t work;   // for the makers
    pthread_cond_t change; // a job is over
    bool stopping;
    struct masked *files;  // by key
    struct masked *by_use; // used least lately first
    int64_t bytes;
    struct timespec listed; // the folder's time when it was listed
    bool listed_for_sure;   // no change can have had that very time
    uint64_t listings;
    struct view_job *jobs;   // queued and running, by key
    struct view_job *queue;  // oldest first
    size_t queued, dropping; // jobs; running ones that were dropped
    struct view_failure *failures;
    uint64_t names; // of files made so far
    struct views_stats stats;
};

// ---- view_folder.c

MUST_CHECK enum err_code view_folder_open(struct views *v, struct err *err);
void view_folder_close(struct views *v);
// The generation of the folder's files: VIEW_KEY_LEN digits, in the arena.
MUST_CHECK enum err_code view_generation(struct views *v, struct arena *a, struct str *ret,
                                         struct err *err);
// With the lock held: looks whether others have changed the folder.
void view_folder_sync(struct views *v);
// With the lock held: the file, noted as used and held once; NULL: it is not there.
struct masked *view_folder_hold(struct views *v, const char *key);
void view_folder_unhold(struct views *v, struct masked *m);
// What was made under that path becomes a masked file, held once for each waiter (*ret). ERR_BUSY:
// the generation is another. ERR_NO_SPACE: it is more than there is room for.
struct view_new {
    const char *path;
    struct str generation;
    struct str view; // its id
    int64_t number, rows, bytes;
    struct view_job *job;
};
MUST_CHECK enum err_code view_folder_add(struct views *v, const struct view_new *n,
                                         struct masked **ret, struct err *err);
// Everything goes, and the generation is renewed. `then` is called before anything is removed, with
// the lock held.
MUST_CHECK enum err_code view_folder_clear(struct views *v, void (*then)(struct views *v),
                                           struct err *err);

// ---- view_sql.c

bool view_is_hashed(const struct catalog_view *view); // is there a column that takes a key?
// As long as the arena. twice: sha-256-query-local is hashed again, under a key of this call.
MUST_CHECK enum err_code view_maps_begin(struct views *v, const struct catalog_view *view,
                                         bool twice, struct arena *a, struct view_maps *ret,
                                         struct err *err);
bool view_mask_fits(const struct mask *m, const struct ice_type *type);
// The rows of the pin that are shown, masked; scans: one for each pin.
struct str view_masked_sql(const struct view_pin *pin, const struct str *scans,
                           const struct view_maps *maps, struct arena *a);
// What is bound in the place of the filter's tables, from scans of the pins.
struct str view_bind(const struct guard_statement *g, const size_t *pins, const struct str *scans,
                     struct arena *a);
// "SELECT *, (filter) AS tarn_shown FROM base", checked.
MUST_CHECK enum err_code view_shown_check(struct engine *parser, struct str base, struct str filter,
                                          struct arena *a, struct guard_statement **ret,
                                          struct err *err);

// ---- view_pin.c

// Messages about datasets and their objects are not for whoever reads a view: logs what there is in
// *err, and says in its place that the view cannot be read. Returns the code.
enum err_code view_hide(const struct catalog_view *view, struct err *err);
// The filter, checked; it stays while the arena does.
MUST_CHECK enum err_code view_filter_get(struct views *v, struct str base, struct str filter,
                                         struct arena *a, const struct guard_filter **ret,
                                         struct err *err);
// The names of the masked files of a planned scan of the base: VIEW_KEY_LEN digits each.
MUST_CHECK enum err_code view_keys(struct views *v, const struct view_pin *pin,
                                   const struct table_scan *scan, struct arena *a, struct str **ret,
                                   struct err *err);

// ---- view_make.c

void view_makers_start(struct views *v);
void view_makers_close(struct views *v);

// ---- view_job.c

// With the lock held: no job of now keeps what it makes.
void view_jobs_drop(struct views *v);
// Waits until none that was dropped runs. ERR_BUSY: not in that time.
MUST_CHECK enum err_code view_jobs_wait(struct views *v, int64_t wait_ms, struct err *err);
// Queues what is missing, as one batch; files: which of the scan, with their keys. What is queued
// already, or was there meanwhile, is not queued again. ret[i]: its job, with the caller as a
// waiter, or NULL: look again.
struct view_missing {
    const size_t *files;
    const struct str *keys;
    size_t count;
    struct str generation;
};
MUST_CHECK enum err_code view_jobs_add(struct views *v, const struct view_pin *pin,
                                       const struct view_missing *missing, struct view_job **ret,
                                       struct err *err);
// With the lock held: the waiter goes; *ret: the file, which it holds now, or NULL.
void view_job_leave(struct views *v, struct view_job *j, struct masked **ret);
// For the makers: waits for a job; NULL: the end. And what became of it: job->made or job->err.
struct view_job *view_job_take(struct views *v);
void view_job_finish(struct views *v, struct view_job *j, enum err_code code, int64_t since_us);
void view_jobs_stop(struct views *v);
void view_jobs_close(struct views *v); // when no maker is left
