package handlers_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

const restrictions = "/orgs/acme/settings/members/restrictions"

// vault is an organization whose log holds what members and auditors are not to see.
type vault struct {
	*town
	acme                                    models.Organization
	ada                                     accounts.User
	admin, auditor, member                  *apptest.Client
	readSecret, ofService, native, onBehalf string // IDs of entries, of which only that of the service is for all
}

// told are words that only what is hidden says; so long that no ID and no cursor has them by chance.
var told = []string{"secret:read", "Payroll", "vault-9", "Mallory", "Trudy", "service:peek", "Vault.Peek", "bot-7"}

// sesame is a word of the metadata of what may be seen.
const sesame = "open-sesame"

func eachVault(t *testing.T, test func(t *testing.T, v *vault)) {
	t.Helper()
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, ivy := p.user("Ada"), p.user("Bob"), p.user("Ivy")
		v := &vault{town: p, ada: ada, acme: p.organization("acme", ada)}
		p.join(v.acme, bob, accounts.RoleMember)
		p.join(v.acme, ivy, accounts.RoleAuditor)
		v.admin, v.auditor, v.member = p.signedIn(ada), p.signedIn(ivy), p.signedIn(bob)
		record := func(e audit.Event) string {
			e.Organization, e.OccurredAt = "acme", p.Store.Now()
			var receipt audit.Receipt
			p.do(func(tx *gorm.DB) (err error) {
				receipt, err = audit.Record(t.Context(), tx, e)
				return err
			})
			p.Clock.Advance(time.Second)
			return receipt.EntryID
		}
		v.readSecret = record(audit.Event{
			Action: "secret:read", EntityID: "vault-9", EntityName: "Payroll key", Actor: audit.Actor{ID: "u-m", Name: "Mallory"},
			Related: []audit.Resource{{Type: "service", ID: "svc-1", Name: "Payroll"}},
		})
		v.native = record(audit.Event{
			Action: "service:peek", NativeAction: "Vault.Peek", EntityID: "svc-1", EntityName: "Payroll", Actor: audit.Actor{ID: "u-m", Name: "Mallory"},
		})
		v.onBehalf = record(audit.Event{
			Action: "secret:read", EntityID: "vault-9",
			Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot-7", OnBehalfOf: &audit.Principal{ID: "u-t", Name: "Trudy"}},
		})
		v.ofService = record(audit.Event{
			Action: "service:update", EntityID: "svc-1", EntityName: "web", Actor: audit.Actor{ID: "u-c", Name: "Carol"},
			Metadata: map[string]any{"word": sesame, "changes": map[string]any{"motto": audit.Change{Before: "x", After: sesame}}},
		})
		test(t, v)
	})
}

// addresses are pages that show something of the log, or a part of one.
func (v *vault) addresses() (all []string) {
	parameter := regexp.MustCompile(`:[a-z_]+`)
	for _, route := range v.App.Routes() {
		if rest, ok := strings.CutPrefix(route.Path, "/orgs/:slug"); ok && route.Method == http.MethodGet && !strings.Contains(rest, "export") {
			all = append(all, "/orgs/acme"+parameter.ReplaceAllStringFunc(rest, func(name string) string {
				return map[string]string{":entry": v.ofService, ":entity_type": "service", ":key": "key_none"}[name]
			}))
		}
	}
	log, history := "/orgs/acme"+auditLogs, "/orgs/acme/resources/"
	for _, query := range []string{
		"", "dir=asc", "sort=action", "sort=entity_type", "sort=user", "sort=user&dir=desc", "q=payroll", "q=vault", "q=secret+read", "q=peek", "q=svc-1",
		"q=svc-1&sort=action", "actor=u-m", "actor=u-t", "actor=u-m&sort=user", "entity_type=secret", "entity_type=service", "action=service:*", "outcome=success",
	} {
		all = append(all, log+"?"+query)
	}
	for _, text := range []string{"", "mallory", "trudy", "bot", "u-"} {
		all = append(all, log+"/actors?text="+text)
	}
	for _, text := range []string{"action:", "action:v", "type:", "actor:", "id:", "name:", "meta:", "meta.", "meta.word:"} {
		all = append(all, log+"/completions?q="+text)
	}
	all = append(all, log+"/counts?exact=1", log+"/counts?q=payroll&at=ffffffff-ffff-7fff-bfff-ffffffffffff")
	for _, of := range []string{"action", "actor", "outcome", "entity_type"} {
		all = append(all, log+"/facets?of="+of)
	}
	for _, format := range []string{"csv", "ndjson", "ocsf", "ecs", "cloudevents"} {
		all = append(all, log+"/export?format="+format, log+"/export?sort=user&format="+format)
	}
	return append(all, log+"/"+v.readSecret, log+"/"+v.native, log+"/"+v.onBehalf, history+"secret?id=vault-9", history+"service?id=svc-1",
		history+"service?id=svc-1&actor=u-m", "/orgs/acme/actors?id=u-m", "/orgs/acme/actors?id=u-t", "/orgs/acme/actors?id=bot-7", "/orgs/acme/actors?id=u-c")
}

// shown are the words that some addresses show to a client: what it asked for itself, and its own links to that, aside.
func (v *vault) shown(client *apptest.Client, words ...string) (shown []string) {
	for _, address := range v.addresses() {
		for name, get := range map[string]func(string, ...string) *apptest.Page{"page": client.Get, "part": client.Fragment} {
			page := get(address)
			if page.Status >= 500 {
				v.t.Errorf("%s answers %d", address, page.Status)
			}
			body := page.Body
			for _, word := range words {
				if asked, _ := url.QueryUnescape(address); strings.Contains(strings.ToLower(asked), strings.ToLower(word)) {
					continue
				}
				if strings.Contains(strings.ToLower(body), strings.ToLower(word)) {
					shown = append(shown, fmt.Sprintf("the %s %s shows %s", name, address, word))
				}
			}
		}
	}
	return shown
}

// wantAll wants each of some words shown to a client.
func (v *vault) wantAll(client *apptest.Client, words []string) {
	v.t.Helper()
	shown := strings.Join(v.shown(client, words...), "\n") + "\n"
	for _, word := range words {
		if !strings.Contains(shown, " shows "+word+"\n") {
			v.t.Errorf("nothing shows %s", word)
		}
	}
}

func TestNothingShowsWhatARoleMayNotSee(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		clients := map[accounts.Role]*apptest.Client{accounts.RoleMember: v.member, accounts.RoleAuditor: v.auditor}
		words := append([]string{sesame}, told...)
		for role, client := range clients {
			v.wantAll(client, words) // or what follows would tell nothing
			v.admin.Post(restrictions, "role", string(role), "hidden_actions", "SECRET:*, vault.*", "metadata", "hidden").ExpectRedirect("/orgs/acme/settings/members")
			for _, shown := range v.shown(client, words...) {
				t.Errorf("%s to an %s", shown, role)
			}
			log := "/orgs/acme" + auditLogs
			for _, id := range []string{v.readSecret, v.native, v.onBehalf} {
				client.Get(log + "/" + id).Expect(404)
			}
			if got := client.Get(log + "/" + v.ofService).Expect(200).Find(".entry-section").Text(); !strings.Contains(got, "Your role does not include metadata") {
				t.Errorf("of metadata the entry says %q", got)
			}
			if n := client.Get(log + "?entity_type=service").Expect(200).Find("#entries [data-entry-id]").Length(); n != 1 {
				t.Errorf("%d entries of services are shown, want 1", n)
			}
			if client.Get(log).Expect(200).Find("[data-hidden] a").Length() != 1 {
				t.Error("the log does not say that there is more")
			}
		}
		// Admins and API keys see it all.
		v.wantAll(v.admin, words)
		key := v.Key(t, v.acme, accounts.ScopeRead)
		if body := v.Client(t).Get("/api/v1/entries?action=secret:read", "Authorization", "Bearer "+key).Expect(200).Body; !strings.Contains(body, "Payroll key") {
			t.Errorf("a key reads %s", body)
		}
		// Nothing is left out for those who become admins, and for all once it is lifted.
		v.admin.Post(restrictions, "role", "member", "hidden_actions", "").Expect(303)
		v.wantAll(v.member, words)
	})
}

func TestAQuestionThatNamesWhatIsHiddenIsRefused(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		v.admin.Post(restrictions, "role", "member", "hidden_actions", "secret:* vault.p*k").Expect(303)
		log := "/orgs/acme" + auditLogs
		for _, refused := range []string{
			log + "?action=secret:read", log + "?action=service:update&action=secret:read", log + "?action=secret:*", log + "?action=Vault.Peek",
			log + "?action=secret:never_recorded&sort=user", log + "/export?format=csv&action=secret:read", "/orgs/acme/resources/service?id=svc-1&action=secret:read",
		} {
			v.Clock.Advance(time.Hour)
			for _, get := range []func(string, ...string) *apptest.Page{v.member.Get, v.member.Fragment} {
				if page := get(refused).Expect(403); !strings.Contains(page.Body, "Your role in this organization does not include") {
					t.Errorf("%s says %s", refused, page.Body)
				}
			}
			denied := v.entries(v.acme, "access:denied")
			last := denied[len(denied)-1]
			if facts := metadataOf(t, last); facts["method"] != "GET" || facts["hidden"] == nil || !strings.Contains(refused, fmt.Sprint(facts["hidden"])) {
				t.Errorf("the refusal of %s is recorded with %v", refused, facts)
			}
			v.auditor.Get(refused).Expect(200)
		}
		if n := len(v.entries(v.acme, "audit_log:export")); n != 1 { // the auditor's
			t.Errorf("%d exports are recorded, want 1", n)
		}
		v.member.Get(log + "?action=service:*").Expect(200)
		v.member.Get(log + "?q=secret:read").Expect(200) // words name nothing
	})
}

func TestNoTermTellsWhatIsHidden(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		log, restricted := entries.NewLog(v.Store), v.acme
		restricted.Hidden = &models.Restriction{Actions: "secret:* vault.*", Metadata: true}
		for _, term := range []entries.Term{
			{Field: entries.FieldMetadata, Values: []string{sesame}}, {Field: entries.FieldMetadata, Path: []string{"word"}, Values: []string{"o*"}, Not: true},
			{Field: entries.FieldAction, Values: []string{"service:update", "secret:read"}}, {Field: entries.FieldAction, Values: []string{"Vault.P*"}, Not: true},
		} {
			var hidden *models.HiddenError
			if _, err := log.Page(t.Context(), restricted, entries.Query{Terms: []entries.Term{term}}); !errors.As(err, &hidden) {
				t.Errorf("%+v is answered with %v", term, err)
			}
		}
		for _, sort := range []entries.Sort{entries.SortTimestamp, entries.SortAction, entries.SortEntityType, entries.SortUser} {
			for _, term := range []entries.Term{
				{Field: entries.FieldText, Values: []string{"payroll"}}, {Field: entries.FieldText, Values: []string{"nothing"}, Not: true},
				{Field: entries.FieldAction, Values: []string{"s*"}}, {Field: entries.FieldAction, Values: []string{"service:peek"}},
				{Field: entries.FieldActor, Values: []string{"mallory", "trudy"}}, {Field: entries.FieldActor, Values: []string{"carol"}, Not: true},
				{Field: entries.FieldType, Values: []string{"secret"}}, {Field: entries.FieldID, Values: []string{"vault-9", "svc-1"}},
				{Field: entries.FieldName, Values: []string{"pay*"}}, {Field: entries.FieldOutcome, Values: []string{"success"}},
			} {
				query := entries.Query{Terms: []entries.Term{term}, Sort: sort}
				for org, hides := range map[*models.Organization]bool{&restricted: true, &v.acme: false} {
					page, err := log.PageWithMetadata(t.Context(), *org, query)
					if err != nil {
						t.Fatal(err)
					}
					secret := slices.ContainsFunc(page.Entries, func(e models.Entry) bool {
						return e.Action == "secret:read" || e.NativeAction == "Vault.Peek" || strings.Contains(e.Metadata, sesame)
					})
					if secret == hides {
						t.Errorf("by %s, %+v shows what is hidden: %t", sort, term, secret)
					}
				}
			}
		}
	})
}

func TestWhatARoleDoesNotSeeIsSetByAdmins(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		members := "/orgs/acme/settings/members"
		form := func(client *apptest.Client) *apptest.Page { return client.Get(members).Expect(200) }
		if form(v.admin).Find(`form[action$="/restrictions"]`).Length() != 2 || form(v.auditor).Find(`form[action$="/restrictions"]`).Length() != 0 {
			t.Error("the forms are not there for admins alone")
		}
		v.member.Post(restrictions, "role", "member", "hidden_actions", "").Expect(403)
		v.admin.Post(restrictions, "role", "admin", "hidden_actions", "secret:*").Expect(422)
		refused := v.admin.Post(restrictions, "role", "auditor", "hidden_actions", strings.Repeat("x", 101)).Expect(422)
		if got := refused.Find("#hidden-from-auditor"); got.AttrOr("aria-invalid", "") != "true" || got.AttrOr("value", "") != strings.Repeat("x", 101) {
			t.Error("what was typed is not marked as wrong")
		}
		if refused.Find("#hidden-from-member[aria-invalid]").Length() != 0 {
			t.Error("the other role's field is marked as wrong")
		}
		v.admin.Post(restrictions, "role", "auditor", "hidden_actions", "secret:*", "metadata", "hidden", "loaded_hidden_actions", "", "loaded_metadata", "shown").Expect(303)
		changes := v.entries(v.acme, "role:restrict")
		if len(changes) != 1 || changes[0].EntityID != "auditor" || changes[0].EntityType != "role" || changes[0].ActorID != v.ada.ID {
			t.Fatalf("it is recorded as %+v", changes)
		}
		want := "map[changed_fields:[hidden_actions metadata] changes:map[hidden_actions:map[after:[secret:*] before:[]] metadata:map[after:hidden before:shown]]]"
		if got := fmt.Sprint(metadataOf(t, changes[0])); got != want {
			t.Errorf("it is recorded with %s", got)
		}
		// Saved once more from a form that was opened before.
		conflict := v.admin.Post(restrictions, "role", "auditor", "hidden_actions", "service:*", "loaded_hidden_actions", "", "loaded_metadata", "shown").Expect(409)
		if conflict.Find("[data-conflict]").Length() != 1 || conflict.Find("#hidden-from-auditor").AttrOr("value", "") != "service:*" {
			t.Error("the conflict is not shown with what was typed")
		}
		v.admin.Post(restrictions, "role", "auditor", "hidden_actions", "secret:*", "metadata", "hidden").Expect(303)
		if n := len(v.entries(v.acme, "role:restrict")); n != 1 {
			t.Errorf("%d changes are recorded, want 1", n)
		}
		if got := form(v.member).Text(".facts dd"); !strings.Contains(got, "secret:*, metadata") {
			t.Errorf("others read %q", got)
		}
	})
}
