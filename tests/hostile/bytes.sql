# Texts that are odd as texts: depth, length, zeros, broken UTF-8, comments, quotes.
--- refused
SELECT * FROM {view}{u:0000}
--- refused
SELECT n FROM {view} WHERE name = 'a{u:0000}b'
--- refused
{u:0000}SELECT 1
--- refused
SELECT 1{u:0000}; FROM {base}
--- refused
SELECT "{u:0000}" FROM {view}
--- refused
SELECT '{x:FF}'
--- refused
SELECT '{x:C3}{x:28}' FROM {view}
--- refused
SELECT "{x:E2}{x:82}" FROM {view}
--- refused
SELECT * FROM {x:C0}{x:AE}{base}
--- refused
SELECT '{x:ED}{x:A0}{x:80}'
--- refused
SELECT '{x:F4}{x:90}{x:80}{x:80}'
--- refused
{x:FE}{x:FF}{x:00}S{x:00}E
--- refused
SELECT * FROM {view} WHERE name = '{x:80}{x:81}{x:82}'
--- refused
-- {x:FF}
SELECT 1
--- refused
{times:400:(}SELECT phone FROM {base}{times:400:)}
--- refused
{times:250:SELECT * FROM (}SELECT n FROM {view}{times:250:)}
--- any
SELECT {times:3000:(}1{times:3000:)}
--- refused
SELECT {times:900:[}n{times:900:]} FROM {view}
--- refused
SELECT {times:1500:NOT }true FROM {view}
--- refused
SELECT {times:1500:- }n FROM {view}
--- any
SELECT n FROM {view} WHERE {times:600:(n = 1 OR }n = {hid}{times:600:)}
--- refused
SELECT {times:400:CASE WHEN true THEN }n{times:400: END} FROM {view}
--- refused
SELECT {times:300:upper(}name{times:300:)} FROM {view}
--- refused
SELECT {times:300:{'a': }n{times:300:}} FROM {view}
--- refused
WITH {times:1200:a AS (SELECT 1), }z AS (SELECT 1) FROM {base}
--- refused
SELECT 1 {times:1500:UNION ALL SELECT 1 }
--- refused
SELECT {times:30000:n,}n FROM {view}
--- refused
SELECT '{times:300000:x}'
--- refused
SELECT /*{times:300000: }*/ 1
--- refused
SELECT "{times:400000:a}" FROM {view}
--- refused
SELECT * FROM {times:700:(}{base}{times:700:)}
--- refused
SELECT n::{times:300:STRUCT(a }INT{times:300:)} FROM {view}
--- refused
SELECT n{times:500:::VARCHAR::INT} FROM {view}
--- refused
SELECT /* FROM {view} phone FROM {base}
--- refused
SELECT phone /**/--
FROM {base} -- {view}
--- refused
SELECT 'it''s' || phone FROM {base}
--- refused
SELECT $tag$ {view} $tag$, phone FROM {base}
--- refused
SELECT e'\'' || (SELECT phone FROM {base} LIMIT 1) || '\''
--- refused
SELECT '\' AS a, phone AS "b\" FROM {base}
--- refused
SELECT 'a
--- refused
SELECT $a$ $b$ FROM {view}
--- refused
SELECT "n FROM {view}
--- refused
/* {view} */ /* */ */ SELECT 1
--- refused
SELECT U&'\0041' , U&"\0070hone" FROM {base}
--- refused
SELECT x'00' , phone FROM {base}
--- refused
sElEcT{u:0009}PhOnE{u:000B}fRoM{u:000C}{BASE}{u:000D}
--- refused
SELECT{u:0085}phone{u:0085}FROM{u:0085}{base}
--- refused
SELECT{u:2028}phone{u:2029}FROM{u:2028}{base}
--- refused
SELECT phone FROM {base}{u:001A}
--- refused
{u:FF33}{u:FF25}{u:FF2C}{u:FF25}{u:FF23}{u:FF34} 1
--- refused
SELECT * FROM {base} AS {u:0430}
--- refused
EXEC xp_cmdshell 'id'
--- refused
' OR 1 = 1 --
--- refused
"; FROM {base}; --
--- refused
1
--- refused
SELECT
--- refused
SELECT FROM {base}
--- refused
FROM
--- refused
SELECT * FROM ({view} v JOIN
--- refused
SELECT * FROM {view} WHERE
--- refused
SELECT n FROM {view} GROUP BY region ORDER BY nosuch
--- refused
SELECT nosuch(phone) FROM {view}
--- refused
SELECT upper(n, n, n) FROM {view} WHERE phone = 1
--- refused
SELECT n FROM {view} WHERE nme = 'x'
--- refused
SELECT phon FROM {view}
--- refused
SELECT secre FROM {view}
--- refused
SELECT v.closed_a FROM {view} v
--- refused
SELECT * FROM peopl
--- refused
SELECT * FROM {base}s
--- any
SELECT{u:00A0}n{u:3000}FROM{u:2002}{view}{u:205F}LIMIT{u:202F}2
--- any
SELECT n /* {times:5000:*} */ FROM {view} LIMIT 1
--- any
SELECT '{times:100000:y}' AS t FROM {view} LIMIT 1
--- any
SELECT n AS "{times:10000:c}" FROM {view} LIMIT 1
--- any
SELECT {times:60:(}n{times:60:)} FROM {view} LIMIT 2
--- any
SELECT n FROM {view} WHERE n IN ({times:5000:{hid}, }{vis})
--- any
SELECT n FROM {view} WHERE {times:400:n = {hid} OR }n = {vis}
--- any
SELECT {times:500:name || }note FROM {view} LIMIT 1
--- any
SELECT 1e400 + n, -1e-400, 1_000_000 * n FROM {view} LIMIT 1
--- any
SELECT 99999999999999999999999999999999999999999999 + n FROM {view} LIMIT 1
--- any
SELECT '{u:1F600}{u:0301}{u:200D}' || name FROM {view} ORDER BY n LIMIT 1
--- any
SELECT name AS "{u:202E}enohp" FROM {view} LIMIT 1
--- any
SELECT reverse(name), upper(note), strip_accents(name), nfc_normalize(note) FROM {view}
--- any
SELECT hex(name), to_base64(encode(name)), encode(email), url_encode(note) FROM {view}
--- any
SELECT list_reverse(string_split(name, '')), array_to_string(list_reverse(string_split(note, '')), '') FROM {view}
--- any
SELECT substr(name, 3, 12), left(note, 14), right(card, 9), substring(code FROM 2) FROM {view}
--- any
SELECT string_agg(chr(ascii(substr(name, 1, 1))), '') FROM {view}
--- any
SELECT -id, id // 1, id::VARCHAR || '', id::DOUBLE, to_hex(id), format('{:,}', id) FROM {view}
