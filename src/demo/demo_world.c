// Demonstration data: three SELECT statements over numbers, each column drawn by its own hash.
//
// A draw is hash(number, salt): the salt names the column, so that columns are independent of each
// other. Weights come from squaring a draw in [0, 1): the front of a list is drawn more often.
#include "demo/demo_world.h"

#include "base/arena.h"
#include "base/str.h"

enum { ARENA_BYTES = 16 << 20 };

// The macros of the statements below. Of row i: a whole number below n, a real number in [0, 1), an
// element of a list, and one with weight on the list's front. Then the lists.
static const struct {
    const char *name, *arguments, *body;
} macros[] = {
    {"demo_draw", "i, salt, n", "(hash(i, salt) % n)::BIGINT"},
    {"demo_unit", "i, salt", "(hash(i, salt) % 1000003)::DOUBLE / 1000003"},
    {"demo_pick", "i, salt, l", "l[1 + demo_draw(i, salt, len(l)::UBIGINT)]"},
    {"demo_lean", "i, salt, l",
     "l[1 + floor(demo_unit(i, salt) * demo_unit(i, salt) * len(l))::BIGINT]"},
    {"demo_first_names", "",
     "['Olivia','Liam','Emma','Noah','Amelia','Mateo','Sophia','Lucas','Mia','Ethan','Ava',"
     "'Elias','Zoe','Leo','Nora','Ivan','Layla','Omar','Priya','Arjun','Mei','Hiro','Yuki','Chen',"
     "'Fatima','Kofi','Amara','Sven','Ingrid','Pablo','Lucia','Marco','Giulia','Anders','Freya',"
     "'Dmitri','Anya','Tomas','Elena','Rafael','Ines','Hugo','Chloe','Jonas','Klara','Samir',"
     "'Leila','Declan','Siobhan','Tariq']"},
    {"demo_last_names", "",
     "['Smith','Garcia','Johnson','Nguyen','Brown','Patel','Martinez','Kim','Lopez','Lee',"
     "'Wilson','Singh','Anderson','Chen','Thomas','Ali','Taylor','Moore','Jackson','Silva',"
     "'Martin','Schmidt','Okafor','Ivanova','Rossi','Dubois','Larsen','Novak','Kowalski','Haddad',"
     "'Tanaka','Yamamoto','Osei','Mensah','Costa','Fernandes','Murphy','Walsh','Becker','Hoffmann',"
     "'Petrov','Andersson','Virtanen','De Vries','Janssen','O''Brien','Mueller','Sato','Diaz',"
     "'Reyes']"},
    // City, state and the first three digits of its zip codes.
    {"demo_places", "",
     "[{c:'Houston',s:'TX',z:770},{c:'Chicago',s:'IL',z:606},{c:'Denver',s:'CO',z:802},"
     "{c:'Austin',s:'TX',z:787},{c:'Seattle',s:'WA',z:981},{c:'Phoenix',s:'AZ',z:850},"
     "{c:'Atlanta',s:'GA',z:303},{c:'Dallas',s:'TX',z:752},{c:'Boston',s:'MA',z:21},"
     "{c:'Portland',s:'OR',z:972},{c:'Miami',s:'FL',z:331},{c:'Nashville',s:'TN',z:372},"
     "{c:'Columbus',s:'OH',z:432},{c:'Charlotte',s:'NC',z:282},{c:'Detroit',s:'MI',z:482},"
     "{c:'Minneapolis',s:'MN',z:554},{c:'San Diego',s:'CA',z:921},{c:'Tampa',s:'FL',z:336},"
     "{c:'Omaha',s:'NE',z:681},{c:'Boise',s:'ID',z:837}]"},
    {"demo_verticals", "",
     "['Healthcare','Technology','Finance','Manufacturing','Logistics','Education','Energy',"
     "'Hospitality']"},
    {"demo_skills", "",
     "['Python','SQL','Nursing','Java','Excel','Welding','Accounting','Forklift','Triage',"
     "'Scheduling','React','AWS','Payroll','CNC','Teaching','Spanish','Auditing','Kubernetes',"
     "'Customer care','Safety']"},
    {"demo_job_titles", "",
     "['Registered Nurse','Software Engineer','Accountant','Machine Operator',"
     "'Warehouse Associate','Data Analyst','Project Manager','Electrician','Medical Assistant',"
     "'Teacher','Customer Service Agent','Payroll Clerk','Welder','Site Supervisor',"
     "'Systems Administrator','Line Cook']"},
    {"demo_notes", "",
     "['Prefers remote work','Available from next month','Open to relocation',"
     "'References checked','Interviewed, strong','Part time only','Wants day shifts',"
     "'Returning candidate']"},
};

// %d is the number of rows.
static const char candidates_sql[] =
    "SELECT format('CAND-{:06d}', i) AS candidate_id, first_name, last_name,"
    " lower(format('{}.{}{}@example.{}', first_name,"
    "  replace(replace(last_name, ' ', ''), '''', ''), i, demo_pick(i, 'domain', "
    "['com','org','net']))) AS email,"
    " format('({:03d}) 555-01{:02d}', 201 + demo_draw(i, 'area', 780), demo_draw(i, 'line', 100))"
    "  AS phone,"
    " place.c AS city, place.s AS state,"
    " format('{:03d}{:02d}', place.z, demo_draw(i, 'zip', 100)) AS zip,"
    " demo_lean(i, 'vertical', demo_verticals()) AS vertical,"
    " CASE WHEN skill_1 = skill_2 THEN skill_1 ELSE skill_1 || ', ' || skill_2 END AS skills,"
    " years_experience,"
    " demo_lean(i, 'status', ['active','active','placed','passive','do not contact']) AS status,"
    " (22 + years_experience * 1.85 + demo_unit(i, 'rate') * 40)::DECIMAL(10,2) AS desired_rate,"
    " TIMESTAMP '2018-01-01 08:00:00' + to_seconds(demo_draw(i, 'created', 252288000))"
    "  AS created_at,"
    " CASE WHEN demo_draw(i, 'has_notes', 3) > 0 THEN demo_pick(i, 'notes', demo_notes()) END"
    "  AS notes"
    " FROM (SELECT i, demo_lean(i, 'first', demo_first_names()) AS first_name,"
    "  demo_lean(i, 'last', demo_last_names()) AS last_name,"
    "  demo_lean(i, 'place', demo_places()) AS place,"
    "  demo_pick(i, 'skill_1', demo_skills()) AS skill_1,"
    "  demo_pick(i, 'skill_2', demo_skills()) AS skill_2,"
    "  floor(demo_unit(i, 'years') * demo_unit(i, 'years') * 35)::INTEGER AS years_experience"
    "  FROM range(1, 1 + %d) t(i)) ORDER BY i";

static const char clients_sql[] =
    "SELECT format('CLI-{:05d}', i) AS client_id,"
    " format('{} {} {}', demo_lean(i, 'name', demo_last_names()),"
    "  demo_pick(i, 'line', ['Health','Systems','Capital','Works','Freight','Schools','Energy',"
    "  'Foods']), demo_pick(i, 'form', ['Inc','LLC','Group','Partners'])) AS name,"
    " demo_lean(i, 'branch', demo_verticals()) AS vertical, place.c AS city, place.s AS state,"
    " format('contact{}@client.example', i) AS contact_email,"
    " demo_lean(i, 'size', ['small','medium','large','enterprise']) AS size,"
    " DATE '2010-01-01' + demo_draw(i, 'since', 5475)::INTEGER AS client_since"
    " FROM (SELECT i, demo_lean(i, 'seat', demo_places()) AS place FROM range(1, 1 + %d) t(i))"
    " ORDER BY i";

// A candidate has about fifteen placements; some clients have far more than others. One in eight
// placements is still running and has no end.
static const char placements_sql[] =
    "SELECT format('PLC-{:07d}', i) AS placement_id,"
    " format('CAND-{:06d}', 1 + demo_draw(i, 'candidate', 100000)) AS candidate_id,"
    " format('CLI-{:05d}', 1 + floor(demo_unit(i, 'client') * demo_unit(i, 'client') * 2000)"
    "  ::BIGINT) AS client_id,"
    " demo_lean(i, 'title', demo_job_titles()) AS job_title, start_date,"
    " CASE WHEN NOT running THEN start_date + (14 + demo_draw(i, 'days', 500))::INTEGER END"
    "  AS end_date,"
    " (pay * (1.25 + demo_unit(i, 'margin') * 0.35))::DECIMAL(10,2) AS bill_rate,"
    " pay::DECIMAL(10,2) AS pay_rate,"
    " CASE WHEN running THEN 'active' ELSE demo_lean(i, 'status',"
    "  ['completed','completed','completed','terminated','cancelled']) END AS status"
    " FROM (SELECT i, DATE '2016-01-04' + demo_draw(i, 'start', 3200)::INTEGER AS start_date,"
    "  demo_draw(i, 'running', 8) = 0 AS running,"
    "  18 + demo_unit(i, 'pay') * demo_unit(i, 'pay') * 92 AS pay"
    "  FROM range(1, 1 + %d) t(i)) ORDER BY i";

static enum err_code macros_make(struct session *s, struct arena *a, struct err *err) {
    for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
        TRY(session_run(s,
                        arena_printf(a, "CREATE OR REPLACE TEMP MACRO %s(%s) AS %s", macros[i].name,
                                     macros[i].arguments, macros[i].body),
                        err));
    }
    return ERR_OK;
}

// The session goes back to its pool as it came.
static enum err_code macros_drop(struct session *s, struct arena *a, struct err *err) {
    for (size_t i = ARRAY_LEN(macros); i > 0; i--) {
        TRY(session_run(s, arena_printf(a, "DROP MACRO IF EXISTS %s", macros[i - 1].name), err));
    }
    return ERR_OK;
}

static enum err_code write_table(struct session *s, struct str select, struct str path,
                                 struct arena *a, struct err *err) {
    struct engine_file_stats *files = NULL;
    size_t count = 0;
    const struct engine_copy copy = {.select = select, .path = path};
    return engine_copy_to(s, &copy, a, &files, &count, err);
}

enum err_code demo_world_write(struct engine *e, const char *folder, struct err *err) {
    DEFER(arena_release) struct arena arena = ARENA(ARENA_BYTES);
    struct arena *a = &arena;
    DEFER(session_closep) struct session *s = NULL;
    TRY(session_open(e, &s, err));
    TRY(macros_make(s, a, err));
    TRY(write_table(s, arena_printf(a, candidates_sql, DEMO_CANDIDATES),
                    arena_printf(a, "%s/candidates.parquet", folder), a, err));
    TRY(write_table(s, arena_printf(a, clients_sql, DEMO_CLIENTS),
                    arena_printf(a, "%s/clients.parquet", folder), a, err));
    TRY(write_table(s, arena_printf(a, placements_sql, DEMO_PLACEMENTS),
                    arena_printf(a, "%s/placements.parquet", folder), a, err));
    return macros_drop(s, a, err);
}
