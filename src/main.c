// The command line: one table of commands, from which help, manual page and completion come too.
#include <stdio.h>
#include <string.h>

#include "api/server.h"
#include "base/config.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/grid.h"
#include "cli/help.h"
#include "worker/worker.h"

enum {
    EXIT_DONE = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_DENIED = 4,
    EXIT_CONFLICT = 5,
    EXIT_UNAVAILABLE = 6,
    EXIT_INTERRUPTED = 130,
    ARENA_BYTES = 1 << 30,
    HELP_BYTES_MAX = 1 << 20,
};

#define OPTION_JSON                                                                                \
    { "json", 0, false, NULL, "Print the server's JSON." }
#define OPTION_DATA                                                                                \
    { "data", 0, false, "DIR", "Data folder. Default: TARN_DATA, else ./tarn-data." }
#define OPTION_YES                                                                                 \
    { "yes", 'y', false, NULL, "Do not ask." }
#define OPTIONS_END                                                                                \
    { NULL, 0, false, NULL, NULL }

static const struct args_option ingest_options[] = {
    {"dataset", 'd', false, "NAME", "Dataset of all files. Default: each file's name."},
    {"bucket", 'b', false, "NAME", "Bucket of a new dataset. Default: primary."},
    {"mode", 'm', false, "create|append|replace|upsert|delete",
     "What to do with the dataset. Default: create."},
    {"key", 'k', false, "COLUMN[,COLUMN]", "Upsert and delete: what tells rows apart."},
    {"on-duplicate", 0, false, "fail|last", "Upsert: a key twice in the file. Default: fail."},
    {"format", 0, false, "auto|csv|tsv|json|ndjson|parquet", "Format of the files. Default: auto."},
    {"on-error", 0, false, "fail|reject", "Bad rows: stop, or leave them out. Default: fail."},
    {"evolve", 0, false, NULL, "Let new columns and wider types change the schema."},
    {"header", 0, false, "yes|no", "Is the first line the header? Default: looked at."},
    {"delimiter", 0, false, "CHAR", "What separates fields. Default: looked at."},
    {"quote", 0, false, "CHAR", "What encloses fields. Default: looked at."},
    {"encoding", 0, false, "NAME", "utf-8, utf-16 or latin-1. Default: looked at."},
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option query_options[] = {
    {"file", 'f', false, "FILE", "Read the statement from a file."},
    {"output", 'o', false, "table|csv|tsv|json|ndjson|arrow|markdown",
     "Form of the rows. Default: table."},
    {"max-rows", 'n', false, "N", "Rows at most. Default: as the server is configured."},
    {"full", 0, false, NULL, "Show long cells whole."},
    {"reason", 0, false, "TEXT", "Why, for the journal, of a statement that writes."},
    OPTIONS_END,
};

static const struct args_option list_options[] = {OPTION_JSON, OPTIONS_END};

static const struct args_option alter_options[] = {
    {"add", 0, false, "NAME=TYPE", "A new column, empty in the rows that there are."},
    {"drop", 0, false, "NAME", "Take a column out."},
    {"rename", 0, false, "NAME=NEW-NAME", "Give a column another name."},
    {"widen", 0, false, "NAME=TYPE", "A wider type: BIGINT, DOUBLE, a longer DECIMAL."},
    {"nullable", 0, false, "NAME", "Let a column hold NULLs."},
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTIONS_END,
};

static const struct args_option rm_options[] = {
    OPTION_YES, {"reason", 0, false, "TEXT", "Why, for the journal."}, OPTIONS_END};
static const struct args_option rename_options[] = {
    {"reason", 0, false, "TEXT", "Why, for the journal."}, OPTIONS_END};

static const struct args_option role_set_options[] = {
    {"grant", 0, false, "OBJECT=RIGHTS", "What it may do; may be given again."},
    {"limit", 0, false, "NAME=N",
     "rows_max, bytes_max, time_ms or queries_max; may be given again."},
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTIONS_END,
};

static const struct args_option role_rm_options[] = {
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTIONS_END,
};

static const struct args_option view_show_options[] = {
    {"version", 0, false, "N", "An earlier definition."},
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option view_put_options[] = {
    {"base", 0, false, "DATASET", "The dataset that it shows."},
    {"columns", 0, false, "COLUMN[,COLUMN]",
     "What is shown, and nothing else; may be given again."},
    {"filter", 0, false, "CONDITION", "Which rows are there, in SQL. Default: all."},
    {"mask", 0, false, "COLUMN=MASK", "What is shown of a column; may be given again."},
    {"replace", 0, false, NULL, "Put it in the place of the view that has the name."},
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTIONS_END,
};

static const struct args_option view_preview_options[] = {
    {"as", 0, false, "ROLE", "Role or principal that is to see it; may be given again."},
    {"limit", 'n', false, "ROWS", "Rows of the base that are shown. Default: 20."},
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option view_rm_options[] = {
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTIONS_END,
};

static const struct args_option token_create_options[] = {
    {"role", 0, false, "ROLE", "Role of the token; at least one. May be given again."},
    {"expires", 0, false, "TIME", "When it ends: 12h, 30d or 2030-01-31. Default: never."},
    {"reason", 0, false, "TEXT", "Why, for the journal."},
    OPTIONS_END,
};

static const struct args_option token_rm_options[] = {
    {"reason", 0, false, "TEXT", "Why, for the journal."}, OPTIONS_END};

static const struct args_option verify_options[] = {
    {"head", 0, false, "SEQ:SHA256", "A head that was printed before: the log must contain it."},
    OPTIONS_END,
};

static const struct args_option journal_options[] = {
    {"limit", 'n', false, "N", "Entries at most. Default: 100."},
    {"actor", 0, false, "WHO", "Only what this principal did."},
    {"action", 0, false, "ACTION", "Only this action; dataset.* for all that begin so."},
    {"target", 0, false, "TARGET", "Only what was done to this: dataset:NAME, token:ID."},
    {"outcome", 0, false, "OUTCOME", "done, refused, or the code of a refusal, like not_found."},
    {"queries", 0, false, "all|refused|none",
     "Queries beside changes. Default: refused, those that failed."},
    {"reads", 0, false, "NAME",
     "Only queries that read this dataset, itself or through a view, or this view."},
    {"from", 0, false, "TIME", "Not before this time: 2027-01-31T00:00:00Z, or 12h, 30d ago."},
    {"to", 0, false, "TIME", "Before this time."},
    {"seq", 0, false, "N", "Only record N."},
    {"subject", 0, false, "HANDLE", "Only what was about this subject (32 hexadecimal digits)."},
    {"details", 0, false, NULL, "Show what else is known: roles, views, rows, counts."},
    OPTION_JSON,
    OPTIONS_END,
};

#define OPTION_DRY_RUN                                                                             \
    { "dry-run", 0, false, NULL, "Only say what would be done." }
#define OPTION_REASON                                                                              \
    { "reason", 0, false, "TEXT", "Why, for the journal." }

static const struct args_option compact_options[] = {
    {"all", 0, false, NULL, "Every dataset."},
    {"cluster-by", 0, false, "COLUMNS", "Sort all rows by these: a,b."},
    {"target-bytes", 0, false, "N", "Aimed size of a file. Default: as the server is configured."},
    OPTION_DRY_RUN,
    OPTION_REASON,
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option list_some_options[] = {
    {"limit", 'n', false, "N", "So many at most. Default: 100."},
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option rollback_options[] = {OPTION_DRY_RUN, OPTION_REASON, OPTION_JSON,
                                                      OPTIONS_END};

static const struct args_option expire_options[] = {
    {"older-than", 0, false, "TIME", "Age, as 12h or 5d. Default: as the table has it, else 5d."},
    {"keep", 0, false, "N", "So many stay, however old. Default: as the table has it, else 1."},
    {"keep-max", 0, false, "N", "So many stay at most, however young."},
    OPTION_DRY_RUN,
    OPTION_REASON,
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option orphans_options[] = {
    {"older-than", 0, false, "TIME", "Safety window. Default: 3d; at least 1h."},
    OPTION_DRY_RUN,
    OPTION_REASON,
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option tombstone_options[] = {
    {"column", 'k', false, "NAME", "The column that holds the keys."},
    {"keys-from", 0, false, "FILE", "Keys, one a line; - is standard input."},
    {"purge-not-before", 0, false, "TIME", "Keep the rows until then: 30d or 2030-01-31."},
    {"purge-by", 0, false, "TIME", "From then on it is overdue: 30d or 2030-01-31."},
    {"actor", 0, false, "NAME", "On whose behalf."},
    OPTION_REASON,
    {"undo", 0, false, NULL, "Bring the rows of these keys back."},
    {"list", 0, false, NULL, "List the dataset's tombstones; without a name, the datasets."},
    {"overdue", 0, false, NULL, "List only what is past its time of purging."},
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option erase_options[] = {
    {"column", 0, false, "NAME", "The column that holds the keys."},
    {"keys-from", 0, false, "FILE", "Keys, one a line; - is standard input."},
    {"dataset", 'd', false, "NAME", "A further dataset with that column; may be given again."},
    {"shared", 0, false, NULL, "Every other dataset with a column of that name, too."},
    {"search", 0, false, "VALUE", "A further value to look for; may be given again."},
    {"suppress", 0, false, NULL, "Keep these keys out of later ingests."},
    {"override-hold", 0, false, NULL, "Even before a tombstone's --purge-not-before."},
    {"receipt", 0, false, "FILE", "Save the receipt there."},
    {"verify", 0, false, "RECEIPT", "Check a receipt instead."},
    {"offline", 0, false, NULL, "With --verify: look into the data folder, without a server."},
    OPTION_DRY_RUN,
    OPTION_REASON,
    OPTION_YES,
    OPTION_JSON,
    OPTIONS_END,
};

static const struct args_option suppressions_rm_options[] = {OPTION_REASON, OPTIONS_END};

static const struct args_option receipt_options[] = {
    {"html", 0, false, NULL, "As a page to be read."},
    OPTIONS_END,
};

static const struct args_option fsck_options[] = {OPTION_DATA, OPTION_JSON, OPTIONS_END};

static const struct args_option doctor_options[] = {
    {"verbose", 'v', false, NULL, "Also print the configuration and where it came from."},
    OPTIONS_END,
};

static const struct args_option bench_options[] = {
    {"requests", 'n', false, "N", "How often the statement is sent. Default: 1000."},
    {"clients", 'c', false, "C", "Connections at once. Default: 8."},
    OPTIONS_END,
};

static const struct args_option version_options[] = {
    {"server", 0, false, NULL, "Ask the server for its version instead."},
    OPTIONS_END,
};

static const struct args_option help_options[] = {
    {"man", 0, false, NULL, "Print the manual page: tarn help --man | man -l -"},
    OPTIONS_END,
};

static enum err_code run_serve(const struct args *a, struct err *err) {
    struct config config = {0};
    TRY(config_load(a->config_argc, a->config_argv, a->arena, &config, err));
    return server_run(&config, err);
}

static enum err_code run_completion(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(HELP_BYTES_MAX);
    TRY(help_completion(a->commands, a->words[0], &out, err));
    return grid_write(&out, err);
}

static enum err_code run_help(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(HELP_BYTES_MAX);
    size_t taken = 0;
    const struct command *c = args_command_find(a->commands, a->word_count, a->words, &taken);
    if (args_flag(a, "man")) {
        help_man(a->commands, &out);
    } else if (c) {
        help_command(c, &out);
    } else if (a->word_count == 0) {
        help_program(a->commands, &out);
    } else if (args_is_group(a->commands, a->words[0])) {
        help_group(a->commands, a->words[0], &out);
    } else {
        const char *near = args_command_nearest(a->commands, a->words[0]);
        return err_set(err, ERR_INVALID, "unknown command \"%.100s\"; %s%s\"%s", a->words[0],
                       near ? "did you mean \"tarn help " : "try \"tarn --help", near ? near : "",
                       near ? "?" : "");
    }
    return grid_write(&out, err);
}

static const struct command commands[] = {
    {"serve", "", "Start the server.",
     "Serves until Ctrl-C or SIGTERM, then lets running requests end. The first start makes the\n"
     "data folder and an admin token, which is printed once and kept in DIR/admin.token.\n\n"
     "  tarn serve --data /srv/tarn --listen 127.0.0.1:8787\n"
     "  tarn serve --demo",
     NULL, COMMAND_CONFIG, 0, 0, run_serve},
    {"ingest", "FILE...", "Send files into datasets.",
     "Each file becomes its own dataset, named after it, unless --dataset names one: then the\n"
     "files are appended in order. FILE may be - for standard input. Files packed with gzip or\n"
     "zstd are unpacked by the server.\n\n"
     "  tarn ingest flights.csv airports.parquet\n"
     "  tarn ingest --dataset flights --mode append 2024-*.csv\n"
     "  tarn ingest --dataset people --mode upsert --key id corrections.csv\n"
     "  zcat log.ndjson.gz | tarn ingest --dataset log --format ndjson -",
     ingest_options, COMMAND_CLIENT, 1, COMMAND_MANY, cli_ingest},
    {"query", "[SQL|-]", "Run a statement and print its rows.",
     "The statement is given as one word, in a file, or on standard input with -. It is one\n"
     "SELECT, INSERT, UPDATE, DELETE, CREATE TABLE AS, DROP TABLE or ALTER TABLE.\n"
     "csv, tsv, ndjson and arrow stream; the other forms are laid out when all rows are there.\n\n"
     "  tarn query 'SELECT city, count(*) FROM candidates GROUP BY ALL'\n"
     "  tarn query -o csv -f report.sql >report.csv\n"
     "  tarn query \"UPDATE films SET title = trim(title)\" --reason 'spaces from the scanner'",
     query_options, COMMAND_CLIENT, 0, 1, cli_query},
    {"ls", "", "List the datasets.", "", list_options, COMMAND_CLIENT, 0, 0, cli_ls},
    {"describe", "NAME", "Show a dataset: columns, size, snapshots.", "", list_options,
     COMMAND_CLIENT, 1, 1, cli_describe},
    {"rm", "NAME...", "Delete datasets.", "On a terminal it asks before each.", rm_options,
     COMMAND_CLIENT, 1, COMMAND_MANY, cli_rm},
    {"rename", "NAME NEW-NAME", "Rename a dataset.", "", rename_options, COMMAND_CLIENT, 2, 2,
     cli_rename},
    {"alter", "NAME", "Change the columns of a dataset.",
     "Options are carried out in their order and may be given again; all are one commit. Files\n"
     "stay as they are, and older versions keep their columns.\n\n"
     "  tarn alter visits --add 'note=VARCHAR' --rename city=town --widen visitors=BIGINT",
     alter_options, COMMAND_CLIENT, 1, 1, cli_alter},
    {"cache pin", "NAME...", "Hold datasets in memory.",
     "They stay until they are evicted, and follow what is committed.", NULL, COMMAND_CLIENT, 1,
     COMMAND_MANY, cli_cache_pin},
    {"cache evict", "[NAME...]", "Take datasets out of memory; without a name, all.", "", NULL,
     COMMAND_CLIENT, 0, COMMAND_MANY, cli_cache_evict},
    {"cache stats", "", "List what is in memory, and how often it served.", "", list_options,
     COMMAND_CLIENT, 0, 0, cli_cache_stats},
    {"compact", "[NAME]", "Write small files and files with deletes again.",
     "The answers stay the same; fewer, larger files are quicker to read. Old files stay for time\n"
     "travel until their snapshots expire.\n\n"
     "  tarn compact flights --dry-run\n"
     "  tarn compact flights --cluster-by origin,date\n"
     "  tarn compact --all",
     compact_options, COMMAND_CLIENT, 0, 1, cli_compact},
    {"snapshots ls", "NAME", "List a dataset's snapshots.", "", list_some_options, COMMAND_CLIENT,
     1, 1, cli_snapshots_ls},
    {"snapshots rollback", "NAME VERSION", "Make an older snapshot current again.",
     "VERSION is a snapshot or a sequence number. Nothing is lost: the snapshots after it stay\n"
     "until they expire.",
     rollback_options, COMMAND_CLIENT, 2, 2, cli_snapshots_rollback},
    {"snapshots expire", "NAME", "Remove old snapshots and what only they need.",
     "  tarn snapshots expire flights --older-than 12h --keep 10 --dry-run", expire_options,
     COMMAND_CLIENT, 1, 1, cli_snapshots_expire},
    {"snapshots orphans", "NAME", "Remove objects of a dataset that nothing leads to.", "",
     orphans_options, COMMAND_CLIENT, 1, 1, cli_snapshots_orphans},
    {"jobs ls", "", "List long work, newest first.", "", list_some_options, COMMAND_CLIENT, 0, 0,
     cli_jobs_ls},
    {"jobs show", "ID", "Show a job with its result.", "", NULL, COMMAND_CLIENT, 1, 1,
     cli_jobs_show},
    {"jobs stop", "ID", "Ask a job to stop.", "", NULL, COMMAND_CLIENT, 1, 1, cli_jobs_stop},
    {"tombstone", "[NAME] [KEY...]", "Hide all rows of a key, now and later, or bring them back.",
     "Nobody sees the rows any more; \"tarn compact\" takes them out of the files, until then "
     "--undo\n"
     "brings them back. The reason stays in the journal for ever: name nobody there. When a key\n"
     "cannot be done, it is named, the others are done, and the exit code is 1, or 3 when no key\n"
     "was found.\n\n"
     "  tarn tombstone candidates CAND-000001 CAND-000002 --column candidate_id --reason 'ticket "
     "7'\n"
     "  tarn tombstone candidates --keys-from leavers.txt --column candidate_id --purge-by 30d\n"
     "  tarn tombstone candidates --undo CAND-000001 --reason 'the wrong one'\n"
     "  tarn tombstone candidates --list\n"
     "  tarn tombstone --overdue",
     tombstone_options, COMMAND_CLIENT, 0, COMMAND_MANY, cli_tombstone},
    {"erase", "[NAME KEY...]", "Take subjects out of everything that is kept, and prove it.",
     "Their rows leave every file of every snapshot; caches and leftovers go; then all that\n"
     "remains is searched, and a signed receipt is made. It cannot be undone. A receipt is "
     "checked\n"
     "with --verify; the exit code is 1 when it does not hold, or when a value was still found.\n\n"
     "  tarn erase candidates CAND-000001 --column candidate_id --dry-run\n"
     "  tarn erase candidates CAND-000001 --column candidate_id --shared --search ada@example.org "
     "\\\n"
     "    --reason 'request 2024-117' --receipt receipt.json\n"
     "  tarn erase --verify receipt.json",
     erase_options, COMMAND_CLIENT, 0, COMMAND_MANY, cli_erase},
    {"erasures ls", "", "List erasures, newest first.", "", list_some_options, COMMAND_CLIENT, 0, 0,
     cli_erasures_ls},
    {"erasures receipt", "ID", "Print the receipt of an erasure.", "", receipt_options,
     COMMAND_CLIENT, 1, 1, cli_erasures_receipt},
    {"erasures resume", "ID", "Take up an erasure that was stopped.", "", list_options,
     COMMAND_CLIENT, 1, 1, cli_erasures_resume},
    {"suppressions ls", "", "List the datasets that keep erased keys out.", "", list_options,
     COMMAND_CLIENT, 0, 0, cli_suppressions_ls},
    {"suppressions rm", "NAME", "Let rows of a dataset's erased keys in again.", "",
     suppressions_rm_options, COMMAND_CLIENT, 1, 1, cli_suppressions_rm},
    {"fsck", "", "Check a data folder from the log down to the files.",
     "Reads log, metadata, manifests, footers and deletes of every dataset; no server is needed.\n"
     "What is damaged is named, with a way to mend it, and the exit code is 1.",
     fsck_options, 0, 0, 0, cli_fsck},
    {"role ls", "", "List the roles with what they grant.", "", list_options, COMMAND_CLIENT, 0, 0,
     cli_role_ls},
    {"role show", "NAME", "Show the grants and limits of a role.", "", list_options, COMMAND_CLIENT,
     1, 1, cli_role_show},
    {"role set", "NAME", "Make a role, or give it other grants and limits.",
     "What is not given is taken away. An object is dataset:NAME, dataset:*, bucket:NAME, "
     "view:NAME,\n"
     "view:* or server; the rights on a dataset or bucket are read_raw, write, tombstone and "
     "erase,\n"
     "on a view read, on the server admin and impersonate.\n\n"
     "  tarn role set analyst --grant 'dataset:films=read_raw' --limit rows_max=1000\n"
     "  tarn role set loader --grant 'bucket:primary=write' --reason 'ticket 12'",
     role_set_options, COMMAND_CLIENT, 1, 1, cli_role_set},
    {"role rm", "NAME...", "Remove roles: tokens that have them get nothing from them.", "",
     role_rm_options, COMMAND_CLIENT, 1, COMMAND_MANY, cli_role_rm},
    {"view ls", "", "List the views with their columns.", "", list_options, COMMAND_CLIENT, 0, 0,
     cli_view_ls},
    {"view show", "NAME", "Show a view: its columns, and to admins all of it.", "",
     view_show_options, COMMAND_CLIENT, 1, 1, cli_view_show},
    {"view put", "NAME", "Make a view: what of a dataset is shown to whom may not see it whole.",
     "Masks are null, mask-to-default, hash, sha-256-query-local, mask:START,END (characters that\n"
     "are kept), show-first-4, show-last-4, mask-alphanum, truncate-to-year and "
     "truncate-to-month.\n"
     "The filter may speak of columns that are not shown.\n\n"
     "  tarn view put people_safe --base people --columns id,name,town,email \\\n"
     "      --filter \"status != 'blocked'\" --mask email=hash --mask id=mask:3,2\n"
     "  tarn role set agent --grant view:people_safe=read",
     view_put_options, COMMAND_CLIENT, 1, 1, cli_view_put},
    {"view preview", "NAME", "Show rows as they are beside what others see of them.",
     "It takes the right to see as others (impersonate), and to read the base raw.\n\n"
     "  tarn view preview people_safe --as agent",
     view_preview_options, COMMAND_CLIENT, 1, 1, cli_view_preview},
    {"view rm", "NAME...", "Remove views.", "", view_rm_options, COMMAND_CLIENT, 1, COMMAND_MANY,
     cli_view_rm},
    {"view rotate-key", "", "Give the hashes of all views another key.",
     "What was hashed before does not join with what is hashed from now on.", view_rm_options,
     COMMAND_CLIENT, 0, 0, cli_view_rotate_key},
    {"token create", "PRINCIPAL", "Make a token and print it.",
     "The token goes to standard output and is shown only this once.\n\n"
     "  tarn token create nightly-job --role loader --expires 30d >job.token",
     token_create_options, COMMAND_CLIENT, 1, 1, cli_token_create},
    {"token ls", "", "List the tokens, without their secrets.", "", list_options, COMMAND_CLIENT, 0,
     0, cli_token_ls},
    {"token rm", "ID...", "Revoke tokens.", "", token_rm_options, COMMAND_CLIENT, 1, COMMAND_MANY,
     cli_token_rm},
    {"journal verify", "", "Check that the journal is as it was written.",
     "Reads every record and checkpoint and follows the chain of their hashes; the server does\n"
     "it, or, with --data, this program by itself. If an object is wrong or missing, it is named\n"
     "and the exit code is 1. Keep the head that is printed elsewhere: with --head, a chain that\n"
     "was written anew or cut short is seen, whoever did it. \"seen\" is the record that a hint\n"
     "in the bucket says the log has reached.",
     verify_options, COMMAND_CLIENT, 0, 0, cli_journal_verify},
    {"journal show", "", "The same as journal.", "", journal_options, COMMAND_CLIENT, 0, 0,
     cli_journal_show},
    {"journal", "", "List what was changed or refused, by whom and why.",
     "Newest first. Queries are in the journal as well; those that went well are shown with\n"
     "--queries all, or when --action, --reads or --seq asks for them.\n\n"
     "  tarn journal --action 'dataset.*' --outcome refused --from 30d\n"
     "  tarn journal --reads candidates --actor helper --details",
     journal_options, COMMAND_CLIENT, 0, 0, cli_journal_show},
    {"doctor", "", "Check configuration, data folder, engine and address.",
     "Takes the options of serve and says what a server started with them would meet. The exit\n"
     "code is 1 when a check fails.",
     doctor_options, COMMAND_CONFIG, 0, 0, cli_doctor},
    {"bench", "[SQL]", "Measure requests per second and latency of a statement.",
     "  tarn bench 'SELECT count(*) FROM placements' -n 500 -c 4", bench_options, COMMAND_CLIENT, 0,
     1, cli_bench},
    {"version", "", "Print the version.", "", version_options, COMMAND_CLIENT, 0, 0, cli_version},
    {"completion", "bash|zsh|fish", "Print the completion for a shell.",
     "  source <(tarn completion bash)", NULL, 0, 1, 1, run_completion},
    {"help", "[COMMAND]", "Show help, or the manual page.", "", help_options, 0, 0, 2, run_help},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL},
};

static int exit_code(enum err_code code) {
    switch (code) {
    case ERR_OK:
        return EXIT_DONE;
    case ERR_INVALID:
        return EXIT_USAGE;
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case ERR_UNAUTHENTICATED:
    case ERR_DENIED:
        return EXIT_DENIED;
    case ERR_CONFLICT:
    case ERR_EXISTS:
    case ERR_SCHEMA:
        return EXIT_CONFLICT;
    case ERR_BUSY:
        return EXIT_UNAVAILABLE;
    case ERR_CANCELLED:
        return client_interrupted() ? EXIT_INTERRUPTED : EXIT_ERROR;
    default:
        return EXIT_ERROR;
    }
}

// The message on standard error; what a server sent cannot steer the terminal.
static int report(const struct err *err) {
    char line[sizeof(err->msg)];
    size_t len = 0;
    for (const char *c = err->msg; *c; c++) {
        const bool control = ((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7F;
        line[len++] = control ? '?' : *c;
    }
    if (len > 0) {
        fprintf(stderr, "tarn: %.*s\n", (int)len, line);
    }
    return exit_code(err->code);
}

static enum err_code show_help(const struct args *a, struct err *err) {
    DEFER(buf_release) struct buf out = BUF(HELP_BYTES_MAX);
    if (a->command) {
        help_command(a->command, &out);
    } else if (a->group) {
        help_group(commands, a->group, &out);
    } else {
        help_program(commands, &out);
    }
    return grid_write(&out, err);
}

// What a server starts, not a command of its users: nobody reads its help.
static bool is_worker(int argc, char **argv) {
    return argc == 1 && strcmp(argv[0], "worker") == 0;
}

static enum err_code run(int argc, char **argv, struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(ARENA_BYTES);
    char version[] = "version";
    char *version_argv[] = {version};
    struct args args = {0};
    if (is_worker(argc, argv)) {
        return worker_run(err);
    }
    if (argc > 0 && strcmp(argv[0], "--version") == 0) {
        argc = 1;
        argv = version_argv;
    }
    TRY(args_parse(commands, argc, argv, &arena, &args, err));
    return args.help ? show_help(&args, err) : args.command->run(&args, err);
}

int main(int argc, char **argv) {
    struct err err = ERR_NONE;
    if (argc < 2) {
        DEFER(buf_release) struct buf out = BUF(HELP_BYTES_MAX);
        help_program(commands, &out);
        fputs(out.ptr, stderr);
        return EXIT_USAGE;
    }
    return run(argc - 1, argv + 1, &err) == ERR_OK ? EXIT_DONE : report(&err);
}
