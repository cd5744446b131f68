// Demonstration data: three SELECT statements over numbers, each column drawn by its own hash.
//
// A draw is hash(number, salt): the salt names the column, so that columns are independent of each
// other. Weights come from squaring a draw in [0, 1): the front of a list is drawn more often.
#include "demo/demo_world.h"

#include "base/arena.h"
#include "base/str.h"

// The counts of demo_world.h, for the preprocessor.
#define CANDIDATES "100000"
#define CLIENTS "2000"
#define PLACEMENTS "1470000"

// A whole number in [0, count), a real number in [0, 1), and an element of a list, evenly or with
// weight on its front. Each belongs to row i.
#define DRAW(salt, count) "(hash(i, '" salt "') % " count ")::BIGINT"
#define UNIT(salt) "((hash(i, '" salt "') % 1000003)::DOUBLE / 1000003)"
#define PICK(salt, list) "list_extract(" list ", 1 + " DRAW(salt, "len(" list ")::UBIGINT") ")"
#define LEAN(salt, list)                                                                           \
    "list_extract(" list ", 1 + floor(" UNIT(salt) " * " UNIT(salt) " * len(" list "))::BIGINT)"

#define FIRST_NAMES                                                                                \
    "['Olivia','Liam','Emma','Noah','Amelia','Mateo','Sophia','Lucas','Mia','Ethan','Ava','Elias'" \
    ","                                                                                            \
    "'Zoe','Leo','Nora','Ivan','Layla','Omar','Priya','Arjun','Mei','Hiro','Yuki','Chen','Fatima'" \
    ","                                                                                            \
    "'Kofi','Amara','Sven','Ingrid','Pablo','Lucia','Marco','Giulia','Anders','Freya','Dmitri',"   \
    "'Anya','Tomas','Elena','Rafael','Ines','Hugo','Chloe','Jonas','Klara','Samir','Leila',"       \
    "'Declan','Siobhan','Tariq']"
#define LAST_NAMES                                                                                 \
    "['Smith','Garcia','Johnson','Nguyen','Brown','Patel','Martinez','Kim','Lopez','Lee','Wilson'" \
    ","                                                                                            \
    "'Singh','Anderson','Chen','Thomas','Ali','Taylor','Moore','Jackson','Silva','Martin',"        \
    "'Schmidt','Okafor','Ivanova','Rossi','Dubois','Larsen','Novak','Kowalski','Haddad','Tanaka'," \
    "'Yamamoto','Osei','Mensah','Costa','Fernandes','Murphy','Walsh','Becker','Hoffmann',"         \
    "'Petrov','Andersson','Virtanen','De Vries','Janssen','O''Brien','Mueller','Sato','Diaz',"     \
    "'Reyes']"
// City, state and the first three digits of its zip codes.
#define PLACES                                                                                     \
    "[{c:'Houston',s:'TX',z:770},{c:'Chicago',s:'IL',z:606},{c:'Denver',s:'CO',z:802},"            \
    "{c:'Austin',s:'TX',z:787},{c:'Seattle',s:'WA',z:981},{c:'Phoenix',s:'AZ',z:850},"             \
    "{c:'Atlanta',s:'GA',z:303},{c:'Dallas',s:'TX',z:752},{c:'Boston',s:'MA',z:021},"              \
    "{c:'Portland',s:'OR',z:972},{c:'Miami',s:'FL',z:331},{c:'Nashville',s:'TN',z:372},"           \
    "{c:'Columbus',s:'OH',z:432},{c:'Charlotte',s:'NC',z:282},{c:'Detroit',s:'MI',z:482},"         \
    "{c:'Minneapolis',s:'MN',z:554},{c:'San Diego',s:'CA',z:921},{c:'Tampa',s:'FL',z:336},"        \
    "{c:'Omaha',s:'NE',z:681},{c:'Boise',s:'ID',z:837}]"
#define VERTICALS                                                                                  \
    "['Healthcare','Technology','Finance','Manufacturing','Logistics','Education','Energy',"       \
    "'Hospitality']"
#define SKILLS                                                                                     \
    "['Python','SQL','Nursing','Java','Excel','Welding','Accounting','Forklift','Triage',"         \
    "'Scheduling','React','AWS','Payroll','CNC','Teaching','Spanish','Auditing','Kubernetes',"     \
    "'Customer care','Safety']"
#define JOB_TITLES                                                                                 \
    "['Registered Nurse','Software Engineer','Accountant','Machine Operator','Warehouse "          \
    "Associate',"                                                                                  \
    "'Data Analyst','Project Manager','Electrician','Medical Assistant','Teacher',"                \
    "'Customer Service Agent','Payroll Clerk','Welder','Site Supervisor','Systems Administrator'," \
    "'Line Cook']"
#define NOTES                                                                                      \
    "['Prefers remote work','Available from next month','Open to relocation','References "         \
    "checked',"                                                                                    \
    "'Interviewed, strong','Part time only','Wants day shifts','Returning candidate']"

static const char
    candidates_sql[] =
        "SELECT format('CAND-{:06d}', i) AS candidate_id, first_name, last_name,"
        " lower(format('{}.{}{}@example.{}', first_name,"
        "  replace(replace(last_name, ' ', ''), '''', ''), i,"
        "  " PICK("domain", "['com','org','net']") ")) AS email,"
                                                   " format('({:03d}) 555-01{:02d}', 201 "
                                                   "+ " DRAW("area", "780") ", " DRAW("line", "1"
                                                                                              "0"
                                                                                              "0") ") AS phone,"
                                                                                                   " place.c AS city, place.s AS state,"
                                                                                                   " format('{:03d}{:02d}', place.z, " DRAW("zip", "100") ") AS zip,"
                                                                                                                                                          " vertical,"
                                                                                                                                                          " CASE WHEN skill_1 = skill_2 THEN skill_1"
                                                                                                                                                          "  ELSE skill_1 || ', ' || skill_2 END AS skills,"
                                                                                                                                                          " years_experience,"
                                                                                                                                                          " " LEAN(
                                                                                                                                                              "status",
                                                                                                                                                              "['active','active','placed','passive','do not contact']") " AS status,"
                                                                                                                                                                                                                         " (22 + years_experience * 1.85 + " UNIT("rate") " * 40)::DECIMAL(10,2) AS desired_rate,"
                                                                                                                                                                                                                                                                          " TIMESTAMP '2018-01-01 08:00:00' + to_seconds(" DRAW("created", "252288000") ") AS created_at,"
                                                                                                                                                                                                                                                                                                                                                        " CASE WHEN " DRAW("has_notes", "3") " > 0 THEN " PICK("notes",
                                                                                                                                                                                                                                                                                                                                                                                                               NOTES) " END AS notes"
                                                                                                                                                                                                                                                                                                                                                                                                                      " FROM (SELECT i, " LEAN(
                                                                                                                                                                                                                                                                                                                                                                                                                          "first",
                                                                                                                                                                                                                                                                                                                                                                                                                          FIRST_NAMES) " AS first_name,"
                                                                                                                                                                                                                                                                                                                                                                                                                                       "  " LEAN(
                                                                                                                                                                                                                                                                                                                                                                                                                                           "last", LAST_NAMES) " AS last_name,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                               "  " LEAN(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "place", PLACES) " AS place,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "  " LEAN("vertical",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              VERTICALS) " AS vertical,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "  " PICK(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "skill_1", SKILLS) " AS skill_1, " PICK("skill_2", SKILLS) " AS skill_2,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "  floor(" UNIT("years") " * " UNIT(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            "years") " * 35)::INTEGER AS years_experience"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "  FROM range(1, 1 + " CANDIDATES
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     ") t(i)) ORDER BY candidate_id";

static const char clients_sql[] =
    "SELECT format('CLI-{:05d}', i) AS client_id,"
    " format('{} {} {}', " LEAN(
        "name",
        LAST_NAMES) ","
                    "  " PICK(
                        "line",
                        "['Health','Systems','Capital','Works','Freight','Schools','Energy','Foods'"
                        "]") ","
                             "  " PICK(
                                 "form",
                                 "['Inc','LLC','Group','Partners']") ") AS name,"
                                                                     " " LEAN(
                                                                         "vertical",
                                                                         VERTICALS) " AS vertical, "
                                                                                    "place.c AS "
                                                                                    "city, place.s "
                                                                                    "AS state,"
                                                                                    " format('"
                                                                                    "contact{}@"
                                                                                    "client."
                                                                                    "example', i) "
                                                                                    "AS "
                                                                                    "contact_email,"
                                                                                    " " LEAN(
                                                                                        "size",
                                                                                        "['small','"
                                                                                        "medium','"
                                                                                        "large','"
                                                                                        "enterprise"
                                                                                        "']") " AS "
                                                                                              "size"
                                                                                              ","
                                                                                              " DAT"
                                                                                              "E "
                                                                                              "'201"
                                                                                              "0-"
                                                                                              "01-"
                                                                                              "01' "
                                                                                              "+"
                                                                                              " " DRAW(
                                                                                                  "since",
                                                                                                  "5475") "::INTEGER AS client_since"
                                                                                                          " FROM (SELECT i, " LEAN(
                                                                                                              "place",
                                                                                                              PLACES) " AS place"
                                                                                                                      "  FROM range(1, 1 + " CLIENTS
                                                                                                                      ") t(i)) ORDER BY client_id";

// Every candidate has about fifteen placements; some clients have far more than others. One in
// eight placements is still running and has no end.
static const char placements_sql[] =
    "SELECT format('PLC-{:07d}', i) AS placement_id,"
    " format('CAND-{:06d}', 1 + " DRAW(
        "candidate",
        CANDIDATES) ") AS candidate_id,"
                    " format('CLI-{:05d}', 1 + floor(" UNIT("client") " * " UNIT(
                        "client") " * " CLIENTS ")::BIGINT)"
                                  "  AS client_id,"
                                  " " LEAN(
                                      "title",
                                      JOB_TITLES) " AS job_title, start_date,"
                                                  " CASE WHEN NOT running THEN start_date + (14 "
                                                  "+ " DRAW(
                                                      "days",
                                                      "500") ")::INTEGER END"
                                                             "  AS end_date,"
                                                             " (pay * (1.25 + " UNIT(
                                                                 "margin") " * "
                                                                           "0.35))::"
                                                                           "DECIMAL(10,2) "
                                                                           "AS bill_rate,"
                                                                           " pay::DECIMAL("
                                                                           "10,2) AS "
                                                                           "pay_rate,"
                                                                           " CASE WHEN "
                                                                           "running THEN "
                                                                           "'active' ELSE"
                                                                           "  " LEAN(
                                                                               "status",
                                                                               "['"
                                                                               "completed',"
                                                                               "'completed'"
                                                                               ",'"
                                                                               "completed',"
                                                                               "'terminated"
                                                                               "','"
                                                                               "cancelled'"
                                                                               "]") " END "
                                                                                    "AS "
                                                                                    "status"
                                                                                    " FROM "
                                                                                    "(SELEC"
                                                                                    "T i, "
                                                                                    "DATE "
                                                                                    "'2016-"
                                                                                    "01-04'"
                                                                                    " +"
                                                                                    " " DRAW(
                                                                                        "st"
                                                                                        "ar"
                                                                                        "t",
                                                                                        "32"
                                                                                        "0"
                                                                                        "0") "::"
                                                                                             "INTEG"
                                                                                             "ER "
                                                                                             "AS "
                                                                                             "start"
                                                                                             "_date"
                                                                                             ","
                                                                                             " "
                                                                                             " " DRAW(
                                                                                                 "r"
                                                                                                 "u"
                                                                                                 "n"
                                                                                                 "n"
                                                                                                 "i"
                                                                                                 "n"
                                                                                                 "g",
                                                                                                 "8") " = 0 AS running,"
                                                                                                      "  18 + " UNIT("pay") " * " UNIT(
                                                                                                          "pay") " * 92 AS pay"
                                                                                                                 "  FROM range(1, 1 + " PLACEMENTS
                                                                                                                 ") t(i)) ORDER BY i";

static const struct {
    const char *file, *sql;
} tables[] = {
    {"candidates.parquet", candidates_sql},
    {"clients.parquet", clients_sql},
    {"placements.parquet", placements_sql},
};

enum { ARENA_BYTES = 16 << 20 };

enum err_code demo_world_write(struct engine *e, const char *folder, struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(ARENA_BYTES);
    DEFER(session_closep) struct session *session = NULL;
    TRY(session_open(e, &session, err));
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct engine_file_stats *files = NULL;
        size_t count = 0;
        const struct engine_copy copy = {.select = str_from(tables[i].sql),
                                         .path =
                                             arena_printf(&arena, "%s/%s", folder, tables[i].file)};
        TRY(engine_copy_to(session, &copy, &arena, &files, &count, err));
    }
    return ERR_OK;
}
