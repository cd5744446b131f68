// Configuration: who wins, what is refused, and what a refusal says.
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 8 };

struct fixture {
    struct arena arena;
    struct config config;
    struct err err;
    char path[64];
};

static int setup(void **state) {
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->arena = ARENA(1 << 20);
    f->err = ERR_NONE;
    (void)snprintf(f->path, sizeof(f->path), "/tmp/tarn-config-XXXXXX");
    const int fd = mkstemp(f->path);
    CHECK(fd >= 0 && close(fd) == 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    size_t count = 0;
    const struct config_option *options = config_options(&count);
    for (size_t i = 0; i < count; i++) {
        CHECK(unsetenv(options[i].env) == 0);
    }
    CHECK(unsetenv("TARN_CONFIG") == 0);
    (void)unlink(f->path);
    arena_release(&f->arena);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, struct str text) {
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(setenv("TARN_CONFIG", f->path, 1), 0);
}

// Loads with these flags; one blank stands between two.
static enum err_code load(struct fixture *f, const char *line) {
    char *argv[ARGS_MAX] = {NULL};
    int argc = 0;
    struct str rest = str_from(line);
    struct str word = STR_NONE;
    while (argc < ARGS_MAX && str_cut(&rest, ' ', &word)) {
        argv[argc++] = arena_cstr(&f->arena, word);
    }
    return config_load(argc, argv, &f->arena, &f->config, &f->err);
}

static void assert_says(const struct fixture *f, const char *part) {
    if (!strstr(f->err.msg, part)) {
        fail_msg("\"%s\" does not say \"%s\"", f->err.msg, part);
    }
}

static void defaults_stand_alone(void **state) {
    struct fixture *f = *state;
    assert_int_equal(load(f, ""), ERR_OK);
    assert_true(str_is(f->config.server_data, "./tarn-data"));
    assert_false(f->config.server_demo);
    assert_int_equal(f->config.http_connections_max, 1000);
    assert_int_equal(f->config.http_head_max, 16 * 1024);
    assert_int_equal(f->config.http_upload_max, INT64_C(64) << 30);
    assert_int_equal(f->config.query_timeout, 5 * 60 * 1000);
    assert_string_equal(f->config.sources[CONFIG_server_data], "default");
}

static void flag_beats_environment_beats_file(void **state) {
    struct fixture *f = *state;
    write_file(f, STR("# a comment\n[server]\ndata = from-file\nlisten = from-file\n"
                      "log_level = warn ; why\n[http]\nhead_max = 32K\n"));
    assert_int_equal(setenv("TARN_LISTEN", "from-environment", 1), 0);
    assert_int_equal(setenv("TARN_DATA", "from-environment", 1), 0);
    assert_int_equal(load(f, "--data from-flag"), ERR_OK);
    assert_true(str_is(f->config.server_data, "from-flag"));
    assert_true(str_is(f->config.server_listen, "from-environment"));
    assert_true(str_is(f->config.server_log_level, "warn"));
    assert_int_equal(f->config.http_head_max, 32 * 1024);
    assert_string_equal(f->config.sources[CONFIG_server_data], "--data");
    assert_string_equal(f->config.sources[CONFIG_server_listen], "TARN_LISTEN");
    assert_non_null(strstr(f->config.sources[CONFIG_http_head_max], ":7"));
}

static void flags_have_two_forms_and_the_last_wins(void **state) {
    struct fixture *f = *state;
    assert_int_equal(load(f, "--http-body-max=1M --demo --query-timeout 90s --http-body-max 2M"),
                     ERR_OK);
    assert_int_equal(f->config.http_body_max, 2 << 20);
    assert_true(f->config.server_demo);
    assert_int_equal(f->config.query_timeout, 90000);
    assert_int_equal(load(f, "--demo=false --http-tls-key=a=b --data="), ERR_OK);
    assert_false(f->config.server_demo);
    assert_true(str_is(f->config.http_tls_key, "a=b"));
    assert_true(str_is(f->config.server_data, ""));
}

static void config_names_the_file_before_the_environment_does(void **state) {
    struct fixture *f = *state;
    write_file(f, STR("[server]\ndata = here\n"));
    assert_int_equal(setenv("TARN_CONFIG", "/nowhere/tarn.ini", 1), 0);
    assert_int_equal(load(f, arena_printf(&f->arena, "--config %s", f->path).ptr), ERR_OK);
    assert_true(str_is(f->config.server_data, "here"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, "/nowhere/tarn.ini: No such file");
}

static void units_are_understood(void **state) {
    struct fixture *f = *state;
    assert_int_equal(load(f, "--engine-memory=3G --http-idle-timeout=1500ms "
                             "--query-wait-timeout=1h --http-drain-timeout=0 --http-head-max=2048"),
                     ERR_OK);
    assert_int_equal(f->config.engine_memory, INT64_C(3) << 30);
    assert_int_equal(f->config.http_idle_timeout, 1500);
    assert_int_equal(f->config.query_wait_timeout, 3600000);
    assert_int_equal(f->config.http_drain_timeout, 0);
    assert_int_equal(f->config.http_head_max, 2048);
}

static void a_wrong_value_names_option_source_and_remedy(void **state) {
    struct fixture *f = *state;
    assert_int_equal(load(f, "--http-body-max=lots"), ERR_INVALID);
    assert_string_equal(f->err.msg, "http.body_max (--http-body-max): \"lots\" is not bytes, as a "
                                    "number or with K, M or G behind it");
    assert_int_equal(load(f, "--http-body-max=1"), ERR_INVALID);
    assert_string_equal(f->err.msg, "http.body_max (--http-body-max): 1 is out of range; from 1024 "
                                    "to 1073741824 is right");
    assert_int_equal(setenv("TARN_QUERY_TIMEOUT", "30", 1), 0);
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, "query.timeout (TARN_QUERY_TIMEOUT): \"30\" is not a time");
    assert_int_equal(unsetenv("TARN_QUERY_TIMEOUT"), 0);
    write_file(f, STR("[server]\n\ndemo = perhaps\n"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, ":3): \"perhaps\" is not true or false");
}

static void numbers_that_do_not_fit_are_refused(void **state) {
    struct fixture *f = *state;
    static const char *const wrong[] = {
        "--http-connections-max=0",
        "--http-connections-max=-1",
        "--http-connections-max=",
        "--http-connections-max=1K",
        "--engine-memory=9999999999999G",
        "--engine-memory=99999999999999999999",
        "--engine-memory=-1",
        "--engine-memory=1KB",
        "--engine-memory=G",
        "--query-timeout=5d",
        "--query-timeout=1.5s",
        "--query-timeout=25h",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(load(f, wrong[i]), ERR_INVALID);
    }
}

static void unknown_flags_refuse(void **state) {
    struct fixture *f = *state;
    assert_int_equal(load(f, "--dta=x"), ERR_INVALID);
    assert_string_equal(f->err.msg, "unknown option \"--dta\"; --help lists all");
    assert_int_equal(load(f, "data"), ERR_INVALID);
    assert_int_equal(load(f, "-d"), ERR_INVALID);
    assert_int_equal(load(f, "--server-data=x"), ERR_INVALID);
    assert_int_equal(load(f, "--http-body_max=1M"), ERR_INVALID);
    assert_int_equal(load(f, "--data"), ERR_INVALID);
    assert_string_equal(f->err.msg, "--data needs a value: --data=VALUE");
    assert_int_equal(load(f, "--config"), ERR_INVALID);
}

static void unknown_and_repeated_keys_in_the_file_refuse(void **state) {
    struct fixture *f = *state;
    write_file(f, STR("[http]\nbody_mx = 1M\n"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, ":2: unknown key \"body_mx\" in section [http]");
    write_file(f, STR("data = x\n"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    write_file(f, STR("[server]\ndata = x\nlisten = y\ndata = z\n"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, ":4: server.data is set twice");
}

static void a_file_that_is_no_ini_file_is_refused(void **state) {
    struct fixture *f = *state;
    write_file(f, STR("[server]\nwhat is this\n"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, ":2: neither a [section]");
    write_file(f, STR("[server]\ndata = a\0b\n"));
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, ":2: the line has a NUL byte");
    char text[6000];
    memset(text, 'a', sizeof(text));
    memcpy(text, "[server]\ndata=", 14);
    write_file(f, (struct str){text, sizeof(text)});
    assert_int_equal(load(f, ""), ERR_INVALID);
    assert_says(f, ":2: the line is too long");
    write_file(f, (struct str){text, 3000}); // no newline at the end
    assert_int_equal(load(f, ""), ERR_OK);
    assert_int_equal(f->config.server_data.len, 3000 - 14);
    assert_int_equal(load(f, "--config=/tmp"), ERR_INVALID);
    assert_says(f, "cannot read the configuration file /tmp: Is a directory");
}

static void other_variables_are_left_alone(void **state) {
    struct fixture *f = *state;
    assert_int_equal(setenv("TARN_TOKEN", "secret", 1), 0);
    assert_int_equal(setenv("TARN_HTTP_BODY_MX", "1", 1), 0);
    assert_int_equal(setenv("TARN_DATA", "", 1), 0);
    assert_int_equal(load(f, ""), ERR_OK);
    assert_true(str_is(f->config.server_data, "./tarn-data"));
    assert_int_equal(unsetenv("TARN_TOKEN"), 0);
    assert_int_equal(unsetenv("TARN_HTTP_BODY_MX"), 0);
}

static void a_failure_leaves_the_configuration_alone(void **state) {
    struct fixture *f = *state;
    f->config.http_head_max = 5;
    assert_int_equal(load(f, "--http-head-max=4K --demo=maybe"), ERR_INVALID);
    assert_int_equal(f->config.http_head_max, 5);
}

static void every_option_has_a_flag_and_a_variable(void **state) {
    (void)state;
    size_t count = 0;
    const struct config_option *options = config_options(&count);
    assert_int_equal(count, CONFIG_COUNT);
    const struct config_option *cert = &options[CONFIG_http_tls_cert];
    assert_string_equal(cert->flag, "--http-tls-cert");
    assert_string_equal(cert->env, "TARN_HTTP_TLS_CERT");
    assert_string_equal(cert->type, "text");
    const struct config_option *demo = &options[CONFIG_server_demo_data];
    assert_string_equal(demo->flag, "--demo-data");
    assert_string_equal(demo->env, "TARN_DEMO_DATA");
}

static void the_text_shows_values_and_sources(void **state) {
    struct fixture *f = *state;
    DEFER(buf_release) struct buf out = BUF(1 << 20);
    assert_int_equal(load(f, "--demo --query-timeout=2m"), ERR_OK);
    config_text(&f->config, &out);
    assert_non_null(strstr(out.ptr, "server.data=./tarn-data # default\n"));
    assert_non_null(strstr(out.ptr, "server.demo=true # --demo\n"));
    assert_non_null(strstr(out.ptr, "query.timeout=120000ms # --query-timeout\n"));
    assert_non_null(strstr(out.ptr, "http.head_max=16384 # default\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults_stand_alone),
        TEST(flag_beats_environment_beats_file),
        TEST(flags_have_two_forms_and_the_last_wins),
        TEST(config_names_the_file_before_the_environment_does),
        TEST(units_are_understood),
        TEST(a_wrong_value_names_option_source_and_remedy),
        TEST(numbers_that_do_not_fit_are_refused),
        TEST(unknown_flags_refuse),
        TEST(unknown_and_repeated_keys_in_the_file_refuse),
        TEST(a_file_that_is_no_ini_file_is_refused),
        TEST(other_variables_are_left_alone),
        TEST(a_failure_leaves_the_configuration_alone),
        TEST(every_option_has_a_flag_and_a_variable),
        TEST(the_text_shows_values_and_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
