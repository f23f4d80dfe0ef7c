package accounts

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/models"
)

// SignedIn is who asks: a session that has not ended, its user, and what they may read.
type SignedIn struct {
	Session Session
	User    User
	Access  []Access // as AccessOf lists it
}

// One statement, since every page begins with it. There is a row for each organization, and one
// without any for somebody who belongs to none.
const signedInSQL = `
SELECT s.token_hash, s.user_id, s.data, s.created_at, s.seen_at, s.expires_at, s.user_agent, s.ip,
	u.id AS person_id, u.email AS person_email, u.email_key AS person_email_key, u.name AS person_name,
	u.password_hash AS person_password_hash, u.last_org_id AS person_last_org_id, u.created_at AS person_created_at,
	o.id AS org_id, o.slug AS org_slug, o.external_id AS org_external_id, o.name AS org_name,
	o.retention_days AS org_retention_days, o.logging_enabled AS org_logging_enabled, o.expired_before AS org_expired_before,
	o.created_at AS org_created_at, o.closed_at AS org_closed_at,
	o.pending_retention_days AS org_pending_retention_days, o.pending_from AS org_pending_from, m.role, COALESCE(m.default_view, '') AS default_view,
	COALESCE(r.hidden_actions, '') AS hidden_actions, COALESCE(r.metadata_hidden, false) AS metadata_hidden
FROM audit_sessions AS s
JOIN audit_users AS u ON u.id = s.user_id
LEFT JOIN audit_memberships AS m ON m.user_id = u.id
LEFT JOIN audit_organizations AS o ON o.id = m.org_id
LEFT JOIN audit_restrictions AS r ON r.org_id = m.org_id AND r.role = m.role
WHERE s.token_hash = ? AND s.expires_at > ?`

// SignedInBy finds who is signed in with a session's token, or ErrNotFound: for a session that has
// ended, and for one whose user is gone.
func (s *Store) SignedInBy(ctx context.Context, token string) (SignedIn, error) {
	var rows []struct {
		Session      Session             `gorm:"embedded"`
		User         User                `gorm:"embedded;embeddedPrefix:person_"`
		Organization models.Organization `gorm:"embedded;embeddedPrefix:org_"`
		Role         Role
		DefaultView  string
		Restriction  Restriction `gorm:"embedded"`
	}
	now := s.store.Now()
	if err := s.store.Reader(ctx).Raw(signedInSQL, hashToken(token), models.MicrosOf(now)).Scan(&rows).Error; err != nil {
		return SignedIn{}, fmt.Errorf("find who is signed in: %w", err)
	}
	if len(rows) == 0 {
		return SignedIn{}, fmt.Errorf("session: %w", models.ErrNotFound)
	}
	found := SignedIn{Session: rows[0].Session, User: rows[0].User}
	for _, row := range rows {
		if row.Organization.ID != 0 {
			row.Organization.Hidden = row.Restriction.hidden()
			found.Access = append(found.Access, Access{Organization: row.Organization, Role: row.Role, DefaultView: row.DefaultView})
		}
	}
	found.Access = readable(found.Access, now)
	return found, nil
}
