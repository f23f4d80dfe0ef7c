package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// sent is the metadata of what a key sends, as it is stored.
func (p *town) sent(org models.Organization, token, body, kind string) (stored []string) {
	p.t.Helper()
	before := len(p.entries(org, "service:update"))
	p.Client(p.t).Do(http.MethodPost, "/api/v1/events", strings.NewReader(body), "Authorization", "Bearer "+token, "Content-Type", kind).
		Expect(http.StatusCreated)
	for _, entry := range p.entries(org, "service:update")[before:] {
		stored = append(stored, entry.Metadata)
	}
	return stored
}

const (
	secretive = `{"client_token":"seen","door":{"DOOR_CODE":"4711"},"password":"hunter2","userPin":"1234"}`
	// How it is stored where the key masks pin and door_code, and keeps client_token; and otherwise.
	masked   = `{"client_token":"seen","door":{"DOOR_CODE":"[masked]"},"password":"[masked]","userPin":"[masked]"}`
	unmasked = `{"client_token":"[masked]","door":{"DOOR_CODE":"4711"},"password":"[masked]","userPin":"1234"}`
)

func TestAnAdminSaysWhatIsMaskedOfAKeysEvents(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, page := p.organization("acme", ada), "/orgs/acme"+apiKeys
		admin := p.signedIn(ada)

		// When it is made.
		form := open(t, admin, admin.Get(page), `form[action="`+page+`"]`)
		made := form.set("name", "Build server").set("scope", "write").set("expires", "never").set("mask_keys", "pin, door_code").set("keep_keys", "client_token").send().Expect(200)
		token := shownKey(made)
		key, _, err := p.Accounts.APIKeyByToken(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if facts := p.wantKeyEntry(acme, "api_key:create", ada, key.ID, "Build server"); fmt.Sprint(facts["mask_keys"], facts["keep_keys"]) != "[pin door_code] [client_token]" {
			t.Errorf("it was recorded with %v", facts)
		}
		_, other := p.apiKey(acme, ada, "Another")

		// However it comes.
		one := event("metadata", secretive)
		for kind, body := range map[string]string{"application/json": one, "application/json; charset=utf-8": list(one, one), "application/x-ndjson": one + "\n" + one + "\n"} {
			for _, stored := range p.sent(acme, token, body, kind) {
				if stored != masked {
					t.Errorf("%s is stored as %s", kind, stored)
				}
			}
		}
		if stored := p.sent(acme, other, one, "application/json"); len(stored) != 1 || stored[0] != unmasked {
			t.Errorf("with another key it is stored as %s", stored)
		}
		if n := p.entries(acme, "service:update")[0].Masked; n != 3 {
			t.Errorf("the entry says that %d values were masked", n)
		}

		// Later.
		listed := admin.Get(page)
		if row := listed.Text("[data-key-id=" + key.ID + "] th"); !strings.Contains(row, "Masks 2 more keys, keeps 1") {
			t.Errorf("the list says %q", row)
		}
		masking := listed.Find("[data-key-id="+key.ID+"] .actions a").AttrOr("href", "")
		edit := open(t, admin, admin.Get(masking).Expect(200), "main form")
		if edit.action != masking || edit.fields["mask_keys"] != "pin, door_code" || edit.fields["keep_keys"] != "client_token" {
			t.Errorf("the form at %s holds %v", edit.action, edit.fields)
		}
		p.Clock.Advance(time.Minute)
		edit.send().ExpectRedirect(page)
		if said := admin.Get(page).Text("main [role=status]"); !strings.HasPrefix(said, "Nothing to save") || len(p.entries(acme, "api_key:update")) != 0 {
			t.Errorf("saved as it is, it says %q", said)
		}
		edit.set("mask_keys", "").set("keep_keys", "client_token other_token").send().ExpectRedirect(page)
		if said := admin.Get(page).Text("main [role=status]"); said != "Saved. Events that come with Build server are masked this way from now on." {
			t.Errorf("it says %q", said)
		}
		if facts := p.wantKeyEntry(acme, "api_key:update", ada, key.ID, "Build server"); fmt.Sprint(facts) !=
			"map[changed_fields:[keep_keys mask_keys] changes:map[keep_keys:map[after:[client_token other_token] before:[client_token]] mask_keys:map[after:[] before:[pin door_code]]]]" {
			t.Errorf("it was recorded with %v", facts)
		}
		if stored := p.sent(acme, token, one, "application/json"); stored[0] != strings.Replace(unmasked, `"[masked]"`, `"seen"`, 1) {
			t.Errorf("after the change it is stored as %s", stored)
		}
		if row := admin.Get(page).Text("[data-key-id=" + key.ID + "] th"); !strings.Contains(row, "keeps 2") || strings.Contains(row, "Masks") {
			t.Errorf("the list says %q", row)
		}
	})
}

func TestMaskingThatCannotBe(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, eve := p.user("Ada"), p.user("Eve")
		acme, other, page := p.organization("acme", ada), p.organization("other", eve), "/orgs/acme"+apiKeys
		admin := p.signedIn(ada)
		key, _ := p.apiKey(acme, ada, "Build server")
		foreign, _ := p.apiKey(other, eve, "Theirs")
		masking := page + "/" + key.ID + "/masking"

		for _, wrong := range []struct{ mask, keep, field, reason string }{
			{"pin, _-_", "x", "mask_keys", `"_-_" has neither letters nor digits.`},
			{"pin", "x, …", "keep_keys", `"…" has neither letters nor digits.`},
			{strings.Repeat("k", 101), "", "mask_keys", "is too long: use at most 100 bytes."},
			{"pin\u202e", "", "mask_keys", "holds a character that cannot be seen."},
		} {
			for _, refused := range []*apptest.Page{
				admin.Post(masking, "mask_keys", wrong.mask, "keep_keys", wrong.keep).Expect(422),
				admin.Post(page, "name", "New", "scope", "write", "expires", "never", "mask_keys", wrong.mask, "keep_keys", wrong.keep).Expect(422),
			} {
				wantReason(t, refused, wrong.field, wrong.reason)
				if got := refused.Find("[name=keep_keys]").AttrOr("value", ""); got != wrong.keep {
					t.Errorf("the form lost what was typed: %q", got)
				}
				if details := refused.Find("details:has([name=mask_keys])"); details.Length() > 0 && details.Is(":not([open])") {
					t.Error("what is wrong is folded away")
				}
			}
		}
		reads := []string{"name", "Reports", "scope", "read", "expires", "never"}
		wantReason(t, admin.Post(page, append(reads, "mask_keys", "pin")...).Expect(422), "mask_keys", "A key that reads the log")
		wantReason(t, admin.Post(page, append(reads, "keep_keys", "pin")...).Expect(422), "keep_keys", "A key that reads the log")
		if n := len(p.entries(acme, "api_key:create")) + len(p.entries(acme, "api_key:update")); n != 0 {
			t.Errorf("%d entries of what was refused", n)
		}
		if found, err := p.Accounts.APIKey(t.Context(), acme.ID, key.ID); err != nil || found.Masking != (accounts.Masking{}) {
			t.Errorf("the key masks %+v, %v", found.Masking, err)
		}

		admin.Post(page, reads...).Expect(200)
		for _, row := range admin.Get(page).Find("[data-key-id]").EachIter() {
			if row.AttrOr("data-key-id", "") != key.ID {
				reading := page + "/" + row.AttrOr("data-key-id", "") + "/masking"
				if row.Find(".actions a").Length() != 0 {
					t.Error("a key that reads offers masking")
				}
				admin.Get(reading).Expect(404)
				admin.Post(reading, "mask_keys", "pin").Expect(404)
			}
		}
		for _, id := range []string{foreign.ID, "key_aaaaaaaaaaaaaaaaaaaaaaaaaa", "%00%ff", "x"} {
			admin.Get(page + "/" + id + "/masking").Expect(404)
			admin.Post(page+"/"+id+"/masking", "mask_keys", "pin").Expect(404)
		}
	})
}

func TestMembersSeeWhatAKeyMasks(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme, page := p.organization("acme", ada), "/orgs/acme"+apiKeys
		p.join(acme, bob, accounts.RoleMember)
		key, _ := p.apiKey(acme, ada, "Build server")
		masking := page + "/" + key.ID + "/masking"
		admin, member := p.signedIn(ada), p.signedIn(bob)
		admin.Post(masking, "mask_keys", "pin door_code").ExpectRedirect(page)

		if leads := member.Get(page).Find("[data-key-id] a").AttrOr("href", ""); leads != masking {
			t.Errorf("the list leads to %q", leads)
		}
		shown := member.Get(masking).Expect(200)
		if text := shown.Text("main"); !strings.Contains(text, "pin, door_code") || !strings.Contains(text, "Nothing") || shown.Find("main form").Length() != 0 {
			t.Errorf("a member sees %q", text)
		}
		member.Post(masking, "mask_keys", "").Expect(403)

		p.close(acme)
		if closed := admin.Get(masking).Expect(200); closed.Find("main form").Length() != 0 || !strings.Contains(closed.Text("main"), "pin, door_code") {
			t.Errorf("in a deleted organization an admin sees %q", closed.Text("main"))
		}
		admin.Post(masking, "mask_keys", "").Expect(409)
	})
}
