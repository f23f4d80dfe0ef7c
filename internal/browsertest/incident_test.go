package browsertest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/auditlogs/auditlogs/app/importer"
)

// incidentLog is the log that the incident is imported into.
const incidentLog = "/orgs/acme-labs/settings/audit-logs"

// mostInteractions is how many clicks and entered texts lead to an answer at most.
const mostInteractions = 5

// incident are published records of CloudTrail, and what the importer reads them as.
type incident []struct{ record, read map[string]any }

// importIncident puts the records of CloudTrail into the log, all on the same day.
func importIncident(p *page) incident {
	p.t.Helper()
	file := func(name string) string {
		text, err := os.ReadFile("../../app/importer/testdata/cloudtrail/" + name)
		if err != nil {
			p.t.Fatal(err)
		}
		return regexp.MustCompile(`\d{4}-\d\d-\d\dT`).ReplaceAllString(strings.TrimSpace(string(text)), "2026-05-19T")
	}
	records, read := file("events.ndjson"), file("expected.ndjson")
	summary, err := importer.Run(p.t.Context(), p.server.Store, strings.NewReader(records), importer.Config{
		Organization: "acme-labs", Format: "cloudtrail", Report: io.Discard,
	})
	all := make(incident, summary.Lines)
	if err != nil || summary.Imported != len(all) || len(all) < 100 {
		p.t.Fatalf("imported %+v: %v", summary, err)
	}
	for i := range all {
		for into, line := range map[*map[string]any]string{&all[i].record: strings.Split(records, "\n")[i], &all[i].read: strings.Split(read, "\n")[i]} {
			if err := json.Unmarshal([]byte(line), into); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	return all
}

// valueAt is what stands at a path of keys, as text; empty where there is nothing.
func valueAt(object map[string]any, path string) string {
	var value any = object
	for key := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// investigation counts what somebody does for an answer.
type investigation struct {
	*page
	did []string
}

func (i *investigation) does(what string) {
	i.t.Helper()
	if i.did = append(i.did, what); len(i.did) > mostInteractions {
		i.t.Fatalf("it takes more than %d interactions: %q", mostInteractions, i.did)
	}
}

// asks types into the search box and presses Enter.
func (i *investigation) asks(text string) {
	i.t.Helper()
	i.does(text)
	i.fill(`input[name=q]`, text)
	i.waitForQuery("q", text) // the entries follow typing
	i.press(kb.Enter)
	i.waitUntilQuiet()
}

// clicks clicks on what selector finds, which the page may still be loading.
func (i *investigation) clicks(selector string) {
	i.t.Helper()
	i.does(selector)
	i.waitUntilQuiet() // for nothing to move under the pointer
	i.click(selector)
}

// opens opens the first entry of an action.
func (i *investigation) opens(action string) {
	i.t.Helper()
	i.clicks(`[data-entry-id] a[title=` + quote(action) + `]`)
	i.waitFor("the details", `document.querySelector(".entry-detail .entry-links")`)
}

// options opens the menu of a value of the opened entry.
func (i *investigation) options(name string) {
	i.t.Helper()
	i.clicks(`.entry-detail [aria-label=` + quote("Options for "+name) + `]`)
	i.waitFor("its menu", `document.querySelector(".ways:popover-open")`)
}

// The thirteen kinds of question that an incident raises are answered within five interactions each.
func TestTheQuestionsOfAnIncident(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	all := importIncident(p)
	const session, userAgent = "ASIAJ5NMVWXYZEXAMPLE", "red-team_39f95f43-cd2f-4beb-b69e-be60b6fe1f57"
	type line = struct{ record, read map[string]any }
	for _, question := range []struct {
		name string
		ask  func(i *investigation)
		want func(l line) bool
	}{
		{"around a moment", func(i *investigation) {
			i.asks("delete_trail")
			i.opens("cloudtrail:delete_trail")
			i.clicks(`.entry-links [popovertarget]`)
			i.clicks(`.ways:popover-open a:nth-last-of-type(2)`)
		}, func(l line) bool {
			at := valueAt(l.record, "eventTime")[len("2026-05-19T"):]
			return at >= "11:54:02" && at < "12:04:03"
		}},
		{"one session", func(i *investigation) {
			i.asks("get_password_data")
			i.opens("ec2:get_password_data")
			i.options("userIdentity.accessKeyId")
			i.clicks(`.ways:popover-open a`)
			i.clicks(`.chip[data-name=q] .chip-remove`)
		}, func(l line) bool { return valueAt(l.record, "userIdentity.accessKeyId") == session }},
		{"who deleted", func(i *investigation) { i.asks("action:*:delete_*") },
			func(l line) bool { return strings.Contains(valueAt(l.read, "action"), ":delete_") }},
		{"who read secrets", func(i *investigation) { i.asks("action:secretsmanager:get_secret_value,ssm:get_parameter*") },
			func(l line) bool {
				action := valueAt(l.read, "action")
				return action == "secretsmanager:get_secret_value" || strings.HasPrefix(action, "ssm:get_parameter")
			}},
		{"who created keys, and which", func(i *investigation) { i.asks("create_access_key") },
			func(l line) bool { return valueAt(l.read, "action") == "iam:create_access_key" }},
		{"what changed in a role, as target and as related", func(i *investigation) { i.asks("type:role -action:sts:*") },
			func(l line) bool {
				related, _ := l.read["related"].([]any)
				return !strings.HasPrefix(valueAt(l.read, "action"), "sts:") && (valueAt(l.read, "entity_type") == "role" ||
					slices.ContainsFunc(related, func(r any) bool { return valueAt(r.(map[string]any), "type") == "role" }))
			}},
		{"sign-ins without a second factor", func(i *investigation) { i.asks("console_login meta.additionalEventData.MFAUsed:No") },
			func(l line) bool {
				return valueAt(l.read, "action") == "signin:console_login" && valueAt(l.record, "additionalEventData.MFAUsed") == "No"
			}},
		{"one IP", func(i *investigation) {
			i.asks("get_region_opt_status")
			i.opens("account:get_region_opt_status")
			i.options("IP")
			i.clicks(`.ways:popover-open a`)
			i.clicks(`.chip[data-name=q] .chip-remove`)
		}, func(l line) bool { return valueAt(l.record, "sourceIPAddress") == "10.248.16.43" }},
		{"one key", func(i *investigation) { i.asks("meta:AKIAIOSFODNN7EXAMPLE") },
			func(l line) bool {
				text, _ := json.Marshal(l.record)
				return strings.Contains(string(text), "AKIAIOSFODNN7EXAMPLE")
			}},
		{"failed calls", func(i *investigation) {
			i.clicks(`details:has([name=outcome]) summary`)
			i.clicks(`label:has([name=outcome][value=failure])`)
			i.waitForQuery("outcome", "failure")
			i.clicks(`label:has([name=outcome][value=denied])`)
		}, func(l line) bool {
			return valueAt(l.read, "outcome") == "failure" || valueAt(l.read, "outcome") == "denied"
		}},
		{"one user agent", func(i *investigation) { i.asks("meta.userAgent:*" + userAgent + "*") },
			func(l line) bool { return strings.Contains(valueAt(l.record, "userAgent"), userAgent) }},
		{"writes only", func(i *investigation) { i.asks("meta.readOnly:false") },
			func(l line) bool { return valueAt(l.record, "readOnly") == "false" }},
		{"one request", func(i *investigation) {
			i.asks("create_login_profile")
			i.opens("iam:create_login_profile")
			i.options("Request ID")
			i.clicks(`.ways:popover-open a`)
		}, func(l line) bool { return valueAt(l.read, "action") == "iam:create_login_profile" }},
	} {
		var want []string
		for _, l := range all {
			if question.want(l) {
				want = append(want, valueAt(l.read, "action"))
			}
		}
		i := &investigation{page: p}
		p.visit(incidentLog + "?limit=100")
		question.ask(i)
		p.waitFor("the answer to "+question.name, fmt.Sprintf(
			`document.readyState === "complete" && document.querySelectorAll("[data-entry-id]").length === %d && !document.querySelector(".htmx-request")`, len(want)))
		got := p.column("action")
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: shows %q, want %q, after %q", question.name, got, want, i.did)
		}
	}
}
