package accounts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Deadlines of a session: it ends when nobody used it for SessionIdle, and SessionLifetime after it
// was started in any case.
const (
	SessionIdle     = 7 * 24 * time.Hour
	SessionLifetime = 30 * 24 * time.Hour
)

// maxListedSessions is how many of somebody's sessions are listed at most.
const maxListedSessions = 100

// Session is somebody signed in with one browser.
type Session struct {
	TokenHash TokenHash
	UserID    string
	Data      []byte // what the session keeps, encoded by whoever keeps it
	CreatedAt models.Micros
	SeenAt    models.Micros
	ExpiresAt models.Micros // the nearer of the two deadlines
	Browser   `gorm:"embedded"`
}

// Browser is what a session is used with, and from where, as of when it was last seen.
type Browser struct {
	UserAgent string
	IP        string
}

func (Session) TableName() string { return "audit_sessions" }

// ID names the session without giving its cookie away.
func (s Session) ID() string { return "ses_" + hex.EncodeToString(s.TokenHash) }

// StartSession makes a session for a user and returns its token, which is not stored. It is the
// only way a session comes to be.
//
// ErrNotFound means that the user is gone, or their password is not user's any more: it was reset
// between the moment it was checked and now, and the reset ends every session.
func StartSession(ctx context.Context, tx *gorm.DB, user User, with Browser, data []byte) (token string, session Session, err error) {
	now := models.TransactionNow(tx)
	var current User
	err = tx.WithContext(ctx).Clauses(clause.Locking{Strength: "UPDATE"}).
		Where("id = ? AND password_hash = ?", user.ID, user.PasswordHash).Take(&current).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return "", session, fmt.Errorf("start a session for %s: %w", user.ID, models.ErrNotFound)
	}
	if err != nil {
		return "", session, fmt.Errorf("start a session for %s: %w", user.ID, err)
	}
	token, hash := newToken()
	session = Session{
		TokenHash: hash, UserID: user.ID, Data: data,
		CreatedAt: models.MicrosOf(now), SeenAt: models.MicrosOf(now), ExpiresAt: models.MicrosOf(now.Add(SessionIdle)),
		Browser: with,
	}
	if err := tx.WithContext(ctx).Create(&session).Error; err != nil {
		return "", session, fmt.Errorf("start a session for %s: %w", user.ID, err)
	}
	return token, session, nil
}

// SaveSession stores what a live session keeps, nil for what it kept before, and that it was seen: with
// which browser, and when, which puts off its idle deadline. It never brings a session back: one that ended meanwhile stays ended, and the answer is
// ErrNotFound.
func SaveSession(ctx context.Context, tx *gorm.DB, session Session, with Browser, data []byte) error {
	now := models.TransactionNow(tx)
	expires := min(models.MicrosOf(now.Add(SessionIdle)), models.MicrosOf(session.CreatedAt.Time().Add(SessionLifetime)))
	values := map[string]any{"seen_at": models.MicrosOf(now), "expires_at": expires, "user_agent": with.UserAgent, "ip": with.IP}
	if data != nil {
		values["data"] = data
	}
	saved := tx.WithContext(ctx).Model(&Session{}).
		Where("token_hash = ? AND expires_at > ?", session.TokenHash, models.MicrosOf(now)).
		Updates(values)
	if saved.Error != nil {
		return fmt.Errorf("save session: %w", saved.Error)
	}
	if saved.RowsAffected == 0 {
		return fmt.Errorf("save session: %w", models.ErrNotFound)
	}
	return nil
}

// ClearExpiredSessions deletes the rows of sessions past their deadline. It is housekeeping: they
// have ended without it.
func (s *Store) ClearExpiredSessions(ctx context.Context) error {
	if err := s.store.Writer(ctx).Where("expires_at <= ?", models.MicrosOf(s.store.Now())).Delete(&Session{}).Error; err != nil {
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

// SessionsOf lists the sessions of a user that have not ended, the one used last first, a hundred at
// most.
func (s *Store) SessionsOf(ctx context.Context, userID string) ([]Session, error) {
	var sessions []Session
	err := s.store.Reader(ctx).Where("user_id = ? AND expires_at > ?", userID, models.MicrosOf(s.store.Now())).
		Order("seen_at DESC, created_at DESC, token_hash").Limit(maxListedSessions).Find(&sessions).Error
	if err != nil {
		return nil, fmt.Errorf("list the sessions of %s: %w", userID, err)
	}
	return sessions, nil
}

// EndSessionOf ends one of a user's sessions, named by Session.ID, and returns it. ErrNotFound means
// that they have no such session, or that it has ended already.
func EndSessionOf(ctx context.Context, tx *gorm.DB, userID, id string) (Session, error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(id, "ses_"))
	if err != nil {
		return Session{}, fmt.Errorf("session %q: %w", id, models.ErrNotFound)
	}
	ended, err := endSessions(ctx, tx, userID, "token_hash = ?", TokenHash(hash))
	if err != nil {
		return Session{}, err
	}
	if len(ended) == 0 {
		return Session{}, fmt.Errorf("session %q: %w", id, models.ErrNotFound)
	}
	return ended[0], nil
}

// EndOtherSessions ends every session of a user but keep, and returns how many those were.
func EndOtherSessions(ctx context.Context, tx *gorm.DB, keep Session) (int, error) {
	ended, err := endSessions(ctx, tx, keep.UserID, "token_hash <> ?", keep.TokenHash)
	return len(ended), err
}

// endSessions ends those sessions of a user that a condition says, and returns those that had not
// ended by themselves.
func endSessions(ctx context.Context, tx *gorm.DB, userID, condition string, value TokenHash) (ended []Session, err error) {
	err = tx.WithContext(ctx).Clauses(clause.Returning{}).
		Where("user_id = ?", userID).Where(condition, value).Delete(&ended).Error
	if err != nil {
		return nil, fmt.Errorf("end sessions of %s: %w", userID, err)
	}
	now := models.MicrosOf(models.TransactionNow(tx))
	return slices.DeleteFunc(ended, func(s Session) bool { return s.ExpiresAt <= now }), nil
}

// EndSessions ends every session of a user, in all browsers.
func EndSessions(ctx context.Context, tx *gorm.DB, userID string) error {
	if err := tx.WithContext(ctx).Where("user_id = ?", userID).Delete(&Session{}).Error; err != nil {
		return fmt.Errorf("end the sessions of %s: %w", userID, err)
	}
	return nil
}
