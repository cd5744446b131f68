// The server's life: parts made in order, signals, drain, parts closed in reverse.
#define _GNU_SOURCE // program_invocation_name

#include "api/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/demo_load.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/scratch.h"
#include "base/version.h"
#include "worker/jail.h"

#define REQUEST_ARENA_MAX (256 << 20)
#define PARSED_CACHE_BYTES (128 << 20)
#define PARSER_BYTES (256 << 20)
#define REFUSALS_WINDOW_MS 60000
#define REFUSALS_MAX 60 // noted of a principal in a minute

static enum err_code make_folder(struct str data, const char *name, struct arena *a,
                                 struct str *ret, struct err *err) {
    *ret = arena_printf(a, STR_FMT "/%s", STR_ARG(data), name);
    if (mkdir(ret->ptr, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, "cannot make the folder \"%s\"", ret->ptr);
    }
    return ERR_OK;
}

// Whoever could reach the port could read everything: beyond loopback only with TLS, or when the
// operator says that something else protects it.
static enum err_code check_exposure(const struct config *c, struct err *err) {
    bool tls = c->http_tls_cert.len != 0;
    if (http_listen_is_loopback(c->server_listen) || tls || c->server_allow_public) {
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID,
                   "listening on " STR_FMT " would send tokens in the clear: give --http-tls-cert "
                   "and --http-tls-key, or --allow-public if a proxy in front does TLS",
                   STR_ARG(c->server_listen));
}

// The engine names its spill files without regard to other processes, so each has its own folder.
static enum err_code open_engine(struct api *api, struct arena *a, struct err *err) {
    const struct config *c = api->config;
    struct engine_options o = {.threads = (int)c->engine_threads, .memory_bytes = c->engine_memory};
    struct str cache;
    TRY(make_folder(c->server_data, "cache", a, &cache, err));
    (void)scratch_clean(cache, STR(SCRATCH_SPILL));
    TRY(scratch_make(cache, STR(SCRATCH_SPILL), &api->spill, err));
    o.temp_dir = str_from(api->spill.path);
    return engine_open(&o, &api->engine, err);
}

static void open_jobs(struct api *api, const struct upkeep_options *u) {
    const struct config *c = api->config;
    const struct jobs_options o = {
        .workers = c->jobs_workers, .queued_max = c->jobs_queued_max, .kept_max = c->jobs_kept_max};
    api->jobs = jobs_new(&o);
    api->upkeep = upkeep_new(api->tables, u);
}

static void open_hot(struct api *api) {
    const struct config *c = api->config;
    const int64_t half = MIN(engine_memory_bytes(api->engine) / 2, c->hot_bytes_max);
    const struct hot_options o = {.bytes_max = c->hot_bytes > 0 ? c->hot_bytes : half,
                                  .asks = c->hot_asks};
    api->hot = hot_new(api->tables, api->engine, &o);
}

static enum err_code open_views(struct api *api, struct str cache, struct err *err) {
    const struct config *c = api->config;
    const struct engine_options parser = {
        .threads = 1, .memory_bytes = PARSER_BYTES, .no_files = true};
    TRY(engine_open(&parser, &api->parser, err));
    const struct views_options o = {.tables = api->tables,
                                    .engine = api->engine,
                                    .parser = api->parser,
                                    .cache = cache,
                                    .bytes_max = c->view_cache,
                                    .makers = c->view_makers};
    return views_open(&o, &api->views, err);
}

// Workers last: one that begins before the masked files are gone may still get them.
enum err_code api_forget(struct api *api, struct err *err) {
    queries_forget(api->queries);
    catalog_view_forget(api->catalog); // filters may quote values
    const enum err_code code = views_forget(api->views, err);
    workers_forget(api->workers);
    return code;
}

// What the floors above the tables keep of values goes with an erasure.
static enum err_code forget(void *ctx, struct erase_forgetting *f, struct arena *a,
                            struct err *err) {
    struct api *api = ctx;
    const struct audit_quotes quotes = {f->quotes, f->ctx};
    struct audit_forgotten done;
    TRY(api_forget(api, err));
    const enum err_code code = audit_forget(api->audit, &quotes, a, &done, err);
    f->texts = done.texts;
    f->objects = done.objects;
    return code;
}

static void open_erase(struct api *api, struct str spool, struct str cache) {
    const struct erase_options o = {.catalog = api->catalog,
                                    .tables = api->tables,
                                    .upkeep = api->upkeep,
                                    .hot = api->hot,
                                    .spool = spool,
                                    .cache = cache,
                                    .wait_ms = api->config->erase_wait,
                                    .forget = forget,
                                    .ctx = api};
    api->erase = erase_new(&o);
}

// Without a jail the server still serves those who need none.
static enum err_code open_workers(struct api *api, struct str cache, struct err *err) {
    const struct config *c = api->config;
    const struct workers_options o = {.count_max = c->worker_count_max,
                                      .memory_bytes = c->worker_memory,
                                      .threads = (int)c->worker_threads,
                                      .idle_ms = c->worker_idle,
                                      .cache = cache,
                                      .weak = c->worker_weak_jail};
    const enum err_code code = workers_open(&o, &api->workers, err);
    if (code == ERR_UNSUPPORTED) {
        log_warn("worker", "restricted_queries=refused error=%s", log_quote(str_from(err->msg)));
        *err = ERR_NONE;
        return ERR_OK;
    }
    return code;
}

static enum err_code open_queries(struct api *api, struct err *err) {
    struct audit_options o;
    TRY(audit_options_of(api->config, &o, err));
    o.catalog = api->catalog;
    api->audit = audit_new(&o);
    const struct queries_parts q = {.tables = api->tables,
                                    .hot = api->hot,
                                    .engine = api->engine,
                                    .audit = api->audit,
                                    .views = api->views,
                                    .workers = api->workers};
    return queries_open(api->config, &q, &api->queries, err);
}

static enum err_code open_parts(struct api *api, struct arena *a, struct err *err) {
    const struct config *c = api->config;
    struct tables_options t = {.target_bytes = c->ingest_target_file,
                               .cache_bytes = PARSED_CACHE_BYTES};
    TRY(catalog_open(c, &api->catalog, err));
    TRY(make_folder(c->server_data, "spool", a, &t.spool, err));
    TRY(open_engine(api, a, err));
    api->tables = tables_new(api->catalog, api->engine, &t);
    TRY(ingest_open(c, api->tables, api->engine, &api->ingest, err));
    open_hot(api);
    const struct str cache = arena_printf(a, STR_FMT "/cache", STR_ARG(c->server_data));
    TRY(open_views(api, cache, err));
    TRY(open_workers(api, cache, err));
    TRY(open_queries(api, err));
    const struct upkeep_options u = {.cache = cache,
                                     .memory_bytes = c->upkeep_memory,
                                     .threads = (int)c->engine_threads,
                                     .target_bytes = c->ingest_target_file,
                                     .snapshots_max = c->upkeep_snapshots_max};
    open_jobs(api, &u);
    const struct refusals_options refused = {.window_ms = REFUSALS_WINDOW_MS,
                                             .principal_max = REFUSALS_MAX};
    api->refusals = refusals_new(api->catalog, &refused);
    open_erase(api, t.spool, u.cache);
    return ERR_OK;
}

static void close_parts(struct api *api) {
    http_server_close(api->http);
    upkeep_policy_stop(api->policy);
    jobs_close(api->jobs);
    refusals_close(api->refusals);
    upkeep_policy_free(api->policy);
    erase_free(api->erase);
    upkeep_free(api->upkeep);
    queries_close(api->queries);
    audit_close(api->audit);
    views_close(api->views);
    engine_close(api->parser);
    workers_close(api->workers);
    hot_close(api->hot);
    ingest_close(api->ingest);
    tables_free(api->tables);
    engine_close(api->engine);
    scratch_remove(&api->spill);
    catalog_close(api->catalog);
}

// Writes the token where its owner finds it and nobody else can read it.
static enum err_code write_token_file(int folder, struct str token, struct err *err) {
    DEFER(closep)
    int fd =
        openat(folder, "admin.token", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0) {
        return err_errno(err, "cannot write admin.token in the data folder");
    }
    char line[256];
    int len = snprintf(line, sizeof(line), STR_FMT "\n", STR_ARG(token));
    if (write(fd, line, (size_t)len) != len || fsync(fd) != 0 || fsync(folder) != 0) {
        return err_errno(err, "cannot write admin.token in the data folder");
    }
    return ERR_OK;
}

// Is there a token that may do everything, and will be valid tomorrow?
static bool has_admin(struct api *api, struct arena *a) {
    const int64_t tomorrow_us = clock_wall_us() + INT64_C(86400) * 1000000;
    struct catalog_token *tokens;
    size_t count;
    catalog_token_list(api->catalog, a, &tokens, &count);
    for (size_t i = 0; i < count; i++) {
        const struct catalog_rights *r;
        catalog_rights_resolve(api->catalog, tokens[i].roles, tokens[i].role_count, a, &r);
        if (r->admin && (tokens[i].expires_us == 0 || tokens[i].expires_us > tomorrow_us)) {
            return true;
        }
    }
    return false;
}

// The first start makes one admin token. *ret is empty when there is one already. Of several
// servers that start at once one makes it, and it is in its file before it is valid: one that is
// killed meanwhile leaves nobody outside.
static enum err_code first_token(struct api *api, struct arena *a, struct str *ret,
                                 struct err *err) {
    *ret = STR_NONE;
    const char *data = arena_cstr(a, api->config->server_data);
    DEFER(closep) int folder = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || flock(folder, LOCK_EX) != 0) {
        return err_errno(err, "cannot lock the folder \"%s\"", data);
    }
    TRY(txlog_refresh(catalog_log(api->catalog), 0, 0, err));
    if (has_admin(api, a)) {
        return ERR_OK;
    }
    struct str role = STR("admin");
    struct catalog_token t = {
        .principal = STR("admin"), .roles = &role, .role_count = 1, .text = catalog_token_text(a)};
    struct catalog_author who = {
        .actor = STR("server"), .action = STR("token.create"), .reason = STR("first start")};
    struct catalog_token_made made;
    TRY(write_token_file(folder, t.text, err));
    TRY(catalog_token_create(api->catalog, &t, &who, a, &made, err));
    *ret = made.text;
    return ERR_OK;
}

// The first command for another terminal, with what it cannot know by itself.
static void print_first_step(const struct api *api, struct str host) {
    const struct config *c = api->config;
    const bool tls = c->http_tls_cert.len != 0;
    printf("  try       %s ls", program_invocation_name);
    if (!str_is(c->server_data, "./tarn-data")) {
        printf(" --data " STR_FMT, STR_ARG(c->server_data));
    }
    if (tls || !str_is(c->server_listen, "127.0.0.1:8787")) {
        const bool every = str_is(host, "") || str_is(host, "0.0.0.0") || str_is(host, "[::]");
        const struct str name = every ? STR("127.0.0.1") : host;
        printf(" --url %s://" STR_FMT ":%d", tls ? "https" : "http", STR_ARG(name),
               http_server_port(api->http));
    }
    printf("   in another terminal\n");
}

static void print_welcome(const struct api *api, struct str token) {
    const struct config *c = api->config;
    struct str listen = c->server_listen;
    struct str host = listen;
    while (host.len > 0 && host.ptr[host.len - 1] != ':') {
        host.len--;
    }
    host.len -= host.len > 0 ? 1 : 0;
    printf("\nTarn %s, engine %s, serving " STR_FMT "\n\n", version_text(), engine_version(),
           STR_ARG(c->server_data));
    printf("  address   %s://" STR_FMT ":%d\n", c->http_tls_cert.len != 0 ? "https" : "http",
           STR_ARG(host), http_server_port(api->http));
    if (token.len != 0) {
        printf("  token     " STR_FMT "\n            (new; also in " STR_FMT
               "/admin.token, readable by you alone)\n",
               STR_ARG(token), STR_ARG(c->server_data));
    } else {
        printf("  token     the one that was printed at the first start; see " STR_FMT
               "/admin.token\n",
               STR_ARG(c->server_data));
    }
    printf("  datasets  %zu\n", catalog_dataset_count(api->catalog));
    if (!api->workers) {
        printf("  note      this kernel has no Landlock: queries of restricted principals are "
               "refused\n            (see --worker-weak-jail)\n");
    } else if (jail_landlock_version() == 0) {
        printf("  note      this kernel has no Landlock: workers run in a weaker jail\n");
    }
    print_first_step(api, host);
    printf("\n  Ctrl-C stops it.\n\n");
    (void)fflush(stdout);
}

static enum err_code open_http(struct api *api, struct err *err) {
    const struct config *c = api->config;
    struct http_options o = {.listen = c->server_listen,
                             .tls_cert = c->http_tls_cert,
                             .tls_key = c->http_tls_key,
                             .connections_max = c->http_connections_max,
                             .head_max = c->http_head_max,
                             .arena_max = REQUEST_ARENA_MAX,
                             .idle_timeout_ms = c->http_idle_timeout};
    struct http_handler handler = api_handler(api);
    return http_server_open(&o, &handler, &api->http, err);
}

// The signals that end the server come as reads of this descriptor, in this thread only.
static int signals_open(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); // a file past ulimit -f is an error of its write
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

// True when a signal came within the time (-1: however long it takes).
static bool signal_wait(int fd, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo info;
    int n;
    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0 && read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
}

// A second signal cuts the drain short: its watcher cancels what still runs.
struct drain {
    struct api *api;
    int signals;
    _Atomic bool over;
};

static void *drain_watch(void *arg) {
    struct drain *d = arg;
    while (!d->over) {
        if (signal_wait(d->signals, 50)) {
            log_warn("stop", "second_signal=true");
            queries_stop(d->api->queries);
            http_server_hurry(d->api->http);
            break;
        }
    }
    return NULL;
}

static void drain(struct api *api, int signals) {
    struct drain d = {.api = api, .signals = signals};
    int64_t start = clock_mono_us();
    log_info("stop", "draining=true timeout_ms=%lld", (long long)api->config->http_drain_timeout);
    api->draining = true;
    upkeep_policy_stop(api->policy);
    jobs_stop(api->jobs);
    pthread_t watcher = threads_start("drain", drain_watch, &d);
    bool clean = http_server_drain(api->http, api->config->http_drain_timeout);
    d.over = true;
    (void)pthread_join(watcher, NULL);
    log_info("stop", "clean=%s ms=%lld", clean ? "true" : "false",
             (long long)((clock_mono_us() - start) / 1000));
}

// Rows and tokens are in this process: no core files, no ptrace by others.
static void harden(void) {
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)umask(0077);
}

static void open_policy(struct api *api) {
    const struct config *c = api->config;
    const struct upkeep_policy_options o = {.interval_ms = c->upkeep_interval,
                                            .small_files = c->upkeep_small_files,
                                            .deletes_percent = c->upkeep_deletes_percent,
                                            .bytes_a_second = c->upkeep_rate};
    if (c->upkeep_background) {
        api->policy = upkeep_policy_new(api->upkeep, api->jobs, &o);
    }
}

static enum err_code serve(struct api *api, struct arena *a, struct err *err) {
    struct str token;
    DEFER(closep) int signals = signals_open();
    TRY(check_exposure(api->config, err));
    TRY(open_parts(api, a, err));
    TRY(first_token(api, a, &token, err));
    if (api->config->server_demo) {
        TRY(demo_load(api, err));
    }
    DEFER(json_decrefp) json_t *document = api_openapi(api);
    api->openapi = json_text(document, a);
    TRY(open_http(api, err));
    open_policy(api);
    erasures_take_up(api);
    print_welcome(api, token);
    (void)signal_wait(signals, -1);
    drain(api, signals);
    return ERR_OK;
}

enum err_code server_run(const struct config *c, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(16 << 20);
    struct api api = {.config = c, .start_us = clock_wall_us()};
    enum log_level level;
    if (!log_level_parse(c->server_log_level, &level)) {
        return err_set(err, ERR_INVALID, "log_level must be debug, info, warn or error");
    }
    log_set_level(level);
    harden();
    enum err_code code = serve(&api, &a, err);
    close_parts(&api);
    return code;
}
