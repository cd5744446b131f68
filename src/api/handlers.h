// Handlers, by resource: what runs behind each row of the table of routes.
//
// A handler answers, or fails and leaves the answer to the edge. What is called ..._begin says,
// before the body is read, where it goes.
#pragma once

#include "base/err.h"

struct call;

enum err_code health_service(struct call *c, struct err *err);
enum err_code health_ready(struct call *c, struct err *err);
enum err_code health_version(struct call *c, struct err *err);
enum err_code health_metrics(struct call *c, struct err *err);
enum err_code health_openapi(struct call *c, struct err *err);
enum err_code catalog_list(struct call *c, struct err *err);
enum err_code catalog_show(struct call *c, struct err *err);
enum err_code catalog_drop(struct call *c, struct err *err);
enum err_code catalog_rename(struct call *c, struct err *err);
enum err_code catalog_columns(struct call *c, struct err *err);
enum err_code suppressions_list(struct call *c, struct err *err);
enum err_code suppressions_remove(struct call *c, struct err *err);
enum err_code ingest_file_begin(struct call *c, struct err *err);
enum err_code ingest_file(struct call *c, struct err *err);
enum err_code ingest_delta_begin(struct call *c, struct err *err);
enum err_code ingest_delta_rows(struct call *c, struct err *err);
enum err_code ingest_rejects(struct call *c, struct err *err);
enum err_code query_sql(struct call *c, struct err *err);
enum err_code query_preview(struct call *c, struct err *err);
enum err_code query_running(struct call *c, struct err *err);
enum err_code query_stop(struct call *c, struct err *err);
enum err_code cache_pin(struct call *c, struct err *err);
enum err_code cache_evict(struct call *c, struct err *err);
enum err_code cache_stats(struct call *c, struct err *err);
enum err_code role_list(struct call *c, struct err *err);
enum err_code role_put(struct call *c, struct err *err);
enum err_code role_show(struct call *c, struct err *err);
enum err_code role_remove(struct call *c, struct err *err);
enum err_code token_make(struct call *c, struct err *err);
enum err_code token_list(struct call *c, struct err *err);
enum err_code token_revoke(struct call *c, struct err *err);
enum err_code tombstones_make(struct call *c, struct err *err);
enum err_code tombstones_undo(struct call *c, struct err *err);
enum err_code tombstones_list(struct call *c, struct err *err);
enum err_code tombstones_report(struct call *c, struct err *err);
enum err_code upkeep_compact_route(struct call *c, struct err *err);
enum err_code snapshots_list(struct call *c, struct err *err);
enum err_code snapshots_rollback(struct call *c, struct err *err);
enum err_code snapshots_expire(struct call *c, struct err *err);
enum err_code snapshots_orphans(struct call *c, struct err *err);
enum err_code erasures_begin(struct call *c, struct err *err);
enum err_code erasures_list(struct call *c, struct err *err);
enum err_code erasures_show(struct call *c, struct err *err);
enum err_code erasures_resume(struct call *c, struct err *err);
enum err_code erasures_receipt(struct call *c, struct err *err);
enum err_code erasures_verify(struct call *c, struct err *err);
enum err_code erasures_key(struct call *c, struct err *err);
enum err_code view_make(struct call *c, struct err *err);
enum err_code view_list(struct call *c, struct err *err);
enum err_code view_show(struct call *c, struct err *err);
enum err_code view_remove(struct call *c, struct err *err);
enum err_code mask_key_rotate(struct call *c, struct err *err);
enum err_code job_list(struct call *c, struct err *err);
enum err_code job_show(struct call *c, struct err *err);
enum err_code job_stop(struct call *c, struct err *err);
enum err_code job_events(struct call *c, struct err *err);
enum err_code journal_list(struct call *c, struct err *err);
enum err_code journal_verify(struct call *c, struct err *err);
