// Demonstration data: ingested through the same door as a client's files.

#include "api/demo_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "demo/demo_world.h"

#define COPY_BYTES (1 << 20)

struct sample {
    const char *dataset, *file;
};

static const struct sample samples[] = {
    {"flights", "flights-3m.parquet"},  {"movies", "movies.json"},
    {"birdstrikes", "birdstrikes.csv"}, {"species", "species.csv"},
    {"zipcodes", "zipcodes.csv"},
};

static const struct sample world[] = {
    {"candidates", "candidates.parquet"},
    {"clients", "clients.parquet"},
    {"placements", "placements.parquet"},
};

static bool dataset_exists(struct api *api, const char *name) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct catalog_dataset d;
    struct err err = ERR_NONE;
    return catalog_dataset_get(api->catalog, str_from(name), &a, &d, &err) == ERR_OK;
}

static void upload_endp(struct ingest_upload **u) {
    ingest_end(*u);
}

static enum err_code send_file(struct ingest_upload *u, int fd, struct arena *a, struct err *err) {
    char *piece = arena_alloc(a, COPY_BYTES);
    for (;;) {
        ssize_t n = read(fd, piece, COPY_BYTES);
        if (n < 0 && errno != EINTR) {
            return err_errno(err, "cannot read the sample file");
        }
        if (n == 0) {
            return ERR_OK;
        }
        if (n > 0) {
            TRY(ingest_add(u, (struct str){piece, (size_t)n}, err));
        }
    }
}

static enum err_code load_one(struct api *api, const struct sample *s, const char *folder,
                              struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(64 << 20);
    struct ingest_result result;
    struct str path = arena_printf(&a, "%s/%s", folder, s->file);
    if (dataset_exists(api, s->dataset)) {
        return ERR_OK;
    }
    DEFER(closep) int fd = open(path.ptr, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        (void)fprintf(stderr, "demo: %s is not there, so no dataset %s\n", path.ptr, s->dataset);
        return ERR_OK;
    }
    if (fd < 0) {
        return err_errno(err, "cannot open \"%s\"", path.ptr);
    }
    struct ingest_request r = {.dataset = str_from(s->dataset),
                               .filename = str_from(s->file),
                               .who = {.actor = STR("server"),
                                       .action = STR("dataset.create"),
                                       .reason = STR("demonstration data")}};
    DEFER(upload_endp) struct ingest_upload *u = NULL;
    TRY(ingest_begin(api->ingest, &r, &u, err));
    TRY(send_file(u, fd, &a, err));
    TRY(ingest_finish(u, &a, &result, err));
    (void)fprintf(stderr, "demo: %-12s %9lld rows, %lld ms\n", s->dataset,
                  (long long)result.written.rows, (long long)(result.duration_us / 1000));
    return ERR_OK;
}

static enum err_code load_world(struct api *api, struct err *err) {
    bool all = true;
    for (size_t i = 0; i < ARRAY_LEN(world); i++) {
        all = all && dataset_exists(api, world[i].dataset);
    }
    if (all) {
        return ERR_OK;
    }
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    struct str folder = arena_printf(&a, STR_FMT "/spool/demo", STR_ARG(api->config->server_data));
    if (mkdir(folder.ptr, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, "cannot make the folder \"%s\"", folder.ptr);
    }
    (void)fprintf(stderr, "demo: making candidates, clients and placements\n");
    enum err_code code = demo_world_write(api->engine, folder.ptr, err);
    for (size_t i = 0; i < ARRAY_LEN(world) && code == ERR_OK; i++) {
        code = load_one(api, &world[i], folder.ptr, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(world); i++) {
        (void)unlink(arena_printf(&a, STR_FMT "/%s", STR_ARG(folder), world[i].file).ptr);
    }
    (void)rmdir(folder.ptr);
    return code;
}

enum err_code demo_load(struct api *api, struct err *err) {
    DEFER(arena_release) struct arena a = ARENA(1 << 16);
    const char *folder = arena_cstr(&a, api->config->server_demo_data);
    for (size_t i = 0; i < ARRAY_LEN(samples) && folder[0] != '\0'; i++) {
        TRY(load_one(api, &samples[i], folder, err));
    }
    return load_world(api, err);
}
