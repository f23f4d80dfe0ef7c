package accountstest

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// sealAs is an encryption that tests can read.
func sealAs(secret string) func(purpose string) []byte {
	return func(purpose string) []byte { return []byte(purpose + " " + secret) }
}

func (p *town) connectGitHub(org models.Organization) (connection accounts.GitHubConnection, err error) {
	err = p.do(func(tx *gorm.DB) (err error) {
		connection, err = accounts.ConnectGitHub(p.t.Context(), tx, org.ID, "usr_1", sealAs("hush"))
		return err
	})
	return connection, err
}

func TestAConnectionToGitHub(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme, other := p.organization("acme"), p.organization("other")
		connection, err := p.connectGitHub(acme)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^ghc_[a-z2-7]{26}$`).MatchString(connection.ID) || string(connection.Secret) != connection.SecretPurpose()+" hush" {
			t.Errorf("connected: %+v", connection)
		}
		if _, err := p.connectGitHub(acme); !errors.Is(err, models.ErrTaken) {
			t.Errorf("connecting twice: %v", err)
		}
		found, org, err := p.people.GitHubConnectionByID(t.Context(), connection.ID)
		if err != nil || org.ID != acme.ID || found.SecretSince != models.MicrosOf(p.now) {
			t.Errorf("found %+v of %s: %v", found, org.Slug, err)
		}

		p.now = p.now.Add(time.Hour)
		p.must(func(tx *gorm.DB) error {
			return accounts.NoteGitHubDelivery(t.Context(), tx, connection.ID, "ping")
		})
		found, err = p.people.GitHubConnection(t.Context(), acme.ID)
		if err != nil || found.LastDelivery != "ping" || found.LastDeliveryAt != models.MicrosOf(p.now) || found.SecretSince != connection.SecretSince {
			t.Errorf("after a delivery: %+v, %v", found, err)
		}
		p.must(func(tx *gorm.DB) (err error) {
			_, err = accounts.ReplaceGitHubSecret(t.Context(), tx, acme.ID, sealAs("another"))
			return err
		})
		// What was read before the secret changed is not written back.
		p.must(func(tx *gorm.DB) error {
			return accounts.ResealGitHubSecret(t.Context(), tx, found, []byte("the secret before"))
		})
		found, err = p.people.GitHubConnection(t.Context(), acme.ID)
		if err != nil || string(found.Secret) != found.SecretPurpose()+" another" || found.SecretSince != models.MicrosOf(p.now) || found.LastDelivery != "ping" {
			t.Errorf("with another secret: %+v, %v", found, err)
		}

		disconnect := func(org models.Organization) error {
			return p.do(func(tx *gorm.DB) error {
				_, err := accounts.DisconnectGitHub(t.Context(), tx, org.ID)
				return err
			})
		}
		if err := disconnect(other); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("disconnecting what is not connected: %v", err)
		}
		if err := disconnect(acme); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.people.GitHubConnectionByID(t.Context(), connection.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("found after disconnecting: %v", err)
		}
	})
}

func TestADeliverysIDIsRememberedFor30Days(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		acme, other := p.organization("acme"), p.organization("other")
		connections := map[string]accounts.GitHubConnection{}
		for _, org := range []models.Organization{acme, other} {
			connection, err := p.connectGitHub(org)
			if err != nil {
				t.Fatal(err)
			}
			connections[org.Slug] = connection
		}
		claim := func(org models.Organization, id string) (delivery accounts.GitHubDelivery, first bool) {
			t.Helper()
			p.must(func(tx *gorm.DB) (err error) {
				if delivery, first, err = accounts.ClaimGitHubDelivery(t.Context(), tx, connections[org.Slug], id, []byte("body of "+id)); err != nil || !first {
					return err
				}
				return accounts.SettleGitHubDelivery(t.Context(), tx, delivery, "entry of "+id)
			})
			return delivery, first
		}
		if _, first := claim(acme, "d-1"); !first {
			t.Error("the first delivery is not the first")
		}
		for _, org := range []models.Organization{acme, other} {
			if _, first := claim(org, "d-2"); !first {
				t.Errorf("a delivery to %s is mistaken for another", org.Slug)
			}
		}
		p.now = p.now.Add(accounts.GitHubDeliveryKeptFor)
		if delivery, first := claim(acme, "d-1"); first || delivery.EntryID != "entry of d-1" {
			t.Errorf("after 30 days: first %v, %+v", first, delivery)
		}
		p.now = p.now.Add(time.Microsecond)
		if _, first := claim(acme, "d-1"); !first {
			t.Error("it is remembered for ever")
		}
		var left int64
		if err := p.Reader(t.Context()).Model(&accounts.GitHubDelivery{}).Where("org_id = ?", acme.ID).Count(&left).Error; err != nil || left != 1 {
			t.Errorf("%d deliveries are kept, want the last alone: %v", left, err)
		}

		err := p.do(func(tx *gorm.DB) error {
			if _, err := accounts.DisconnectGitHub(t.Context(), tx, acme.ID); err != nil {
				return err
			}
			_, _, err := accounts.ClaimGitHubDelivery(t.Context(), tx, connections["acme"], "d-3", nil)
			return err
		})
		if !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a delivery over a connection that has ended: %v", err)
		}
	})
}
