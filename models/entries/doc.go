// Package entries answers questions about an organization's log: pages of any sort and filter, searches and
// exports. It is one idea, used for everything. What is asked and answered is in query.go; page.go makes a page of
// what a walk reads, and neighbour.go the one entry beside another, as plan.go decides; log.go, span.go and read.go are what they stand on. A filter on one more
// column is a field of Query and a line of listFilters.
//
// # Runs
//
// Each index of audit_entries is (org_id, some columns, id), and an entry's id sorts as its time does. So the
// entries with given values in those columns lie side by side in the index, in the order of time: a run. Reading
// the newest 51 of a run is one seek and 51 steps, wherever the run lies and however long it is. A question
// becomes a set of runs (runs.go) that are merged by id. One action by two people:
//
//	SELECT run.group_number, hit.id FROM unnest('{0,0}', '{usr_1,usr_2}', '{service:update,service:update}')
//	    AS run(group_number, v0, v1)
//	CROSS JOIN LATERAL (SELECT id FROM audit_entries
//	    WHERE org_id = 1 AND id >= $first_visible AND id < $cursor AND actor_id = v0 AND action = v1
//	    ORDER BY id DESC LIMIT 51) AS hit
//	ORDER BY run.group_number, hit.id DESC LIMIT 51
//
// SQLite has no LATERAL: there it is a list of IDs, IN (SELECT id …), for each run. The values of the cursor are part
// of the condition, so page 100,000 is read as page 1 is: no page is reached by skipping the entries before it.
//
// # Groups
//
// Sorted by action, entity type or user, the log is the entries of the first value, newest first, then those of
// the second, and so on: groups (groups.go). Their values are few and found by one seek each (kinds.go), or are in
// audit_actors, so a page reads the runs of one group after the other (walk.go) until it is full, several at a time
// where they turn out short. The page behind deployment:create at some entry is
//
//	… AND action = 'deployment:create' AND id < $cursor …   then, where that is not enough,
//	… AND action = v0 …   a run for each of the values that follow, with the number of its group
//
// # Conditions
//
// What no index tells apart (two filters of which an index has one, the words of a search) are conditions
// on the entries of the runs. Such a run may hold a million entries that do not answer, so how far to read is
// found out first, in the index alone: the 250th entry of a run (of several, of each the share that is due to it) is
//
//	… ORDER BY id DESC LIMIT 1 OFFSET 249 …
//
// and up to the nearest of these the entries are read with their conditions; then twice as far, until the page is
// full. Filters that multiply to more runs than a page may begin are conditions on the log as it lies, too.
//
// # Terms
//
// Query.Terms are what the query language can say besides: patterns, lists, ranges of IPs, values in the metadata, and
// each of them with Not. What a term means is stated once, in Go (terms.go), and every entry that is read is held against
// it. SQL (terms_sql.go) only has fewer of them read, by a condition that lets through all that may pass and some that do
// not: it folds no letters beyond ASCII and reads no JSON, so where there are such letters, or something is escaped, it
// leaves the entry to Go. A term on actions leaves only the kinds that may pass, whose runs are read as those of a filter are,
// and groups of other actions are left out. One with users, with the ID or the name of a resource, or with some IPs, requests
// or sources also says where to look, as the filter or the words do that let through the same and more (terms_find.go). All
// else is looked for in the entries as they lie, as far as a page may look; metadata a fifth as far. Where that finds little,
// values in the metadata are looked for in an index (candidates.go, package metadata), which names entries that may hold
// them: by time these are read instead of the log as it lies, in other orders they are gathered where they are few.
//
// # Seeking
//
// Where a page would not be full within 20,000 entries, it is asked where those that answer are (seek.go). Of a
// search the distinct entities know, of which there are far fewer than entries. Their index lists each three letters
// in a row (words.go):
//
//	audit_trigrams(org_id, id_key || E'\n' || name_key) @@ '1:2.1 & 1:.10 & …'   -- v2.10.1
//	audit_trigrams(…) @@ '1:本社':*                                                -- any three that begin so
//
// What it finds is read by the runs of (entity_type, entity_id), up to 1,500 of them, besides those of the actions
// that hold the words. An IP, a request, an API key or a source has a run in each day (provenance.go). What was done
// on behalf of somebody, and what a resource is related to, are runs of tables of their own (beside.go). In other
// orders than that of time such runs are read whole, and up to 10,000 entries sorted in memory.
//
// # What a page costs
//
// A page begins at most 3,000 runs and looks through at most 50,000 entries: tens of milliseconds. Mostly it is
// 51 entries in one statement. Where that is not enough, because something common was looked for and most of the
// log has none of it, the page ends before it is full and says so: Page.Looked is how far it looked, and Next goes
// on from there. "Nothing matches" is never said of entries that were not looked at. Exports go on by themselves.
package entries
