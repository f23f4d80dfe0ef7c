package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Deadlines of a session: it ends when nobody used it for SessionIdle, and SessionLifetime after it
// was started in any case.
const (
	SessionIdle     = 7 * 24 * time.Hour
	SessionLifetime = 30 * 24 * time.Hour
)

// Session is somebody signed in with one browser.
type Session struct {
	TokenHash TokenHash
	UserID    string
	Data      []byte // what the session keeps, encoded by whoever keeps it
	CreatedAt Micros
	SeenAt    Micros
	ExpiresAt Micros // the nearer of the two deadlines
}

func (Session) TableName() string { return "audit_sessions" }

// StartSession makes a session for a user and answers its token, which is not stored. It is the
// only way a session comes to be.
//
// ErrNotFound says that the user is gone, or their password is not user's any more: it was reset
// between the moment it was checked and now, and the reset ends every session.
func StartSession(ctx context.Context, tx *gorm.DB, user User, data []byte) (token string, session Session, err error) {
	now := TransactionNow(tx)
	var current User
	err = tx.WithContext(ctx).Clauses(clause.Locking{Strength: "UPDATE"}).
		Where("id = ? AND password_hash = ?", user.ID, user.PasswordHash).Take(&current).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return "", session, fmt.Errorf("start a session for %s: %w", user.ID, ErrNotFound)
	}
	if err != nil {
		return "", session, fmt.Errorf("start a session for %s: %w", user.ID, err)
	}
	token, hash := newToken()
	session = Session{
		TokenHash: hash, UserID: user.ID, Data: data,
		CreatedAt: MicrosOf(now), SeenAt: MicrosOf(now), ExpiresAt: MicrosOf(now.Add(SessionIdle)),
	}
	if err := tx.WithContext(ctx).Create(&session).Error; err != nil {
		return "", session, fmt.Errorf("start a session for %s: %w", user.ID, err)
	}
	return token, session, nil
}

// SaveSession stores what a live session keeps, nil for what it kept before, and puts off its idle
// deadline. It never brings a session back: one that ended meanwhile stays ended, and the answer is
// ErrNotFound.
func SaveSession(ctx context.Context, tx *gorm.DB, session Session, data []byte) error {
	now := TransactionNow(tx)
	expires := min(MicrosOf(now.Add(SessionIdle)), MicrosOf(session.CreatedAt.Time().Add(SessionLifetime)))
	values := map[string]any{"seen_at": MicrosOf(now), "expires_at": expires}
	if data != nil {
		values["data"] = data
	}
	saved := tx.WithContext(ctx).Model(&Session{}).
		Where("token_hash = ? AND expires_at > ?", session.TokenHash, MicrosOf(now)).
		Updates(values)
	if saved.Error != nil {
		return fmt.Errorf("save session: %w", saved.Error)
	}
	if saved.RowsAffected == 0 {
		return fmt.Errorf("save session: %w", ErrNotFound)
	}
	return nil
}

// ClearExpiredSessions deletes the rows of sessions past their deadline. It is housekeeping: they
// have ended without it.
func (s *Store) ClearExpiredSessions(ctx context.Context) error {
	if err := s.Writer(ctx).Where("expires_at <= ?", MicrosOf(s.Now())).Delete(&Session{}).Error; err != nil {
		return fmt.Errorf("clear expired sessions: %w", err)
	}
	return nil
}

// EndSession ends one session; one that has ended already is fine.
func EndSession(ctx context.Context, tx *gorm.DB, token string) error {
	if err := tx.WithContext(ctx).Where("token_hash = ?", hashToken(token)).Delete(&Session{}).Error; err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndSessions ends every session of a user, in all browsers.
func EndSessions(ctx context.Context, tx *gorm.DB, userID string) error {
	if err := tx.WithContext(ctx).Where("user_id = ?", userID).Delete(&Session{}).Error; err != nil {
		return fmt.Errorf("end the sessions of %s: %w", userID, err)
	}
	return nil
}
