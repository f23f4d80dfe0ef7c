// Package entries answers questions about an organization's log: pages of any sort and filter, searches,
// exports, and what menus offer. It is one idea, used for everything.
//
// # Runs
//
// Each index of audit_entries is (org_id, some columns, id), and an entry's id sorts as its time does. So the
// entries with given values in those columns lie side by side in the index, in the order of time: a run. Reading
// the newest 51 of a run is one seek and 51 steps, wherever the run lies and however long it is. A question
// becomes a set of runs (selection, runs.go) that are merged by id. One action by two people:
//
//	SELECT run.group_number, hit.id FROM unnest('{0,0}', '{usr_1,usr_2}', '{service:update,service:update}')
//	    AS run(group_number, v0, v1)
//	CROSS JOIN LATERAL (SELECT id FROM audit_entries
//	    WHERE org_id = 1 AND id >= $first_visible AND id < $cursor AND actor_id = v0 AND action = v1
//	    ORDER BY id DESC LIMIT 51) AS hit
//	ORDER BY run.group_number, hit.id DESC LIMIT 51
//
// SQLite has no LATERAL: there it is a UNION ALL of one SELECT a run. The values of the cursor are part of the
// condition, so page 100,000 is read as page 1 is, and nothing is ever skipped with OFFSET or counted.
//
// # Groups
//
// Sorted by action, entity type or user, the log is the entries of the first value, newest first, then those of
// the second, and so on: groups. Their values are few and known (kinds.go lists the kinds by one seek each,
// audit_actors has the names), so a page reads the runs of one group after the other (walk.go) until it is full,
// several at a time where they turn out short. The page behind deployment:create at some entry is
//
//	… AND action = 'deployment:create' AND id < $cursor …   then, where that is not enough,
//	… AND action IN the values that follow, each a run with the number of its group …
//
// # Conditions
//
// What no index tells apart (a country, two filters of which an index has one, the words of a search) are conditions
// on the entries of the runs. Such a run may hold a million entries that do not answer, so how far to read is
// found out first, in the index alone: the 250th entry of each run is
//
//	… ORDER BY id DESC LIMIT 1 OFFSET 249 …
//
// and up to the nearest of these the entries are read with their conditions; then twice as far, until the page is
// full. Filters that multiply to more runs than a page may begin are conditions on the log as it lies, too.
//
// # Searches
//
// Every word is part of the entity's ID, its name or the action, folded (words.go). Many entries match: then the
// first look finds them. Where the page would not be full within 20,000 entries, the distinct entities are asked
// instead, of which there are far fewer than entries (seek.go). Their index lists each three letters in a row:
//
//	audit_trigrams(org_id, id_key || E'\n' || name_key) @@ '1:10. & 1:0.0 & …'   -- 10.0.0.12
//	audit_trigrams(…) @@ '1:本社':*                                                -- any three that begin so
//
// What it finds is read by the runs of (entity_type, entity_id), up to 2,000 of them, besides those of the actions
// that hold the words. In other orders than that of time up to 10,000 such entries are sorted in memory.
//
// # What a page costs
//
// A page begins at most 3,000 runs and looks through at most 50,000 entries: tens of milliseconds. Mostly it is
// 51 entries in one statement. Where that is not enough, because something common was looked for and most of the
// log has none of it, the page ends before it is full and says so: Page.Looked is how far it looked, and Next goes
// on from there. "Nothing matches" is never said of entries that were not looked at. Exports go on by themselves.
//
// # Where things are
//
// query.go is what is asked and answered; page.go makes a page of what a walk reads and links it; plan.go decides;
// runs.go, walk.go and read.go read; words.go and seek.go search; postgres.go and sqlite.go write what the databases
// do their own way. kinds.go, actors.go and resource.go are what the pages offer beside the entries. origin.go reads
// what came from one IP, request, API key or source, a run a day; log.go and span.go are what the others stand on.
// A filter on one more column is a field of Query, a line in plan.filters and in lets, and one of filterColumns.
package entries
