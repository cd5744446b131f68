// The contract of stores, run over each of them, and what is particular to one.

#include "store/store.h"

#include "base/threads.h"
#include "store/store_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { RACERS = 8 };

struct fixture {
    struct store *store;
    struct arena arena;
    struct err err;
    char folder[64]; // a temporary folder; a folder store's root is <folder>/root
};

struct kind {
    const char *name;
    bool has_folder; // other processes can open <folder>/root as well
    struct store *(*open)(const char *root);
};

static struct store *open_folder(const char *root) {
    struct err err = ERR_NONE;
    struct store *s = NULL;
    assert_int_equal(store_folder_open(root, &s, &err), ERR_OK);
    return s;
}

static struct store *open_memory(const char *root) {
    (void)root;
    return store_memory_new();
}

static struct store *open_fault_folder(const char *root) {
    return store_fault_new(open_folder(root), false);
}

static struct store *open_fault_memory(const char *root) {
    return store_fault_new(open_memory(root), false);
}

static const struct kind kinds[] = {
    {"folder", true, open_folder},
    {"memory", false, open_memory},
    {"fault over folder", true, open_fault_folder},
    {"fault over memory", false, open_fault_memory},
};

static const char *path_in(struct fixture *f, const char *name) {
    return arena_printf(&f->arena, "%s/%s", f->folder, name).ptr;
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static bool path_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

static enum err_code put_new(struct fixture *f, const char *name, const char *data) {
    return store_put_new(f->store, str_from(name), str_from(data), &f->err);
}

static void assert_object(struct fixture *f, const char *name, const char *data) {
    struct str got = STR_NONE;
    assert_int_equal(store_get(f->store, str_from(name), &f->arena, &got, &f->err), ERR_OK);
    assert_int_equal(got.len, strlen(data));
    assert_memory_equal(got.len ? got.ptr : "", data, got.len);
}

static void assert_absent(struct fixture *f, const char *name) {
    struct str got = STR_NONE;
    uint64_t bytes = 0;
    assert_int_equal(store_get(f->store, str_from(name), &f->arena, &got, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_size(f->store, str_from(name), &bytes, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_local(f->store, str_from(name), &f->arena, &got, &f->err),
                     ERR_NOT_FOUND);
}

// The names of a listing, joined by blanks.
static struct str listing(struct fixture *f, const char *prefix, size_t page) {
    struct buf names = BUF(1 << 20);
    struct str after = STR_NONE;
    do {
        struct store_list list = {0};
        assert_int_equal(store_list(f->store, &(struct store_page){str_from(prefix), after, page},
                                    &f->arena, &list, &f->err),
                         ERR_OK);
        assert_true(list.count <= page);
        assert_true(list.next.len == 0 || list.count == page);
        for (size_t i = 0; i < list.count; i++) {
            buf_printf(&names, "%s" STR_FMT, names.len ? " " : "", STR_ARG(list.entries[i].name));
        }
        after = list.next;
    } while (after.len > 0);
    struct str joined = arena_str(&f->arena, buf_str(&names));
    buf_release(&names);
    return joined;
}

static void assert_listing(struct fixture *f, const char *prefix, size_t page, const char *names) {
    struct str got = listing(f, prefix, page);
    assert_string_equal(arena_cstr(&f->arena, got), names);
}

// Contract tests.

static void put_new_is_write_once(void **state) {
    struct fixture *f = *state;
    assert_absent(f, "a/b");
    assert_int_equal(put_new(f, "a/b", "one"), ERR_OK);
    assert_int_equal(put_new(f, "a/b", "two"), ERR_EXISTS);
    assert_object(f, "a/b", "one");
    assert_int_equal(put_new(f, "a/empty", ""), ERR_OK);
    assert_object(f, "a/empty", "");
}

static void put_creates_and_replaces(void **state) {
    struct fixture *f = *state;
    assert_int_equal(store_put(f->store, STR("x/hint"), STR("one"), &f->err), ERR_OK);
    assert_int_equal(store_put(f->store, STR("x/hint"), STR("second"), &f->err), ERR_OK);
    assert_object(f, "x/hint", "second");
}

static void ranges_are_cut_at_the_end(void **state) {
    struct fixture *f = *state;
    struct str got = STR_NONE;
    uint64_t bytes = 0;
    assert_int_equal(put_new(f, "r", "0123456789"), ERR_OK);
    assert_int_equal(store_size(f->store, STR("r"), &bytes, &f->err), ERR_OK);
    assert_int_equal(bytes, 10);
    const struct {
        struct store_range range;
        const char *data;
    } rows[] = {
        {{0, 3}, "012"},        {{7, 3}, "789"}, {{7, 100}, "789"}, {{3, UINT64_MAX}, "3456789"},
        {{10, UINT64_MAX}, ""}, {{10, 0}, ""},   {{4, 0}, ""}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(
            store_get_range(f->store, STR("r"), rows[i].range, &f->arena, &got, &f->err), ERR_OK);
        assert_true(str_is(got, rows[i].data));
    }
    const struct store_range past[] = {{11, 1}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(past); i++) {
        assert_int_equal(store_get_range(f->store, STR("r"), past[i], &f->arena, &got, &f->err),
                         ERR_INVALID);
    }
}

static void names_cannot_leave_the_root(void **state) {
    struct fixture *f = *state;
    const struct str bad[] = {
        STR(""),      STR("."),        STR(".."),     STR("../x"),       STR("a/../x"),
        STR("a/.."),  STR("./a"),      STR("/a"),     STR("a/"),         STR("a//b"),
        STR("/"),     STR("a\\b"),     STR("a\nb"),   STR("a\0b"),       STR("\x7f"),
        STR("a\xff"), STR("\xc0\xaf"), STR(".tmp/x"), STR("a/\xc2\x85"), STR("\xed\xa0\x80"),
        STR(".tmp"),
    };
    struct str got = STR_NONE;
    uint64_t bytes = 0;
    const char *source = path_in(f, "source");
    write_file(source, "x");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct store *s = f->store;
        assert_int_equal(store_put_new(s, bad[i], STR("x"), &f->err), ERR_INVALID);
        assert_int_equal(store_put(s, bad[i], STR("x"), &f->err), ERR_INVALID);
        assert_int_equal(store_put_file(s, bad[i], source, &f->err), ERR_INVALID);
        assert_int_equal(store_get(s, bad[i], &f->arena, &got, &f->err), ERR_INVALID);
        assert_int_equal(store_size(s, bad[i], &bytes, &f->err), ERR_INVALID);
        assert_int_equal(store_local(s, bad[i], &f->arena, &got, &f->err), ERR_INVALID);
        assert_int_equal(store_delete(s, bad[i], &f->err), ERR_INVALID);
    }
    assert_listing(f, "", 10, "");
    assert_false(path_exists(path_in(f, "x")));
    const struct str good[] = {STR("..a"),    STR("a.."), STR("...x"),
                               STR("x/.tmp"), STR("é ü"), STR(".tmpx")};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(store_put_new(f->store, good[i], STR("x"), &f->err), ERR_OK);
    }
}

static void names_have_limits(void **state) {
    struct fixture *f = *state;
    char name[1100];
    memset(name, 'n', sizeof name);
    struct str part = {name, 255};
    assert_int_equal(store_put_new(f->store, part, STR("x"), &f->err), ERR_OK);
    part.len = 256;
    assert_int_equal(store_put_new(f->store, part, STR("x"), &f->err), ERR_INVALID);
    for (size_t i = 1; i < sizeof name; i += 2) {
        name[i] = '/';
    }
    name[1023] = 'n';
    struct str whole = {name, 1024};
    assert_int_equal(store_put_new(f->store, whole, STR("x"), &f->err), ERR_OK);
    struct str listed = listing(f, "n/n/n", 10);
    assert_int_equal(listed.len, 1024);
    assert_int_equal(store_delete(f->store, whole, &f->err), ERR_OK);
    whole.len = 1025;
    assert_int_equal(store_put_new(f->store, whole, STR("x"), &f->err), ERR_INVALID);
}

static void lists_are_sorted_and_page(void **state) {
    struct fixture *f = *state;
    // '.' sorts before '/', '0' behind it: the order of names is not the order of folders.
    const char *names[] = {"a/b", "a.b", "a0", "a/b.c", "a/c/d", "b", "a/c.d", "a-", "c/d/e/f"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(put_new(f, names[i], names[i]), ERR_OK);
    }
    const char *all = "a- a.b a/b a/b.c a/c.d a/c/d a0 b c/d/e/f";
    for (size_t page = 1; page < 11; page++) {
        assert_listing(f, "", page, all);
        assert_listing(f, "a/", page, "a/b a/b.c a/c.d a/c/d");
        assert_listing(f, "a/b", page, "a/b a/b.c");
        assert_listing(f, "a/c/", page, "a/c/d");
        assert_listing(f, "c/d/e", page, "c/d/e/f");
        assert_listing(f, "z", page, "");
        assert_listing(f, "a/c/d/", page, "");
    }
    struct store_list list = {0};
    assert_int_equal(store_list(f->store, &(struct store_page){STR("a/"), STR("a/c"), 1}, &f->arena,
                                &list, &f->err),
                     ERR_OK);
    assert_int_equal(list.count, 1);
    assert_true(str_is(list.entries[0].name, "a/c.d"));
    assert_int_equal(list.entries[0].bytes, 5);
    assert_true(list.entries[0].modified_us > 0);
    assert_true(str_is(list.next, "a/c.d"));
    assert_int_equal(
        store_list(f->store, &(struct store_page){STR(""), STR("~"), 5}, &f->arena, &list, &f->err),
        ERR_OK);
    assert_int_equal(list.count, 0);
    assert_int_equal(
        store_list(f->store, &(struct store_page){STR(""), STR(""), 0}, &f->arena, &list, &f->err),
        ERR_INVALID);
    assert_int_equal(store_list(f->store, &(struct store_page){STR(""), STR(""), 10001}, &f->arena,
                                &list, &f->err),
                     ERR_INVALID);
}

static void delete_takes_empty_folders_along(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put_new(f, "d/e/f/g", "x"), ERR_OK);
    assert_int_equal(put_new(f, "d/h", "x"), ERR_OK);
    assert_int_equal(store_delete(f->store, STR("d/e/f/g"), &f->err), ERR_OK);
    assert_int_equal(store_delete(f->store, STR("d/e/f/g"), &f->err), ERR_OK);
    assert_int_equal(store_delete(f->store, STR("d"), &f->err), ERR_OK);
    assert_int_equal(store_delete(f->store, STR("d/nothing"), &f->err), ERR_OK);
    assert_absent(f, "d/e/f/g");
    assert_object(f, "d/h", "x");
    assert_false(path_exists(path_in(f, "root/d/e")));
    assert_int_equal(put_new(f, "d/e", "now an object"), ERR_OK);
    assert_object(f, "d/e", "now an object");
}

static void a_name_is_an_object_or_a_folder(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put_new(f, "o", "x"), ERR_OK);
    assert_int_equal(put_new(f, "p/q/r", "x"), ERR_OK);
    assert_int_equal(put_new(f, "o/below", "x"), ERR_INVALID);
    assert_int_equal(put_new(f, "p", "x"), ERR_INVALID);
    assert_int_equal(store_put(f->store, STR("p/q"), STR("x"), &f->err), ERR_INVALID);
    assert_absent(f, "o/below");
    assert_absent(f, "p");
    assert_listing(f, "", 10, "o p/q/r");
}

static void put_file_consumes_its_source(void **state) {
    struct fixture *f = *state;
    const char *path = path_in(f, "source");
    write_file(path, "spooled");
    assert_int_equal(store_put_file(f->store, STR("t/file"), path, &f->err), ERR_OK);
    assert_false(path_exists(path));
    assert_object(f, "t/file", "spooled");
    write_file(path, "other");
    assert_int_equal(store_put_file(f->store, STR("t/file"), path, &f->err), ERR_EXISTS);
    assert_true(path_exists(path));
    assert_object(f, "t/file", "spooled");
    // A second name of the source must not become a back door to the object.
    const char *twin = path_in(f, "twin");
    assert_int_equal(link(path, twin), 0);
    assert_int_equal(store_put_file(f->store, STR("t/copy"), path, &f->err), ERR_OK);
    write_file(twin, "changed");
    assert_object(f, "t/copy", "other");
    assert_int_not_equal(store_put_file(f->store, STR("t/none"), path, &f->err), ERR_OK);
    assert_int_equal(symlink(twin, path), 0);
    assert_int_equal(store_put_file(f->store, STR("t/link"), path, &f->err), ERR_INVALID);
    assert_absent(f, "t/link");
}

static void local_is_a_file_with_the_bytes(void **state) {
    struct fixture *f = *state;
    struct str path = STR_NONE;
    struct str again = STR_NONE;
    assert_int_equal(put_new(f, "l/m", "local bytes"), ERR_OK);
    assert_int_equal(store_local(f->store, STR("l/m"), &f->arena, &path, &f->err), ERR_OK);
    assert_int_equal(store_local(f->store, STR("l/m"), &f->arena, &again, &f->err), ERR_OK);
    assert_true(str_eq(path, again));
    char *name = arena_cstr(&f->arena, path);
    assert_int_equal(name[0], '/');
    char text[32] = "";
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 11);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "local bytes");
    assert_int_equal(store_delete(f->store, STR("l/m"), &f->err), ERR_OK);
    assert_false(path_exists(name));
}

struct racer {
    struct store *store;
    int number;
    int wins;
    int losses;
    _Atomic int *finished;
};

enum { RACES = 60 };

// Tries to be the first at every name; the loser must find the winner's whole bytes there.
static void race(struct racer *r) {
    for (int i = 0; i < RACES; i++) {
        struct err err = ERR_NONE;
        DEFER(arena_release) struct arena a = ARENA(1 << 20);
        struct str name = arena_printf(&a, "race/%03d/n", i);
        struct str data = arena_printf(&a, "%d%01000d", r->number, 0);
        enum err_code code = store_put_new(r->store, name, data, &err);
        struct str got = STR_NONE;
        if (store_get(r->store, name, &a, &got, &err) != ERR_OK || got.len != data.len) {
            continue;
        }
        r->wins += code == ERR_OK && str_eq(got, data);
        r->losses += code == ERR_EXISTS && !str_eq(got, data);
    }
}

static void *race_thread(void *arg) {
    race(arg);
    return NULL;
}

static void racing_threads_have_one_winner(void **state) {
    struct fixture *f = *state;
    pthread_t threads[RACERS];
    struct racer racers[RACERS];
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.store = f->store, .number = i};
        threads[i] = threads_start("racer", race_thread, &racers[i]);
    }
    int wins = 0;
    int losses = 0;
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        wins += racers[i].wins;
        losses += racers[i].losses;
    }
    assert_int_equal(wins, RACES);
    assert_int_equal(losses, RACES * (RACERS - 1));
}

static void racing_processes_have_one_winner(void **state) {
    struct fixture *f = *state;
    const char *root = path_in(f, "root");
    pid_t children[RACERS];
    for (int i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct racer r = {.store = open_folder(root), .number = i};
            race(&r);
            _exit(r.wins + r.losses == RACES ? r.wins : 255);
        }
    }
    int wins = 0;
    for (int i = 0; i < RACERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 255);
        wins += WEXITSTATUS(status);
    }
    assert_int_equal(wins, RACES);
}

static void *delete_until_finished(void *arg) {
    struct racer *r = arg;
    struct err err = ERR_NONE;
    while (atomic_load(r->finished) == 0) {
        r->losses += store_delete(r->store, STR("e/f/g/gone"), &err) != ERR_OK;
    }
    return NULL;
}

static void put_survives_the_removal_of_its_folder(void **state) {
    struct fixture *f = *state;
    _Atomic int finished = 0;
    struct racer deleter = {.store = f->store, .finished = &finished};
    pthread_t thread = threads_start("deleter", delete_until_finished, &deleter);
    int failures = 0;
    for (int i = 0; i < 200; i++) {
        failures += put_new(f, "e/f/g/here", "x") != ERR_OK;
        failures += put_new(f, "e/f/g/here", "x") != ERR_EXISTS;
        failures += store_delete(f->store, STR("e/f/g/here"), &f->err) != ERR_OK;
    }
    atomic_store(&finished, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(failures, 0);
    assert_int_equal(deleter.losses, 0);
}

// Does the same at random to this store and to a memory store: outcomes and listings agree.
static void agrees_with_the_memory_store(void **state) {
    struct fixture *f = *state;
    struct fixture twin = {.store = store_memory_new(), .arena = ARENA(SIZE_MAX)};
    const char *names[] = {"a", "b", "a/x", "a/y", "b/x/1", "b/x/2", "b.x", "c/d/e/f"};
    unsigned seed = 42;
    for (int i = 0; i < 400; i++) {
        const char *name = names[(unsigned)rand_r(&seed) % ARRAY_LEN(names)];
        struct str data = arena_printf(&f->arena, "%d", i);
        struct str n = str_from(name);
        switch (rand_r(&seed) % 3) {
        case 0:
            assert_int_equal(store_put_new(f->store, n, data, &f->err),
                             store_put_new(twin.store, n, data, &twin.err));
            break;
        case 1:
            assert_int_equal(store_put(f->store, n, data, &f->err),
                             store_put(twin.store, n, data, &twin.err));
            break;
        default:
            assert_int_equal(store_delete(f->store, n, &f->err),
                             store_delete(twin.store, n, &twin.err));
            break;
        }
        struct str one = STR_NONE;
        struct str two = STR_NONE;
        assert_int_equal(store_get(f->store, n, &f->arena, &one, &f->err),
                         store_get(twin.store, n, &twin.arena, &two, &twin.err));
        assert_true(str_eq(one, two));
        size_t page = 1 + (unsigned)rand_r(&seed) % 3;
        assert_true(str_eq(listing(f, "", page), listing(&twin, "", 100)));
        assert_true(str_eq(listing(f, "b", page), listing(&twin, "b", 100)));
    }
    store_close(twin.store);
    arena_release(&twin.arena);
}

// Tests of one store.

static void symbolic_links_are_not_followed(void **state) {
    struct fixture *f = *state;
    assert_int_equal(mkdir(path_in(f, "outside"), 0700), 0);
    write_file(path_in(f, "outside/secret"), "secret");
    assert_int_equal(symlink("../outside", path_in(f, "root/link")), 0);
    assert_int_equal(symlink("../outside/secret", path_in(f, "root/leaf")), 0);
    assert_int_equal(symlink("../outside/new", path_in(f, "root/dangling")), 0);
    struct str got = STR_NONE;
    struct arena *a = &f->arena;
    const char *source = path_in(f, "source");
    write_file(source, "x");
    assert_int_equal(put_new(f, "link/new", "x"), ERR_DENIED);
    assert_int_equal(store_put(f->store, STR("link/secret"), STR("x"), &f->err), ERR_DENIED);
    assert_int_equal(store_put_file(f->store, STR("link/n"), source, &f->err), ERR_DENIED);
    assert_int_equal(store_delete(f->store, STR("link/secret"), &f->err), ERR_DENIED);
    assert_int_equal(store_get(f->store, STR("link/secret"), a, &got, &f->err), ERR_DENIED);
    assert_int_equal(store_get(f->store, STR("leaf"), a, &got, &f->err), ERR_DENIED);
    assert_int_equal(store_local(f->store, STR("leaf"), a, &got, &f->err), ERR_DENIED);
    assert_int_equal(put_new(f, "leaf", "x"), ERR_EXISTS);
    assert_int_equal(put_new(f, "dangling", "x"), ERR_EXISTS);
    assert_listing(f, "", 10, "");
    // Replacing one replaces the link, not what it points to.
    assert_int_equal(store_put(f->store, STR("leaf"), STR("mine"), &f->err), ERR_OK);
    assert_object(f, "leaf", "mine");
    assert_false(path_exists(path_in(f, "outside/new")));
    char text[16] = "";
    FILE *file = fopen(path_in(f, "outside/secret"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 6);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "secret");
}

static int flush_and_stop(int fd) {
    (void)fd;
    (void)kill(getpid(), SIGKILL);
    return -1;
}

static size_t count_tmp(struct fixture *f) {
    struct store_list list = {0};
    struct store *s = NULL;
    // A store over .tmp itself: its own .tmp is hidden.
    assert_int_equal(store_folder_open(path_in(f, "root/.tmp"), &s, &f->err), ERR_OK);
    assert_int_equal(
        store_list(s, &(struct store_page){STR(""), STR(""), 100}, &f->arena, &list, &f->err),
        ERR_OK);
    store_close(s);
    return list.count;
}

static int flushing[2]; // a pipe on which a child says that it is in its flush

static int flush_and_wait(int fd) {
    (void)fd;
    CHECK(write(flushing[1], "x", 1) == 1);
    (void)pause();
    return -1;
}

static pid_t put_in_child(struct fixture *f, int (*flush)(int fd)) {
    pid_t child = fork();
    if (child == 0) {
        struct store *s = open_folder(path_in(f, "root"));
        struct err err = ERR_NONE;
        store_folder_set_fsync(s, flush);
        (void)store_put_new(s, STR("never"), STR("half"), &err);
        _exit(0);
    }
    return child;
}

// Other processes open the folder, and clean it, over and over while this one writes.
static void a_write_under_way_is_no_leftover(void **state) {
    struct fixture *f = *state;
    const char *root = path_in(f, "root");
    pid_t openers[4];
    for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
        openers[i] = fork();
        while (openers[i] == 0) {
            store_close(open_folder(root));
        }
    }
    int failures = 0;
    struct err err = ERR_NONE;
    for (int i = 0; i < 400; i++) {
        const enum err_code code = store_put(f->store, STR("busy"), STR("x"), &err);
        failures += code != ERR_OK ? 1 : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
        int status = 0;
        assert_int_equal(kill(openers[i], SIGKILL), 0);
        assert_int_equal(waitpid(openers[i], &status, 0), openers[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    if (failures > 0) {
        fail_msg("%d writes failed: %s", failures, err.msg);
    }
}

static void leftovers_of_the_dead_are_removed(void **state) {
    struct fixture *f = *state;
    pid_t dead = put_in_child(f, flush_and_stop);
    int status = 0;
    assert_int_equal(waitpid(dead, &status, 0), dead);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_tmp(f), 1);
    char said = 0;
    assert_int_equal(pipe(flushing), 0);
    pid_t alive = put_in_child(f, flush_and_wait); // its open removes the first
    assert_int_equal(read(flushing[0], &said, 1), 1);
    assert_int_equal(count_tmp(f), 1);
    store_close(open_folder(path_in(f, "root")));
    assert_int_equal(count_tmp(f), 1);
    assert_int_equal(kill(alive, SIGKILL), 0);
    assert_int_equal(waitpid(alive, &status, 0), alive);
    (void)close(flushing[0]);
    (void)close(flushing[1]);
    store_close(open_folder(path_in(f, "root")));
    assert_int_equal(count_tmp(f), 0);
    assert_absent(f, "never");
}

static _Atomic int flushes_left;

static int flush_or_fail(int fd) {
    if (atomic_fetch_sub(&flushes_left, 1) <= 0) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

// For each flush of a write in turn: when it fails, so does the write, and the store stays shut.
static void a_failed_flush_ends_all_writes(void **state) {
    struct fixture *f = *state;
    for (int n = 0;; n++) {
        struct str name = arena_printf(&f->arena, "deep/%d/down/object", n);
        const char *source = path_in(f, "source");
        struct store *s = open_folder(path_in(f, "root"));
        struct str got = STR_NONE;
        store_folder_set_fsync(s, flush_or_fail);
        atomic_store(&flushes_left, n);
        enum err_code code = store_put_new(s, name, STR("data"), &f->err);
        if (code == ERR_OK) {
            // Data, three folders and their parents.
            assert_true(n >= 5);
            store_close(s);
            break;
        }
        assert_int_equal(code, ERR_IO);
        write_file(source, "x");
        store_folder_set_fsync(s, NULL);
        assert_int_equal(store_put_new(s, STR("later"), STR("data"), &f->err), ERR_IO);
        assert_int_equal(store_put(s, STR("later"), STR("data"), &f->err), ERR_IO);
        assert_int_equal(store_put_file(s, STR("later"), source, &f->err), ERR_IO);
        assert_int_equal(store_delete(s, name, &f->err), ERR_IO);
        store_close(s);
        assert_absent(f, "later");
        code = store_get(f->store, name, &f->arena, &got, &f->err);
        assert_true(code == ERR_NOT_FOUND || (code == ERR_OK && str_is(got, "data")));
        assert_int_equal(count_tmp(f), 0);
    }
}

static void fault_plans_do_what_they_say(void **state) {
    struct fixture *f = *state;
    struct store *s = f->store;
    struct str got = STR_NONE;
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_FAIL, .on = FAULT_ON_PUT, .at = 2});
    assert_int_equal(put_new(f, "1", "x"), ERR_OK);
    assert_false(store_fault_fired(s));
    assert_int_equal(put_new(f, "2", "x"), ERR_IO);
    assert_true(store_fault_fired(s));
    assert_int_equal(put_new(f, "3", "x"), ERR_OK);
    assert_int_equal(store_fault_count(s), 3);
    assert_absent(f, "2");
    store_fault_spare(s, STR("aside"));
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_FAIL, .at = 1});
    assert_int_equal(put_new(f, "aside", "x"), ERR_OK);
    assert_int_equal(store_fault_count(s), 0);
    assert_int_equal(put_new(f, "beside", "x"), ERR_IO);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_CRASH, .at = 1});
    assert_int_equal(put_new(f, "beside", "x"), ERR_IO);
    assert_int_equal(store_delete(s, STR("aside"), &f->err), ERR_IO);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_LOST_REPLY, .at = 1});
    assert_int_equal(put_new(f, "2", "done"), ERR_IO);
    assert_object(f, "2", "done");
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_TEAR, .at = 1});
    assert_int_equal(put_new(f, "4", "whole"), ERR_IO);
    assert_object(f, "4", "wh");
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_FLIP, .at = 1});
    assert_int_equal(store_get(s, STR("2"), &f->arena, &got, &f->err), ERR_OK);
    assert_int_equal(got.len, 4);
    assert_false(str_is(got, "done"));
    assert_object(f, "2", "done");
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_DELAY, .at = 1, .delay_ms = 1});
    assert_object(f, "2", "done");
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_FAIL, .at = 2, .from_then_on = true});
    assert_object(f, "2", "done");
    assert_int_equal(put_new(f, "5", "x"), ERR_IO);
    assert_int_equal(put_new(f, "5", "x"), ERR_IO);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_CRASH, .at = 1});
    assert_int_equal(put_new(f, "5", "x"), ERR_IO);
    assert_int_equal(store_get(s, STR("2"), &f->arena, &got, &f->err), ERR_IO);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_NONE});
    assert_absent(f, "5");
    assert_listing(f, "", 10, "1 2 3 4 aside");
}

static void a_power_cut_costs_what_was_not_settled(void **state) {
    struct fixture *f = *state;
    struct store *s = f->store;
    struct str got = STR_NONE;
    const struct str names[] = {STR("settled"), STR("torn"), STR("gone"), STR("deleted")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(store_put_later(s, names[i], STR("data"), &f->err), ERR_OK);
    }
    assert_int_equal(put_new(f, "new", "data"), ERR_OK);
    assert_int_equal(store_delete(s, STR("deleted"), &f->err), ERR_OK);
    assert_int_equal(store_settle(s, names, 1, &f->err), ERR_OK);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_POWER, .at = 1});
    assert_int_equal(store_get(s, STR("new"), &f->arena, &got, &f->err), ERR_IO);
    assert_int_equal(put_new(f, "more", "x"), ERR_IO);
    store_fault_plan(s, (struct fault_plan){.kind = FAULT_NONE});
    assert_object(f, "settled", "data");
    assert_object(f, "new", "data");
    const bool torn = store_get(s, STR("torn"), &f->arena, &got, &f->err) == ERR_OK;
    assert_object(f, torn ? "torn" : "gone", "da");
    assert_absent(f, torn ? "gone" : "torn");
    assert_absent(f, "deleted");
    assert_absent(f, "more");
}

static const struct {
    const char *name;
    CMUnitTestFunction fn;
    bool needs_folder;
} contract[] = {
    {"put_new_is_write_once", put_new_is_write_once, false},
    {"put_creates_and_replaces", put_creates_and_replaces, false},
    {"ranges_are_cut_at_the_end", ranges_are_cut_at_the_end, false},
    {"names_cannot_leave_the_root", names_cannot_leave_the_root, false},
    {"names_have_limits", names_have_limits, false},
    {"lists_are_sorted_and_page", lists_are_sorted_and_page, false},
    {"delete_takes_empty_folders_along", delete_takes_empty_folders_along, false},
    {"a_name_is_an_object_or_a_folder", a_name_is_an_object_or_a_folder, false},
    {"put_file_consumes_its_source", put_file_consumes_its_source, false},
    {"local_is_a_file_with_the_bytes", local_is_a_file_with_the_bytes, false},
    {"racing_threads_have_one_winner", racing_threads_have_one_winner, false},
    {"racing_processes_have_one_winner", racing_processes_have_one_winner, true},
    {"put_survives_the_removal_of_its_folder", put_survives_the_removal_of_its_folder, false},
    {"agrees_with_the_memory_store", agrees_with_the_memory_store, false},
    {"symbolic_links_are_not_followed", symbolic_links_are_not_followed, true},
};

static const struct kind *current; // the kind whose tests run

static int set_up(void **state) {
    struct fixture *f = xcalloc(1, sizeof *f);
    f->arena = ARENA(SIZE_MAX);
    f->err = ERR_NONE;
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/tarn-store-test-XXXXXX");
    if (!mkdtemp(f->folder)) {
        return -1;
    }
    f->store = current->open(path_in(f, "root"));
    *state = f;
    return 0;
}

static int remove_tree(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

static int fixture_close(void **state) {
    struct fixture *f = *state;
    store_close(f->store);
    int result = remove_tree(f->folder);
    arena_release(&f->arena);
    free(f);
    return result;
}

static int run_contract(const struct kind *kind) {
    struct CMUnitTest tests[ARRAY_LEN(contract)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(contract); i++) {
        if (kind->has_folder || !contract[i].needs_folder) {
            tests[count++] = (struct CMUnitTest){.name = contract[i].name,
                                                 .test_func = contract[i].fn,
                                                 .setup_func = set_up,
                                                 .teardown_func = fixture_close};
        }
    }
    current = kind;
    return _cmocka_run_group_tests(kind->name, tests, count, NULL, NULL);
}

int main(void) {
    int failures = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        failures += run_contract(&kinds[i]);
    }
    const struct CMUnitTest folder_only[] = {
        cmocka_unit_test_setup_teardown(a_write_under_way_is_no_leftover, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(leftovers_of_the_dead_are_removed, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(a_failed_flush_ends_all_writes, set_up, fixture_close),
    };
    current = &kinds[0];
    failures += cmocka_run_group_tests(folder_only, NULL, NULL);
    const struct CMUnitTest fault_only[] = {
        cmocka_unit_test_setup_teardown(fault_plans_do_what_they_say, set_up, fixture_close),
        cmocka_unit_test_setup_teardown(a_power_cut_costs_what_was_not_settled, set_up,
                                        fixture_close),
    };
    current = &kinds[3];
    failures += cmocka_run_group_tests(fault_only, NULL, NULL);
    return failures;
}
