package browsertest

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

// fullLog lists the entries of recordFull, which came with one request, and nothing else.
const (
	fullLog     = logs + "?limit=25&request_id=" + fullRequest
	fullRequest = "8d1c2f6e-4b7a-11f0-9c3d-0242ac120002"
)

// recordFull records entries that between them say all that any can say, at its longest, and returns the addresses of
// the first two, in which all fields stand.
func recordFull(p *page) []string {
	p.t.Helper()
	store := p.server.Store
	org := logtest.FindOrganization(p.t, store, "northwind")
	ago := func(d time.Duration) models.Micros { return models.MicrosOf(store.Now().Add(-d)) }
	ada := &event.Principal{ID: "usr_01J9Z3QK7M5N8P2R4S6T8V0W1X", Name: "Augusta Ada King, Countess of Lovelace", Email: "augusta.ada.king-noel@analytical-engine.example", Session: "ses_01J9Z3QK7M5N8P2R4S6T8V0W1X"}
	original := models.Original{Origin: models.OriginImport, RecordedAt: "2026-05-20T05:31:12.345678Z", APIKey: &models.OriginalAPIKey{ID: "key_01J9Z3QK7M5N8P2R4S6T8V0W1X", Name: "Trail of the old account"}}
	all := models.Entry{
		OccurredAt: ago(4 * time.Hour), RecordedAt: ago(time.Hour),
		Action: "member:join", NativeAction: "Microsoft.Network/virtualNetworks/subnets/networkSecurityGroups/securityRules/member.join",
		EntityType: "network_security_group_security_rule", EntityName: "Allow the runners in eu-north-1a to reach the registry",
		EntityID: "arn:aws:ec2:eu-north-1:111122223333:security-group-rule/sgr-0f9e8d7c6b5a40312",
		ActorID:  "arn:aws:sts::111122223333:assumed-role/provisioner-of-the-runners", ActorName: "Provisioner of the runners", ActorEmail: "provisioner@northwind.example",
		ActorType: event.ActorAgent, OnBehalfOf: ada,
		Outcome: event.OutcomeDenied, Reason: "User: arn:aws:sts::111122223333:assumed-role/provisioner is not authorized to perform: ec2:AuthorizeSecurityGroupIngress with an explicit deny in a service control policy",
		Related: []event.Resource{
			{Type: "subnet", ID: "subnet-0a1b2c3d4e5f60718", Name: "eu-north-1a private", Role: "subnet"},
			{Type: "security_group", ID: "arn:aws:ec2:eu-north-1:111122223333:security-group/sg-0f9e8d7c6b5a40312", Role: "the group that the rule is one of"},
			{Type: "image", ID: "ami-03c1f5b2a7d8e9046"},
		},
		IP: "2001:db8:85a3:8d3:1319:8a2e:370:7348", UserAgent: "aws-cli/2.28.11 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0-1029-aws md/arch#x86_64 lang/python#3.13.4",
		APIKeyID: "key_01J9Z3QK7M5N8P2R4S6T8V0W1Y", APIKeyName: "Collector in eu-north-1",
		URL: "https://console.example.com/rules/sgr-0f9e8d7c6b5a40312", Origin: models.OriginRestore, Original: original.Text(), Masked: 3,
		Metadata: `{"changes":{"cidr":{"before":"10.0.0.0/8","after":"10.20.0.0/16"},"description":{"before":"All of us","after":"The runners in eu-north-1a, which pull from the registry"},` +
			`"client_secret":{"before":"[masked]","after":"[masked]"}},"changed_fields":["cidr","description","client_secret"],` +
			`"link_made_by":{"id":"usr_01J9Z3QK7M5N8P2R4S6T8V0W1Z","name":"Olivia Chen","email":"olivia.chen@northwind.example"},` +
			`"requestParameters":{"ipPermissions":[{"ipProtocol":"tcp","fromPort":443,"toPort":443,"ipRanges":["10.20.0.0/16"]}],"token":"[masked]","dryRun":false,"tags":null}}`,
	}
	imported := models.Entry{
		OccurredAt: ago(5 * time.Hour), RecordedAt: ago(time.Hour), Origin: models.OriginImport, Original: original.Text(),
		Action: "protected_branch:rejected_ref_update", NativeAction: "protected_branch.rejected_ref_update", EntityID: "refs/heads/main",
		ActorType: event.ActorService, ActorID: "github-actions[bot]", ActorName: "github-actions[bot]", Outcome: event.OutcomeFailure,
	}
	byKey := models.Entry{
		OccurredAt: ago(6 * time.Hour), Action: "service:update", ActorType: event.ActorAgent, ActorID: "agt_7", ActorName: "Deploy bot",
		OnBehalfOf: &event.Principal{Type: event.ActorService, ID: "svc_7", Name: "Continuous integration"}, APIKeyID: "key_7", APIKeyName: "Agents",
	}
	stranger := models.Entry{
		OccurredAt: ago(7 * time.Hour), Action: "console:login_failed", NativeAction: "Login failed", Outcome: event.OutcomeFailure,
		ActorType: event.ActorAnonymous, ActorID: event.AnonymousID, ActorName: event.AnonymousID, APIKeyID: "key_7", APIKeyName: "Agents",
	}
	automated := models.Entry{OccurredAt: ago(8 * time.Hour), RecordedAt: ago(6 * time.Hour), ActorID: models.SystemActorID, Source: "nightly-backup"}
	entries := []models.Entry{all, imported, byKey, stranger, automated}
	for i := range entries {
		entries[i].RequestID = fullRequest
	}
	stored := logtest.Insert(p.t, store, org, entries...)
	list := audit.Event{
		Organization: org.Slug, Action: "session:list", Actor: audit.Actor{ID: "usr_7", Name: "Kenji"},
		OccurredAt: store.Now().Add(-9 * time.Hour), Request: audit.Request{ID: fullRequest},
	}
	if _, err := audit.Record(p.t.Context(), store.Writer(p.t.Context()), list); err != nil {
		p.t.Fatal(err)
	}
	return []string{logs + "/" + stored[0].ID.String(), logs + "/" + stored[1].ID.String()}
}

// openAll opens every row of the log.
func (p *page) openAll() {
	p.t.Helper()
	value[int](p, `[...document.querySelectorAll("[data-entry-id] a[aria-expanded=false]")].map(e => e.click()).length`)
	p.waitFor("all rows to open", `document.querySelectorAll(".entry-detail").length === document.querySelectorAll("[data-entry-id]").length`)
	p.waitUntilQuiet()
}

// The pages that are looked at everywhere hold every field and every mark there is.
func TestEveryFieldIsLookedAt(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	template, err := os.ReadFile("../../views/entry/page.html")
	if err != nil {
		t.Fatal(err)
	}
	var want, shown []string
	for _, field := range regexp.MustCompile(`<dt>([^<{]+)</dt>`).FindAllStringSubmatch(string(template), -1) {
		want = append(want, field[1])
	}
	for _, path := range recordFull(p) {
		p.visit(path)
		shown = append(shown, p.texts(`.entry-facts > dt`)...)
	}
	if len(want) < 15 {
		t.Errorf("the template has the fields %q", want)
	}
	for _, field := range want {
		if !slices.Contains(shown, field) {
			t.Errorf("%s is on no page that is looked at: %q", field, shown)
		}
	}
	p.visit(fullLog)
	for _, mark := range []string{".outcome", ".automated", ".service", ".agent", ".anonymous", ".for", ".by-key", ".late", ".nothing"} {
		if len(p.texts(`[data-entry-id] `+mark)) == 0 {
			t.Errorf("no row that is looked at has the mark %s", mark)
		}
	}
}

// Marks leave a row in its place: two lines at most, and what they cut can be read by pointing at it.
func TestMarksLeaveRowsCalm(t *testing.T) {
	const twoLines = 20 + 20 + 2*4
	p := signedIn(t, serveDemo(t), "member@example.com")
	recordFull(p)
	for _, width := range []int64{1000, 1440} {
		p.size(width, 900)
		for _, path := range []string{fullLog, fewSay} {
			p.visit(path)
			rows := value[[]struct {
				Text, Title string
				Height      float64
				Cut         []string
			}](p, `[...document.querySelectorAll("[data-entry-id] > .entry")].map(row => {
				const user = row.querySelector("[data-col=user]");
				return {text: user.innerText, title: user.title, height: row.getBoundingClientRect().height,
					cut: [...user.querySelectorAll(".for, .cut-box > :first-child")].filter(e => e.scrollWidth > e.clientWidth || e.parentElement.scrollWidth > e.parentElement.clientWidth || e.parentElement.scrollHeight > e.parentElement.clientHeight)
						.map(e => (e.querySelector("bdi") ?? e).textContent)};
			})`)
			if len(rows) < 5 {
				t.Fatalf("%s has %d rows", path, len(rows))
			}
			for _, row := range rows {
				if row.Height > twoLines {
					t.Errorf("at %d px a row is %.0f px high: %q", width, row.Height, row.Text)
				}
				for _, name := range row.Cut {
					if !strings.Contains(row.Title, name) {
						t.Errorf("at %d px %q is cut, and its title is %q", width, name, row.Title)
					}
				}
			}
		}
	}
}

// On a phone an entry that says everything is opened and gone through by keyboard: each link can be reached and seen.
func TestEveryFieldByKeyboardOnAPhone(t *testing.T) {
	p := signedIn(t, serveDemo(t), "member@example.com")
	recordFull(p)
	p.size(360, 740)
	p.visit(fullLog)
	p.press("j" + kb.Enter)
	p.waitFor("the row to open", `document.querySelector("[data-entry-id] .entry-detail")`)
	reached := map[string]bool{}
	for range 60 {
		p.press(kb.Tab)
		stop := p.stop()
		if !stop.Row || stop.Opens {
			break
		}
		if !stop.Visible || !stop.Outlined {
			t.Errorf("the focus cannot be seen on %+v", stop)
		}
		reached[stop.Address] = true
	}
	for _, part := range []string{
		"action=member:join", "action=Microsoft.", "actor=arn:", "ip=2001:", "request_id=", "api_key=key_01J9Z3QK7M5N8P2R4S6T8V0W1Y",
		"/resources/subnet?", "/resources/security_group?", "/resources/image?", "/resources/network_security_group_security_rule?", "https://console.example.com/", // what values and times lead on to is in menus: see TestAValueLeadsOn
	} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(reached)), func(address string) bool { return strings.Contains(address, part) }) {
			t.Errorf("Tab reaches no link with %s: %v", part, reached)
		}
	}
}

// What few entries say is found and followed without JavaScript.
func TestEveryFieldWithoutScript(t *testing.T) {
	p := open(t, serveDemo(t))
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.visit("/login")
	p.signIn("member@example.com")
	follow := func(selector, arrived string) {
		t.Helper()
		p.click(selector)
		p.waitFor(arrived, `document.readyState === "complete" && (`+arrived+`)`)
	}
	for _, path := range recordFull(p) {
		p.visit(fullLog)
		follow(`[data-entry-id] a[href^="`+path+`"]`, `location.pathname === "`+path+`"`)
		name := p.texts(`[data-native-action] a`)[0]
		follow(`[data-native-action] a`, fmt.Sprintf(`new URLSearchParams(location.search).get("action") === %s`, quote(name)))
		if chips := p.texts(`.chip-value`); !slices.Contains(chips, name) || len(p.ids()) != 1 {
			t.Errorf("%s finds %d entries, chips: %q", name, len(p.ids()), chips)
		}
	}
	p.visit(fullLog)
	follow(`[data-entry-id] th a`, `document.querySelector(".entry-facts")`)
	follow(`[data-related] a`, `location.pathname.endsWith("/resources/subnet")`)
	if said := p.texts(`.entry-brief`); !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "Related, as subnet") }) {
		t.Errorf("the history of the subnet says %q", said)
	}

	p.visit(fullLog)
	p.click(`.filter-menu:has([name=outcome]) summary`)
	p.click(`label:has([name=outcome][value=denied])`)
	follow(`.filter-menu:has([name=outcome]) button[type=submit]`, `new URLSearchParams(location.search).get("outcome") === "denied"`)
	if marks := p.texts(`[data-entry-id] .outcome`); !slices.Equal(marks, []string{"denied"}) || len(p.ids()) != 1 {
		t.Errorf("denied are %d entries, marked %q", len(p.ids()), marks)
	}
}
