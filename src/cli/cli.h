// The commands: what runs behind each row of the table in main.c.
//
// A command writes data to standard output and talk to standard error. A failure goes up; main
// prints its message, unless it is empty because the command has said it itself.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/args.h"

MUST_CHECK enum err_code cli_ingest(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_query(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_bench(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_describe(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_rm(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_rename(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_alter(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_cache_pin(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_cache_evict(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_cache_stats(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_role_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_role_show(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_role_set(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_role_rm(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_view_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_view_show(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_view_put(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_view_preview(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_view_rm(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_view_rotate_key(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_token_create(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_token_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_token_rm(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_journal_show(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_journal_verify(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_doctor(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_compact(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_tombstone(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_snapshots_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_snapshots_rollback(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_snapshots_expire(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_snapshots_orphans(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_jobs_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_jobs_show(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_jobs_stop(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_erase(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_erasures_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_erasures_receipt(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_erasures_resume(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_suppressions_ls(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_suppressions_rm(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_fsck(const struct args *a, struct err *err);
MUST_CHECK enum err_code cli_version(const struct args *a, struct err *err);

// The lawful dataset name for a file: "/x/Flights 2024.csv.gz" gives "flights_2024". Empty when
// nothing of the name is left.
struct str cli_dataset_name(struct str path, struct arena *a);
// The value of an option that is a time from now (12h, 30d) or a date (2030-01-31), as the server
// takes it.
MUST_CHECK enum err_code cli_time(const struct args *a, const char *option, struct str *ret,
                                  struct err *err);
// The same, but that 12h is twelve hours back.
MUST_CHECK enum err_code cli_time_ago(const struct args *a, const char *option, struct str *ret,
                                      struct err *err);
// Asks the question on a terminal, unless --yes is given; a script has said what it wants.
bool cli_confirmed(const struct args *a, const char *question);
// What --json asks for: a tree as one line.
void cli_add_json(const struct args *a, const json_t *j, struct buf *out);
// Tells on standard error how many rows the suppression list kept out, if any.
void cli_say_suppressed(int64_t rows);
// The line of a statement with a caret under the byte at position, for standard error.
void cli_caret(struct str sql, int64_t position, struct buf *out);
// Says a failure with the place in the statement that it speaks of, so that main does not; or, if
// it speaks of none, leaves it to main. Returns the code.
enum err_code cli_say_failure(struct str sql, struct err *err);
