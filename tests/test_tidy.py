"""tools/tidy finds each violation that is planted, and nothing in a tree that keeps the rules."""

import os
import pathlib
import subprocess

import pytest

TIDY = pathlib.Path(__file__).resolve().parent.parent / "tools" / "tidy"

CLEAN_HEADER = """// Things that are thought of.
#pragma once

#include "base/err.h"

struct thing;

struct thing *thing_new(int a, int b);
"""

CLEAN_SOURCE = """// Things: how they are made. "free(x)" and goto in a comment or a string are only words.
#include "table/thing.h"

#include "base/err.h"
#include "store/store.h"

#include <stdlib.h>

static const struct point points[] = {{1, {2, {3, {4, {5, 6}}}}}};

struct thing *thing_new(int a, int b) {
    const char *text = "goto malloc( strcpy( XXX";
    char brace = '{';
    struct thing *t = malloc(sizeof *t);
    *t = (struct thing){.a = {{{{{a}}}}}};
    for (int i = 0; i < b; i++) {
        while (a) {
            if (b) {
                switch (a) {
                case 1:
                    break;
                }
            } else {
                a--;
            }
        }
    }
    // TODO(#12): say more.
    return t;
}
"""


def tidy(root):
    run = subprocess.run(
        ["/usr/bin/python3", str(TIDY), str(root)], capture_output=True, text=True, timeout=60
    )
    assert run.stderr == ""
    assert (run.returncode == 1) == bool(run.stdout)
    return run.stdout


def plant(root, path, text):
    full = root / path
    full.parent.mkdir(parents=True, exist_ok=True)
    full.write_text(text)
    return tidy(root)


def function(body, name="f", parameters="void"):
    return f"// A file.\nint {name}({parameters}) {{\n{body}\n    return 0;\n}}\n"


def test_a_clean_tree_passes(tmp_path):
    plant(tmp_path, "src/table/thing.h", CLEAN_HEADER)
    assert plant(tmp_path, "src/table/thing.c", CLEAN_SOURCE) == ""


@pytest.mark.parametrize(
    "path, include",
    [
        ("src/base/x.c", '"store/store.h"'),
        ("src/store/x.c", '"log/txlog.h"'),
        ("src/http/x.c", '"catalog/catalog.h"'),
        ("src/engine/x.c", '"iceberg/iceberg.h"'),
        ("src/cli/x.c", '"api/api.h"'),
        ("src/api/x.c", '"cli/cli.h"'),
        ("src/table/x.h", '"query/query.h"'),
    ],
)
def test_a_floor_includes_only_what_stands_below(tmp_path, path, include):
    text = f"// A file.\n#pragma once\n\n#include {include}\n"
    assert "does not stand below" in plant(tmp_path, path, text)


def test_headers_go_by_their_full_path(tmp_path):
    assert "by their path" in plant(tmp_path, "src/store/x.c", '// A file.\n#include "store.h"\n')


def test_internal_headers_stay_in_their_folder(tmp_path):
    text = '// A file.\n#include "store/store_int.h"\n'
    assert "internal to store/" in plant(tmp_path, "src/log/x.c", text)


def test_a_folder_without_a_floor_is_found(tmp_path):
    assert "not among the floors" in plant(tmp_path, "src/utils/x.c", "// A file.\n")


@pytest.mark.parametrize(
    "path, header",
    [
        ("src/query/x.c", "duckdb.h"),
        ("src/store/x.c", "jansson.h"),
        ("src/base/json.c", "jansson.h"),
        ("src/api/x.c", "microhttpd.h"),
        ("src/store/x.c", "curl/curl.h"),
        ("src/catalog/x.c", "openssl/evp.h"),
        ("src/cli/x.c", "ini.h"),
        ("src/base/x.c", "snappy-c.h"),
        ("src/table/x.c", "zstd.h"),
        ("src/http/x.c", "zstd.h"),
        ("src/store/x.c", "zlib.h"),
        ("src/api/x.c", "tarn_version.h"),
    ],
)
@pytest.mark.parametrize("marks", ["<>", '""'])
def test_a_library_has_one_door(tmp_path, path, header, marks):
    text = f"// A file.\n#include {marks[0]}{header}{marks[1]}\n"
    assert f"<{header}> is included only in" in plant(tmp_path, path, text)


@pytest.mark.parametrize(
    "path, header",
    [
        ("src/engine/x.c", "duckdb.h"),
        ("src/base/json.h", "jansson.h"),
        ("src/http/x.c", "zlib.h"),
        ("src/ingest/x.c", "zstd.h"),
        ("src/base/x.c", "openssl/evp.h"),
    ],
)
def test_the_door_itself_is_open(tmp_path, path, header):
    text = f"// A file.\n#pragma once\n\n#include <{header}>\n"
    assert plant(tmp_path, path, text) == ""


def test_the_first_line_says_what_the_file_is(tmp_path):
    assert "first line" in plant(tmp_path, "src/base/x.c", "int x;\n")
    assert "first line" in plant(tmp_path, "src/base/x.c", "/* A file. */\n")
    assert "first line" in plant(tmp_path, "src/base/x.c", "//\n")


def test_a_header_has_pragma_once(tmp_path):
    assert "#pragma once" in plant(tmp_path, "src/base/x.h", "// A file.\nextern int x;\n")


def test_a_function_has_seventy_lines_at_most(tmp_path):
    assert plant(tmp_path, "src/base/x.c", function("    g();\n" * 66 + "    g();")) == ""
    assert "71 lines" in plant(tmp_path, "src/base/x.c", function("    g();\n" * 67 + "    g();"))


def test_a_function_has_six_parameters_at_most(tmp_path):
    six = "int a, int (*b)(int, int, int), int c, int d, int e, int g"
    assert plant(tmp_path, "src/base/x.c", function("", parameters=six)) == ""
    seven = six + ",\n      int h"
    assert "7 parameters" in plant(tmp_path, "src/base/x.c", function("", parameters=seven))


def test_a_function_nests_four_deep_at_most(tmp_path):
    four = "for (;;) {\nif (a) {\ndo {\nEACH(x) {\n%s\n}\n} while (a);\n}\n}"
    assert plant(tmp_path, "src/base/x.c", function(four % "g();")) == ""
    assert "nests 5 deep" in plant(tmp_path, "src/base/x.c", function(four % "if (f(x)) {\n}"))
    assert "nests 5 deep" in plant(tmp_path, "src/base/x.c", function(four % "if (x) {\n}"))


def test_functions_in_a_shim_are_seen(tmp_path):
    text = 'namespace {\nint f() {\n}\n} // namespace\nextern "C" {\nint g(%s) {\n}\n}\n'
    seven = ", ".join(["int a"] * 7)
    assert "7 parameters" in plant(tmp_path, "src/base/x.cc", "// A file.\n" + text % seven)


def test_files_and_headers_end_somewhere(tmp_path):
    assert plant(tmp_path, "src/base/x.c", "// A file.\n" + "int x;\n" * 999) == ""
    assert "at most 1000" in plant(tmp_path, "src/base/x.c", "// A file.\n" + "int x;\n" * 1000)
    header = "// A file.\n#pragma once\n"
    assert "at most 200" in plant(tmp_path, "src/base/y.h", header + "int x;\n" * 199)


def test_a_line_has_a_hundred_columns_at_most(tmp_path):
    assert plant(tmp_path, "src/base/x.c", "// " + "a" * 97 + "\n") == ""
    assert "101 columns" in plant(tmp_path, "src/base/x.c", "// " + "a" * 98 + "\n")


def test_lines_end_cleanly(tmp_path):
    assert "white space" in plant(tmp_path, "src/base/x.c", "// A file. \n")
    assert "no newline" in plant(tmp_path, "src/base/x.c", "// A file.\nint x;")


@pytest.mark.parametrize(
    "call",
    "strcpy strcat strncpy strncat sprintf vsprintf gets strtok alloca atoi atol system".split(),
)
def test_banned_calls_are_found_in_every_folder(tmp_path, call):
    assert f"{call}()" in plant(tmp_path, "src/base/x.c", function(f"    {call}(a);"))
    assert f"{call}()" in plant(tmp_path, "bench/x.c", function(f"    {call} (a);"))
    assert plant(tmp_path, "src/base/x.c", function(f"    my_{call}(a);")).count("src/") == 0


def test_numbers_are_parsed_in_base(tmp_path):
    text = function("    return strtol(a, 0, 10);")
    assert "only in base/" in plant(tmp_path, "src/store/x.c", text)
    (tmp_path / "src/store/x.c").unlink()
    assert plant(tmp_path, "src/base/x.c", text) == ""


@pytest.mark.parametrize("call", ["malloc", "calloc", "realloc", "free", "strdup"])
def test_the_heap_belongs_to_base_and_to_new_and_free(tmp_path, call):
    body = f"    {call}(a);"
    assert f"{call}() in f()" in plant(tmp_path, "src/store/x.c", function(body))
    for name in ["store_new", "store_free", "store_open", "store_close", "store_release"]:
        assert plant(tmp_path, "src/store/x.c", function(body, name=name)) == ""
    assert plant(tmp_path, "src/base/y.c", function(body)) == ""


@pytest.mark.parametrize("word", ["XXX", "FIXME", "TODO", "TODO: later", "TODO(me)"])
@pytest.mark.parametrize("comment", ["// %s", "/* so\n * %s\n */"])
def test_unfinished_work_has_an_issue(tmp_path, word, comment):
    text = "// A file.\n" + comment % word + "\n"
    assert word.split(":")[0].split("(")[0] in plant(tmp_path, "src/base/x.c", text)


def test_goto_is_found(tmp_path):
    assert "no goto" in plant(tmp_path, "src/base/x.c", function("    goto out;"))


@pytest.mark.parametrize("directive", ["#if 0", "#ifdef X", "#ifndef X", "  # if X"])
def test_variants_are_files(tmp_path, directive):
    text = f"// A file.\n{directive}\n#endif\n"
    assert "no #if" in plant(tmp_path, "src/base/x.c", text)


@pytest.mark.parametrize("folder", ["tools", ".ci", "tests"])
def test_an_executable_script_has_a_shebang(tmp_path, folder):
    script = tmp_path / folder / "run"
    script.parent.mkdir()
    script.write_text("echo\n")
    assert tidy(tmp_path) == ""
    os.chmod(script, 0o755)
    assert "starts with #!" in tidy(tmp_path)
