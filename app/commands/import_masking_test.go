package commands

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
)

// verdict is a line of masking.tsv: what a value of a format's samples is, a "fact", a "secret", "neither", or one that is
// "lost"; and, but for facts, how it is stored.
type verdict struct{ kind, stored string }

// verdicts are those of a format, by the path of a value in the list of its samples: of one, as [5].body, or of all, as
// [].body and [].users[].name.
func verdicts(t *testing.T, format string) map[string]verdict {
	t.Helper()
	of := map[string]verdict{}
	for i, line := range strings.Split(strings.TrimSpace(recent(t, format, "masking.tsv")), "\n") {
		cells := append(strings.Split(line, "\t"), "")
		if i > 0 {
			of[cells[1]] = verdict{cells[0], strings.ReplaceAll(cells[2], `\n`, "\n")}
		}
	}
	return of
}

// recordsOf are the samples of a format, as metadata.
func recordsOf(t *testing.T, format, history string) (records []any) {
	t.Helper()
	texts := slices.Collect(strings.Lines(history))
	if format == importer.CSV { // the last column is metadata
		rows, err := csv.NewReader(strings.NewReader(history)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		texts = nil
		for _, row := range rows[1:] {
			texts = append(texts, row[len(row)-1])
		}
	}
	for _, text := range texts {
		records = append(records, decodedJSON(t, text))
	}
	return records
}

// decodedJSON decodes a text of JSON, or nothing; numbers stay as they are written.
func decodedJSON(t *testing.T, text string) (value any) {
	t.Helper()
	if text == "" {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func encodedJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eachValue calls visit with every text, number, bool and null in a value, with its path, and puts its answer in its place.
func eachValue(value any, path string, visit func(path string, value any) any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = eachValue(child, path+"."+key, visit)
		}
	case []any:
		for i, child := range v {
			v[i] = eachValue(child, fmt.Sprintf("%s[%d]", path, i), visit)
		}
	default:
		return visit(path, value)
	}
	return value
}

var place = regexp.MustCompile(`\[\d+\]`)

// judged counts the values of samples.
type judged struct {
	kinds   map[string]int
	secrets []string // the parts of values that must not be stored
}

// wantMasked wants the metadata of a format's entries to be its samples, with the secrets masked and nothing else, but for
// what masking.tsv says.
func wantMasked(t *testing.T, format, history string, entries []models.Entry) judged {
	t.Helper()
	of, unused, found := verdicts(t, format), map[string]bool{}, judged{kinds: map[string]int{}}
	for path := range of {
		unused[path] = true
	}
	var want []string
	for n, record := range recordsOf(t, format, history) {
		record = eachValue(record, fmt.Sprintf("[%d]", n), func(path string, value any) any {
			if _, one := of[path]; !one {
				path = place.ReplaceAllString(path, "[]")
			}
			v, is := of[path]
			if !is {
				return value
			}
			delete(unused, path)
			found.kinds[v.kind]++
			if v.kind == "fact" {
				return value
			}
			pattern := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(v.stored), `\[masked\]`, "(.+)") + "$"
			parts := regexp.MustCompile(pattern).FindStringSubmatch(fmt.Sprint(value))
			if parts == nil {
				t.Errorf("%s: %s is %q and cannot be stored as %q", format, path, value, v.stored)
			} else if v.kind == "secret" {
				found.secrets = append(found.secrets, parts[1:]...)
			}
			return v.stored
		})
		want = append(want, encodedJSON(t, record))
	}
	for path := range unused {
		t.Errorf("%s: no sample has %s", format, path)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, encodedJSON(t, decodedJSON(t, entry.Metadata)))
	}
	missing, added := lacking(want, got), lacking(got, want)
	for i := range min(len(missing), len(added)) {
		t.Errorf("%s: %s", format, differences(t, missing[i], added))
	}
	if len(missing) != len(added) {
		t.Errorf("%s: %d entries are lacking, and %d there that should not be", format, len(missing), len(added))
	}
	return found
}

// lacking are those of texts that others lacks.
func lacking(texts, others []string) (lacking []string) {
	others = slices.Clone(others)
	for _, text := range texts {
		if i := slices.Index(others, text); i >= 0 {
			others = slices.Delete(others, i, i+1)
		} else {
			lacking = append(lacking, text)
		}
	}
	return lacking
}

// differences says in what the text that differs least from want does.
func differences(t *testing.T, want string, texts []string) string {
	values := func(text string) map[string]string {
		values := map[string]string{}
		eachValue(decodedJSON(t, text), "", func(path string, value any) any {
			values[path] = fmt.Sprint(value)
			return value
		})
		return values
	}
	var least []string
	wanted := values(want)
	for i, text := range texts {
		var differing []string
		got := values(text)
		for path, value := range wanted {
			if got[path] != value {
				differing = append(differing, fmt.Sprintf("%s is stored as %q, and not as %q", path, got[path], value))
			}
		}
		if i == 0 || len(differing) < len(least) {
			least = differing
		}
	}
	return strings.Join(least, "; ")
}

// wantNowhere wants none of some texts in any column of the tables that hold what an event says.
func wantNowhere(t *testing.T, db *database.DB, secrets []string) {
	t.Helper()
	for _, table := range []string{"audit_entries", "audit_related", "audit_on_behalf_of", "audit_entities", "audit_actors", "audit_native_actions"} {
		var rows []map[string]any
		if err := db.Read.Table(table).Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for column, value := range row {
				text := fmt.Sprintf("%s", value)
				for _, secret := range secrets {
					if len(secret) > len("secret") && strings.Contains(text, secret) {
						t.Errorf("%s.%s holds %q: %s", table, column, secret, text)
					}
				}
			}
		}
	}
}

// reader asks a server for entries over HTTP.
type reader struct {
	client *apptest.Client
	key    string
}

// find returns the IDs of the entries that a query of one parameter finds.
func (r reader) find(parameter, value string) map[string]bool {
	ids := map[string]bool{}
	for next := "/api/v1/entries?" + (url.Values{parameter: {value}, "limit": {"100"}}).Encode(); next != ""; {
		var page struct {
			Entries []struct{ ID string }
			Next    string
		}
		answer := r.client.Get(next, "Authorization", "Bearer "+r.key).Expect(http.StatusOK)
		if err := json.Unmarshal([]byte(answer.Body), &page); err != nil {
			panic(err)
		}
		for _, entry := range page.Entries {
			ids[entry.ID] = true
		}
		next = page.Next
	}
	return ids
}

// wantFound wants every entry found by the name that its system gave its action, through the filter, which finds nothing
// else, and by the search.
func (r reader) wantFound(t *testing.T, entries []models.Entry) {
	t.Helper()
	named := map[string]map[string]bool{}
	for _, entry := range entries {
		name := entry.NativeAction
		if name == "" {
			name = entry.Action // which is how its system calls it, too
		}
		if named[name] == nil {
			named[name] = map[string]bool{}
		}
		named[name][entry.ID.String()] = true
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if found := r.find("action", name); !maps.Equal(found, named[name]) {
			t.Errorf("action=%s finds %d entries, and not the %d that are called so", name, len(found), len(named[name]))
		}
		found := r.find("q", name)
		for id := range named[name] {
			if !found[id] {
				t.Errorf("q=%s does not find %s", name, id)
			}
		}
	}
}
