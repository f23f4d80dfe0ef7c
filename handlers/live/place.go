package live

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/models/following"
)

// old is the age at which a place is too old to come back with: what lies behind it may be much, of all organizations.
const old = 2 * time.Minute

// purpose is what places are sealed for: they name transactions, and entries, of all organizations.
func purpose(orgID int64) string { return fmt.Sprint("live:", orgID) }

// sealed is a place as those who watch an organization keep it.
func (s *Server) sealed(box *secrets.Box, orgID int64, place following.Place) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(s.log.Now().UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(box.Seal(purpose(orgID), append(plain, place...)))
}

// opened is the place that a text is, of any server; nil where it is none or too old.
func (s *Server) opened(box *secrets.Box, orgID int64, text string) *following.Place {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	plain, _, err := box.Open(purpose(orgID), sealed)
	if err != nil || len(plain) < 8 {
		return nil
	}
	if s.log.Now().Sub(time.UnixMicro(int64(binary.BigEndian.Uint64(plain)))) > old {
		return nil
	}
	place := following.Place(plain[8:])
	return &place
}
