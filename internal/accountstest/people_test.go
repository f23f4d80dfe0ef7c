package accountstest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// town is a store with a clock the test moves.
type town struct {
	*models.Store
	people *accounts.Store
	t      *testing.T
	now    time.Time
}

func eachTown(t *testing.T, test func(t *testing.T, town *town)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		place := &town{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		var err error
		if place.Store, err = db.Store(func() time.Time { return place.now }); err != nil {
			t.Fatal(err)
		}
		place.people = accounts.NewStore(place.Store)
		test(t, place)
	})
}

// do runs change in a transaction and returns its error.
func (p *town) do(change func(tx *gorm.DB) error) error {
	return p.Transaction(p.t.Context(), change)
}

func (p *town) must(change func(tx *gorm.DB) error) {
	p.t.Helper()
	if err := p.do(change); err != nil {
		p.t.Fatal(err)
	}
}

func (p *town) user(name string) (user accounts.User) {
	p.t.Helper()
	p.must(func(tx *gorm.DB) (err error) {
		user, err = accounts.CreateUser(p.t.Context(), tx, name, strings.ToLower(name)+"@example.com", "hash of "+name)
		return err
	})
	return user
}

func (p *town) organization(slug string, admins ...accounts.User) (org models.Organization) {
	p.t.Helper()
	p.must(func(tx *gorm.DB) (err error) {
		org, err = models.CreateOrganization(p.t.Context(), models.HandleOf(tx), slug, slug, "")
		return err
	})
	for _, admin := range admins {
		p.member(org, admin, accounts.RoleAdmin)
	}
	return org
}

func (p *town) member(org models.Organization, user accounts.User, role accounts.Role) {
	p.t.Helper()
	p.must(func(tx *gorm.DB) error { return accounts.AddMember(p.t.Context(), tx, org.ID, user.ID, role) })
}

func (p *town) invitation(org models.Organization, by accounts.User) (token string, invitation accounts.Invitation) {
	p.t.Helper()
	p.must(func(tx *gorm.DB) (err error) {
		token, invitation, err = accounts.CreateInvitation(p.t.Context(), tx, org.ID, by.ID, "", accounts.RoleMember)
		return err
	})
	return token, invitation
}

func (p *town) accept(token string, user accounts.User) error {
	return p.do(func(tx *gorm.DB) error {
		_, err := accounts.AcceptInvitation(p.t.Context(), tx, token, user)
		return err
	})
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

func TestSlugs(t *testing.T) {
	for _, slug := range []string{"a", "7", "acme", "a-b", "0-0", strings.Repeat("a", 63)} {
		if err := models.CheckSlug(slug); err != nil {
			t.Errorf("%q was refused: %v", slug, err)
		}
	}
	for _, slug := range []string{"", "-", "a-", "-a", "Acme", "a_b", "a.b", "a/b", "ä", "a b", "a\n", "new", strings.Repeat("a", 64)} {
		var invalid *fault.Field
		if err := models.CheckSlug(slug); !errors.As(err, &invalid) || invalid.Field != "slug" {
			t.Errorf("%q: %v, want a fault.Field about the slug", slug, err)
		}
	}
}

func TestASlugIsTakenForEver(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		first := p.organization("acme")
		p.must(func(tx *gorm.DB) error {
			_, err := models.CreateOrganization(t.Context(), models.HandleOf(tx), "Another", "acme", "")
			wantError(t, "the same slug", err, models.ErrTaken)
			// The transaction goes on.
			_, err = models.CreateOrganization(t.Context(), models.HandleOf(tx), "Another", "another", "tenant-7")
			return err
		})
		err := p.do(func(tx *gorm.DB) error {
			_, err := models.CreateOrganization(t.Context(), models.HandleOf(tx), "Third", "third", "tenant-7")
			return err
		})
		wantError(t, "the same external ID", err, models.ErrTaken)
		if first.RetentionDays != 90 || !first.LoggingEnabled || first.CreatedAt != models.MicrosOf(p.now) {
			t.Errorf("a new organization is %+v", first)
		}
	})
}

func TestOneAccountAnAddress(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.must(func(tx *gorm.DB) error {
			_, err := accounts.CreateUser(t.Context(), tx, "Imposter", "ADA@Example.com", "hash")
			wantError(t, "the same address in capitals", err, models.ErrTaken)
			return nil
		})
		found, err := p.people.UserByEmail(t.Context(), " aDa@example.COM ")
		if err != nil || found.ID != ada.ID {
			t.Errorf("found %q, %v by the address in other letters", found.ID, err)
		}
		_, err = p.people.UserByEmail(t.Context(), "nobody@example.com")
		wantError(t, "an address without account", err, models.ErrNotFound)
	})
}

func TestWhoMayReadWhat(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		admin, member := p.user("Admin"), p.user("Member")
		p.organization("foreign", p.user("Stranger"))
		zeta, acme := p.organization("zeta", admin), p.organization("acme", admin)
		p.member(zeta, member, accounts.RoleMember)
		p.member(acme, member, accounts.RoleMember)

		readable := func(user accounts.User) (slugs []string) {
			t.Helper()
			access, err := p.people.AccessOf(t.Context(), user.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range access {
				slugs = append(slugs, a.Slug+" as "+string(a.Role))
			}
			return slugs
		}
		want := func(what string, user accounts.User, want ...string) {
			t.Helper()
			if got := readable(user); !slices.Equal(got, want) {
				t.Errorf("%s, %s reads %v, want %v", what, user.Name, got, want)
			}
		}
		want("while all are open", admin, "acme as admin", "zeta as admin")
		want("while all are open", member, "acme as member", "zeta as member")

		closing := p.Writer(t.Context()).Model(&models.Organization{}).Where("id = ?", acme.ID).
			Update("closed_at", models.MicrosOf(p.now))
		if closing.Error != nil {
			t.Fatal(closing.Error)
		}
		want("after one was closed", admin, "acme as admin", "zeta as admin")
		want("after one was closed", member, "zeta as member")
		p.now = p.now.Add(91 * 24 * time.Hour)
		want("while its settings history can be read", admin, "acme as admin", "zeta as admin")
		p.now = p.now.Add(365 * 24 * time.Hour)
		want("after that", admin, "zeta as admin")
	})
}

func TestTheLastAdminStays(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		org := p.organization("acme", ada)
		p.member(org, bob, accounts.RoleMember)
		change := func(user accounts.User, role accounts.Role) error {
			return p.do(func(tx *gorm.DB) error {
				_, _, err := accounts.ChangeRole(t.Context(), tx, org.ID, user.ID, role)
				return err
			})
		}
		remove := func(user accounts.User) error {
			return p.do(func(tx *gorm.DB) error {
				_, _, err := accounts.RemoveMember(t.Context(), tx, org.ID, user.ID)
				return err
			})
		}
		wantError(t, "the last admin steps down", change(ada, accounts.RoleMember), models.ErrLastAdmin)
		wantError(t, "the last admin leaves", remove(ada), models.ErrLastAdmin)
		wantError(t, "the last admin stays admin", change(ada, accounts.RoleAdmin), nil)
		wantError(t, "somebody else becomes admin", change(bob, accounts.RoleAdmin), nil)
		wantError(t, "one of two leaves", remove(ada), nil)
		wantError(t, "somebody who is no member", change(ada, accounts.RoleMember), models.ErrNotFound)
	})
}

func TestTwoAdminsWhoStepDownTogether(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		for round := range 5 {
			org := p.organization("acme-"+string(rune('a'+round)), ada, bob)
			var together sync.WaitGroup
			problems := make([]error, 2)
			for i, user := range []accounts.User{ada, bob} {
				together.Go(func() {
					problems[i] = p.do(func(tx *gorm.DB) error {
						_, _, err := accounts.ChangeRole(t.Context(), tx, org.ID, user.ID, accounts.RoleMember)
						return err
					})
				})
			}
			together.Wait()
			if refused := slices.IndexFunc(problems, func(err error) bool { return errors.Is(err, models.ErrLastAdmin) }); refused < 0 || problems[1-refused] != nil {
				t.Errorf("the two got %v, want one ErrLastAdmin and one success", problems)
			}
			members, err := p.people.Members(t.Context(), org.ID)
			if err != nil {
				t.Fatal(err)
			}
			admins := 0
			for _, m := range members {
				if m.Role == accounts.RoleAdmin {
					admins++
				}
			}
			if admins != 1 {
				t.Errorf("%d admins are left, want 1", admins)
			}
		}
	})
}

func TestAnInvitationWorksOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		admin, ada, bob := p.user("Admin"), p.user("Ada"), p.user("Bob")
		org := p.organization("acme", admin)
		token, _ := p.invitation(org, admin)

		if _, found, err := p.people.OpenInvitation(t.Context(), token); err != nil || found.ID != org.ID {
			t.Fatalf("the link leads to %q, %v", found.Slug, err)
		}
		wantError(t, "a member accepts", p.accept(token, admin), models.ErrTaken)

		var together sync.WaitGroup
		problems := make([]error, 2)
		for i, user := range []accounts.User{ada, bob} {
			together.Go(func() { problems[i] = p.accept(token, user) })
		}
		together.Wait()
		if (problems[0] == nil) == (problems[1] == nil) {
			t.Errorf("two who accept at once got %v, want one success", problems)
		}
		wantError(t, "one of them", errors.Join(problems...), models.ErrNotFound)
		_, _, err := p.people.OpenInvitation(t.Context(), token)
		wantError(t, "a used link", err, models.ErrNotFound)
	})
}

func TestAnInvitationEnds(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		admin, ada := p.user("Admin"), p.user("Ada")
		org, other := p.organization("acme", admin), p.organization("other", admin)

		revoked, invitation := p.invitation(org, admin)
		revoke := func(org models.Organization) error {
			return p.do(func(tx *gorm.DB) error {
				_, err := accounts.RevokeInvitation(t.Context(), tx, org.ID, invitation.ID())
				return err
			})
		}
		wantError(t, "revoking it from another organization", revoke(other), models.ErrNotFound)
		wantError(t, "revoking", revoke(org), nil)
		wantError(t, "revoking again", revoke(org), models.ErrNotFound)
		wantError(t, "accepting a revoked one", p.accept(revoked, ada), models.ErrNotFound)

		expired, _ := p.invitation(org, admin)
		p.now = p.now.Add(7 * 24 * time.Hour)
		wantError(t, "accepting an expired one", p.accept(expired, ada), models.ErrNotFound)
		open, err := p.people.OpenInvitations(t.Context(), org.ID)
		if err != nil || len(open) != 0 {
			t.Errorf("open invitations: %v, %v", open, err)
		}
		wantError(t, "accepting what nobody made", p.accept("x", ada), models.ErrNotFound)
	})
}

func TestAResetLinkWorksOnceAndEndsEverySession(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		start := func(user accounts.User) string {
			t.Helper()
			var token string
			p.must(func(tx *gorm.DB) (err error) {
				token, _, err = accounts.StartSession(t.Context(), tx, user, accounts.Browser{}, []byte("{}"))
				return err
			})
			return token
		}
		link := func() (token string) {
			t.Helper()
			p.must(func(tx *gorm.DB) (err error) {
				token, err = accounts.OperatorPasswordReset(t.Context(), tx, ada.ID)
				return err
			})
			return token
		}
		use := func(token string) error {
			return p.do(func(tx *gorm.DB) error {
				_, err := accounts.ResetPassword(t.Context(), tx, token, "a new hash")
				return err
			})
		}
		laptop, phone, foreign := start(ada), start(ada), start(bob)
		first, second := link(), link()
		wantError(t, "a link that was replaced", use(first), models.ErrNotFound)
		wantError(t, "the link", use(second), nil)
		wantError(t, "the link again", use(second), models.ErrNotFound)
		for _, token := range []string{laptop, phone} {
			_, err := p.people.SignedInBy(t.Context(), token)
			wantError(t, "a session from before", err, models.ErrNotFound)
		}
		if _, err := p.people.SignedInBy(t.Context(), foreign); err != nil {
			t.Errorf("another user's session ended, too: %v", err)
		}
		err := p.do(func(tx *gorm.DB) error {
			_, _, err := accounts.StartSession(t.Context(), tx, ada, accounts.Browser{}, nil)
			return err
		})
		wantError(t, "a session for the password checked before the reset", err, models.ErrNotFound)

		late := link()
		p.now = p.now.Add(24 * time.Hour)
		wantError(t, "an expired link", use(late), models.ErrNotFound)
	})
}

func TestSetupHappensOnce(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		tokens := make([]string, 2) // of two servers
		for i := range tokens {
			p.must(func(tx *gorm.DB) (err error) {
				tokens[i], err = accounts.CreateSetupToken(t.Context(), tx)
				return err
			})
		}
		setUp := func(token, email string) error {
			return p.do(func(tx *gorm.DB) error {
				if err := accounts.UseSetupToken(t.Context(), tx, token); err != nil {
					return err
				}
				_, err := accounts.CreateUser(t.Context(), tx, "First", email, "hash")
				return err
			})
		}
		wantError(t, "a guessed token", setUp("guess", "guess@example.com"), accounts.ErrSetupToken)

		var together sync.WaitGroup
		problems := make([]error, 2)
		for i, token := range tokens {
			together.Go(func() { problems[i] = setUp(token, string(rune('a'+i))+"@example.com") })
		}
		together.Wait()
		if (problems[0] == nil) == (problems[1] == nil) {
			t.Errorf("two setups at once got %v, want one success", problems)
		}
		wantError(t, "the other", errors.Join(problems...), models.ErrNotFound)
		p.must(func(tx *gorm.DB) error {
			token, err := accounts.CreateSetupToken(t.Context(), tx)
			if token != "" {
				t.Error("a token was made although there is a user")
			}
			return err
		})
	})
}
