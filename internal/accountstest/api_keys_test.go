package accountstest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func (p *town) createKey(org models.Organization, name string, scope accounts.KeyScope, expires time.Time) (key accounts.APIKey, token string, err error) {
	err = p.do(func(tx *gorm.DB) (err error) {
		key, token, err = accounts.CreateAPIKey(p.t.Context(), tx, org.ID, name, scope, "usr_1", models.MicrosOf(expires))
		return err
	})
	return key, token, err
}

func (p *town) key(org models.Organization, expires time.Time) (accounts.APIKey, string) {
	p.t.Helper()
	key, token, err := p.createKey(org, "Build server", accounts.ScopeWrite, expires)
	if err != nil {
		p.t.Fatal(err)
	}
	return key, token
}

func (p *town) revoke(org models.Organization, id string) (before accounts.APIKey, err error) {
	err = p.do(func(tx *gorm.DB) (err error) {
		before, err = accounts.RevokeAPIKey(p.t.Context(), tx, org.ID, id)
		return err
	})
	return before, err
}

// opens returns the error of showing a token.
func (p *town) opens(token string) error {
	_, _, err := p.people.APIKeyByToken(p.t.Context(), token)
	return err
}

func TestAnAPIKeyOpensItsOrganization(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme, other := p.organization("acme"), p.organization("other")
		key, token, err := p.createKey(acme, "  Build server ", accounts.ScopeRead, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^alk_[A-Za-z0-9_-]{43}$`).MatchString(token) || !regexp.MustCompile(`^key_[a-z2-7]{26}$`).MatchString(key.ID) {
			t.Errorf("key %q with token %q", key.ID, token)
		}
		if key.Name != "Build server" || key.Hint != token[43:] || strings.Contains(fmt.Sprintf("%+v %q", key, key.TokenHash), token) {
			t.Errorf("the stored key is %+v", key)
		}
		p.key(other, time.Time{})
		found, org, err := p.people.APIKeyByToken(t.Context(), token)
		if err != nil || org.ID != acme.ID || found.ID != key.ID || found.Scope != accounts.ScopeRead || found.CreatedBy != "usr_1" || found.CreatedAt != models.MicrosOf(p.now) {
			t.Errorf("the token leads to %+v of %q, %v", found, org.Slug, err)
		}
		for _, wrong := range []string{"", "alk_", token[4:], token + "x", strings.ToUpper(token), "alk_" + strings.Repeat("A", 43), string(key.TokenHash)} {
			wantError(t, fmt.Sprintf("the wrong token %q", wrong), p.opens(wrong), models.ErrNotFound)
		}
		if keys, err := p.people.APIKeys(t.Context(), acme.ID); err != nil || len(keys) != 1 || keys[0].ID != key.ID {
			t.Errorf("the keys are %+v, %v", keys, err)
		}
		_, err = p.people.APIKey(t.Context(), other.ID, key.ID)
		wantError(t, "the key asked of another organization", err, models.ErrNotFound)
	})
}

func TestAnAPIKeyEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme, other := p.organization("acme"), p.organization("other")

		revoked, token := p.key(acme, time.Time{})
		_, err := p.revoke(other, revoked.ID)
		wantError(t, "revoking it from another organization", err, models.ErrNotFound)
		_, err = p.revoke(acme, "key_nobody")
		wantError(t, "revoking one that never was", err, models.ErrNotFound)
		wantError(t, "before it was revoked", p.opens(token), nil)
		if before, err := p.revoke(acme, revoked.ID); err != nil || before.RevokedAt != 0 || before.Name != "Build server" {
			t.Errorf("revoking answers %+v, %v", before, err)
		}
		wantError(t, "after it was revoked", p.opens(token), models.ErrNotFound)
		at := p.now
		p.now = p.now.Add(time.Hour)
		if before, err := p.revoke(acme, revoked.ID); err != nil || before.RevokedAt != models.MicrosOf(at) {
			t.Errorf("revoking again answers %+v, %v", before, err)
		}

		expiring, token := p.key(acme, p.now.Add(time.Hour))
		wantError(t, "before it expires", p.opens(token), nil)
		p.now = p.now.Add(time.Hour)
		wantError(t, "after it has expired", p.opens(token), models.ErrNotFound)
		if keys, err := p.people.APIKeys(t.Context(), acme.ID); err != nil || len(keys) != 1 || keys[0].ID != expiring.ID || !keys[0].Expired(p.now) {
			t.Errorf("the keys are %+v, %v, want the expired one", keys, err)
		}

		_, token = p.key(acme, time.Time{})
		p.must(func(tx *gorm.DB) error { return accounts.CloseOrganization(t.Context(), tx, acme.ID, p.now) })
		_, org, err := p.people.APIKeyByToken(t.Context(), token)
		if err != nil || !org.Closed() {
			t.Errorf("after its organization was closed the key opens %+v, %v", org, err)
		}
		_, err = p.revoke(acme, expiring.ID)
		wantError(t, "revoking a key of a closed organization", err, models.ErrClosed)
		_, _, err = p.createKey(acme, "New", accounts.ScopeRead, time.Time{})
		wantError(t, "a new key of a closed organization", err, models.ErrClosed)
	})
}

func TestWhatAnAPIKeyMayBe(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme := p.organization("acme")
		for what, wrong := range map[string]struct {
			name    string
			scope   accounts.KeyScope
			expires time.Time
			field   string
		}{
			"no name":        {" ", accounts.ScopeRead, time.Time{}, "name"},
			"a long name":    {strings.Repeat("a", 201), accounts.ScopeRead, time.Time{}, "name"},
			"two lines":      {"a\nb", accounts.ScopeRead, time.Time{}, "name"},
			"no scope":       {"a", "", time.Time{}, "scope"},
			"both scopes":    {"a", "read write", time.Time{}, "scope"},
			"expired now":    {"a", accounts.ScopeRead, p.now, "expires"},
			"too long ahead": {"a", accounts.ScopeRead, p.now.AddDate(10, 0, 1), "expires"},
		} {
			var invalid *fault.Field
			if _, _, err := p.createKey(acme, wrong.name, wrong.scope, wrong.expires); !errors.As(err, &invalid) || invalid.Field != wrong.field {
				t.Errorf("%s: %v, want a fault.Field about %s", what, err, wrong.field)
			}
		}
		for _, expires := range []time.Time{p.now.Add(time.Second), p.now.AddDate(10, 0, 0)} {
			if _, _, err := p.createKey(acme, strings.Repeat("a", 200), accounts.ScopeWrite, expires); err != nil {
				t.Errorf("a key until %s: %v", expires, err)
			}
		}
		_, _, err := p.createKey(models.Organization{ID: 99}, "a", accounts.ScopeRead, time.Time{})
		wantError(t, "a key of no organization", err, models.ErrNotFound)
	})
}

func TestAnOrganizationHasSoManyAPIKeys(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme := p.organization("acme")
		first, _ := p.key(acme, time.Time{})
		for range accounts.MaxAPIKeys - 2 {
			p.key(acme, time.Time{})
		}
		var together sync.WaitGroup
		problems := make([]error, 2)
		for i := range problems {
			together.Go(func() { _, _, problems[i] = p.createKey(acme, "Last", accounts.ScopeRead, time.Time{}) })
		}
		together.Wait()
		var invalid *fault.Field
		if (problems[0] == nil) == (problems[1] == nil) || !errors.As(errors.Join(problems...), &invalid) {
			t.Errorf("two who create the last one at once got %v, want one success and one fault.Field", problems)
		}
		if _, err := p.revoke(acme, first.ID); err != nil {
			t.Fatal(err)
		}
		p.key(acme, time.Time{})
		p.key(p.organization("other"), time.Time{})
	})
}

func TestTheUseOfAnAPIKeyIsNotedOnceAMinute(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme := p.organization("acme")
		_, token := p.key(acme, time.Time{})
		p.key(acme, time.Time{}) // another, never used
		// read returns the key as the database has it.
		read := func() accounts.APIKey {
			t.Helper()
			key, _, err := p.people.APIKeyByToken(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
		use := func(key accounts.APIKey) {
			t.Helper()
			if err := p.people.NoteAPIKeyUse(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		unused := read()
		first := models.MicrosOf(p.now)
		use(unused)
		p.now = p.now.Add(59 * time.Second)
		use(unused) // asked before the first use was written
		use(read())
		if at := read().LastUsedAt; at != first {
			t.Errorf("within a minute it was last used at %s, want %s", at.Time(), first.Time())
		}
		p.now = p.now.Add(time.Second)
		use(read())
		if at := read().LastUsedAt; at != models.MicrosOf(p.now) {
			t.Errorf("a minute later it was last used at %s, want %s", at.Time(), p.now)
		}
		keys, err := p.people.APIKeys(t.Context(), acme.ID)
		if err != nil || len(keys) != 2 || (keys[0].LastUsedAt != 0) == (keys[1].LastUsedAt != 0) {
			t.Errorf("the keys are %+v, %v, want one of them used", keys, err)
		}
	})
}

func TestWhatAnAPIKeyMasks(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme, other := p.organization("acme"), p.organization("other")
		key, token := p.key(acme, time.Time{})
		sibling, _ := p.key(acme, time.Time{})
		set := func(org models.Organization, id string, to accounts.Masking) (before accounts.APIKey, err error) {
			err = p.do(func(tx *gorm.DB) (err error) {
				before, err = accounts.SetMasking(t.Context(), tx, org.ID, id, to)
				return err
			})
			return before, err
		}
		first, second := accounts.Masking{MaskKeys: "pin doorCode", KeepKeys: "client_token"}, accounts.Masking{MaskKeys: "größe"}
		for _, step := range []struct{ before, to accounts.Masking }{{accounts.Masking{}, first}, {first, first}, {first, second}} {
			before, err := set(acme, key.ID, step.to)
			if err != nil || before.ID != key.ID || before.Masking != step.before {
				t.Errorf("it was %+v, %v; want %+v", before.Masking, err, step.before)
			}
			found, _, err := p.people.APIKeyByToken(t.Context(), token)
			if err != nil || found.Masking != step.to {
				t.Errorf("it is %+v, %v; want %+v", found.Masking, err, step.to)
			}
		}
		if found, err := p.people.APIKey(t.Context(), acme.ID, sibling.ID); err != nil || found.Masking != (accounts.Masking{}) {
			t.Errorf("another key masks %+v, %v", found.Masking, err)
		}

		reads, _, err := p.createKey(acme, "Reports", accounts.ScopeRead, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.revoke(acme, sibling.ID); err != nil {
			t.Fatal(err)
		}
		for what, id := range map[string]string{"a key that reads": reads.ID, "a revoked one": sibling.ID, "none": "key_nobody"} {
			_, err := set(acme, id, first)
			wantError(t, what, err, models.ErrNotFound)
		}
		_, err = set(other, key.ID, first)
		wantError(t, "another organization's", err, models.ErrNotFound)
		p.must(func(tx *gorm.DB) error { return accounts.CloseOrganization(t.Context(), tx, acme.ID, p.now) })
		_, err = set(acme, key.ID, first)
		wantError(t, "in a closed organization", err, models.ErrClosed)
	})
}

func TestNamesOfKeysOfMetadata(t *testing.T) {
	many := strings.Repeat("k1 ", accounts.MaxMaskingNames)
	for text, want := range map[string]accounts.MetadataKeys{
		"":                             "",
		" , ;\r\n":                     "",
		"pin":                          "pin",
		"pin,card.number; X-Door\tpin": "pin card.number X-Door",
		"größe 電話 п":                   "größe 電話 п",
		many:                           "k1",
		strings.Repeat("k", accounts.MaxMaskingName): accounts.MetadataKeys(strings.Repeat("k", accounts.MaxMaskingName)),
	} {
		if got, err := accounts.ParseMetadataKeys("mask_keys", text); err != nil || got != want {
			t.Errorf("%q is read as %q, %v; want %q", text, got, err, want)
		}
	}
	var tooMany strings.Builder
	for n := range accounts.MaxMaskingNames + 1 {
		fmt.Fprintf(&tooMany, "k%d,", n)
	}
	for text, reason := range map[string]string{
		"pin, _-_":                        `"_-_" has neither`,
		"pin …":                           `"…" has neither`,
		"p\x00in":                         `"p\x00in" holds a character`,
		"ok p\u202ein":                    `"p\u202ein" holds a character`,
		"p\xffin":                         `"p\xffin" holds a character`,
		strings.Repeat("k", 101) + " pin": `"kkkkkkkkkkkkkkkkkkkk"… is too long`,
		tooMany.String():                  "51 names",
	} {
		_, err := accounts.ParseMetadataKeys("keep_keys", text)
		var invalid *fault.Field
		if !errors.As(err, &invalid) || invalid.Field != "keep_keys" || !strings.Contains(invalid.Reason, reason) {
			t.Errorf("%q is refused with %v, want %q", text, err, reason)
		}
	}
}
