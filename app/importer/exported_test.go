package importer

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

// An exported entry comes back with all that few entries say, and nothing masked again.
func TestExportedEntriesKeepTheirMeaning(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 15, 0, 0, time.UTC)
	exported := func(further string) string {
		return `{"id":"` + models.FirstEntryID(models.MicrosOf(at)).String() + `","occurred_at":"2026-03-02T09:15:00.000000Z",` +
			`"recorded_at":"2026-03-02T09:15:01.000000Z","action":"iam:create_role","entity_type":"role","entity_id":"","actor_id":"bot","actor_name":"Deploy bot"` +
			further + `}`
	}
	x, err := parseExported([]byte(exported(`,"metadata":{"a":"[masked]"},"outcome":"denied","reason":"no","native_action":"iam:CreateRole","actor_type":"agent",` +
		`"related":[{"type":"policy","id":"p-1","name":"https://example.com/?token=kept","role":"boundary"}],"on_behalf_of":{"id":"u-1","name":"Ada","session":"token=[masked]"},"masked":2`)))
	if err != nil {
		t.Fatal(err)
	}
	e := x.entry
	if e.Outcome != event.OutcomeDenied || e.Reason != "no" || e.NativeAction != "iam:CreateRole" || e.ActorType != event.ActorAgent || e.Masked != 2 ||
		!reflect.DeepEqual(e.Related, []event.Resource{{Type: "policy", ID: "p-1", Name: "https://example.com/?token=kept", Role: "boundary"}}) ||
		!reflect.DeepEqual(e.OnBehalfOf, &event.Principal{ID: "u-1", Name: "Ada", Session: "token=[masked]"}) {
		t.Errorf("the entry is %+v, for %+v", e, e.OnBehalfOf)
	}
	told := x.event()
	if told.Outcome != e.Outcome || told.Reason != e.Reason || told.NativeAction != e.NativeAction || told.Actor.Type != e.ActorType ||
		told.Actor.OnBehalfOf != e.OnBehalfOf || len(told.Related) != 1 {
		t.Errorf("the event is %+v", told)
	}
	plain, err := parseExported([]byte(exported(`,"outcome":"success","reason":"","native_action":"","actor_type":"user","related":[],"on_behalf_of":null,"masked":0`)))
	if none, _ := parseExported([]byte(exported(""))); err != nil || !reflect.DeepEqual(plain, none) {
		t.Errorf("%+v is not as %+v: %v", plain, none, err)
	}
	for further, want := range map[string]string{
		`,"outcome":"maybe"`:                           "outcome: ",
		`,"actor_type":"robot"`:                        "actor.type: ",
		`,"related":[{"id":"p-1"}]`:                    "related[0].type: ",
		`,"related":[{"type":"a","id":"b","x":1}]`:     "x: ",
		`,"on_behalf_of":{"name":"Ada"}`:               "actor.on_behalf_of",
		`,"on_behalf_of":"Ada"`:                        "actor.on_behalf_of",
		`,"reason":"` + strings.Repeat("x", 501) + `"`: "reason: ",
		`,"colour":"red"`:                              "colour: ",
	} {
		if _, err := parseExported([]byte(exported(further))); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v; want %s", further, err, want)
		}
	}
}

// The actor "system" of an exported entry is that of automated actions, and nobody else.
func TestExportedEntriesOfSystem(t *testing.T) {
	exported := func(further string) []byte {
		return []byte(`{"id":"` + models.FirstEntryID(0).String() + `","occurred_at":"1970-01-01T00:00:00.000000Z","recorded_at":"1970-01-01T00:00:00.000000Z",` +
			`"action":"service:update","entity_type":"service","entity_id":"s-1","actor_id":"system","actor_name":"system"` + further + `}`)
	}
	for _, further := range []string{"", `,"actor_type":"system"`, `,"actor_type":"","outcome":"failure"`} {
		if x, err := parseExported(exported(further)); err != nil || x.entry.ActorType != "" || !x.entry.BySystem() {
			t.Errorf("%s: %+v, %v", further, x.entry, err)
		}
	}
	for _, kind := range []string{"agent", "service"} {
		if _, err := parseExported(exported(`,"actor_type":"` + kind + `"`)); err == nil || !strings.HasPrefix(err.Error(), `actor_type: is "`+kind+`"`) {
			t.Errorf("an entry of system, which is %q: %v", kind, err)
		}
	}
}

// The data of a CloudEvent may be an exported entry, or an event as the API takes it.
func TestCloudEventsOfOurOwn(t *testing.T) {
	id := models.DerivedEntryID(models.MicrosOf(time.Date(2026, 3, 2, 9, 15, 0, 0, time.UTC)), 0, "1").String()
	around := func(data string) string {
		return `{"specversion":"1.0","id":"1","source":"/organizations/acme","type":"com.auditlogs.invoice.delete","time":"2026-03-02T09:15:00Z","data":` + data + `}` + "\n"
	}
	lines := read(t, around(`{"id":"`+id+`","occurred_at":"2026-03-02T09:15:00.000000Z","recorded_at":"2026-03-02T09:15:01.000000Z",`+
		`"action":"invoice:delete","entity_type":"invoice","entity_id":"i-1","actor_id":"u-1","actor_name":"Ada"}`)+
		around(`{"action":"invoice:delete","entity_type":"invoice","entity_id":"i-1","entity_name":"Invoice 1","actor":{"id":"u-1","name":"Ada"},"outcome":"failure"}`),
		Config{Format: "cloudevents"})
	if len(lines) != 2 || lines[0].err != nil || lines[1].err != nil {
		t.Fatalf("%+v", lines)
	}
	if e := lines[0]; e.exported.entry.ID.String() != id || e.event.Action != "invoice:delete" || e.event.Organization != "acme" {
		t.Errorf("the entry is %+v", e.event)
	}
	if e := lines[1].event; e.NativeAction != "invoice:delete" || e.EntityID != "i-1" || e.EntityName != "Invoice 1" || e.Actor.ID != "u-1" ||
		e.Outcome != event.OutcomeFailure {
		t.Errorf("the event is %+v", e)
	}
}

// What an export says in another form is read back as it was, but for what imports keep in the metadata: when it was
// recorded, with which key, the URL, its metadata, and what is no address, of IP or e-mail.
func TestOurExportsInOtherFormsAreReadBack(t *testing.T) {
	log := exchange.Log{Organization: models.Organization{Slug: "acme"}, Server: "https://audit.example.com", Path: "/orgs/acme/settings/audit-logs"}
	for _, name := range []string{"ocsf", "cloudevents"} {
		form, _ := exchange.Named(name)
		for kind, e := range logtest.Kinds() {
			t.Run(name+"/"+kind, func(t *testing.T) {
				if kind == "as long as can be" {
					e.Metadata = "" // which with the form around it would be longer
				}
				text, err := json.Marshal(form.Of(log, &e))
				if err != nil {
					t.Fatal(err)
				}
				lines := read(t, string(text)+"\n", Config{Format: name})
				if len(lines) != 1 || lines[0].err != nil {
					t.Fatalf("%+v", lines)
				}
				got, err := event.Resolve(t.Context(), lines[0].event, e.OccurredAt.Time())
				if err != nil {
					t.Fatal(err)
				}
				want := exported{organization: "acme", entry: e}.event()
				want.Metadata, want.URL = nil, ""
				want.Request.IP, want.Actor.Email = address(want.Request.IP), email(want.Actor.Email)
				if want, err = event.Resolve(t.Context(), want, e.OccurredAt.Time()); err != nil {
					t.Fatal(err)
				}
				want.ID, want.Metadata = got.ID, got.Metadata
				if !strings.Contains(got.ID, e.ID.String()) {
					t.Errorf("its ID is %s", got.ID)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("it is read as\n%+v (for %+v), want\n%+v (for %+v)", got, got.Actor.OnBehalfOf, want, want.Actor.OnBehalfOf)
				}
			})
		}
	}
}
