package accounts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// TokenHash is what is stored of a secret token: its SHA-256. The token itself is known only to
// whoever was given it; whoever reads the database cannot use what is there.
type TokenHash []byte

// newToken makes 32 random bytes as 43 letters, digits, '-' and '_', and what to store of them.
func newToken() (token string, hash TokenHash) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails since Go 1.24
	token = base64.RawURLEncoding.EncodeToString(random[:])
	return token, hashToken(token)
}

func hashToken(token string) TokenHash {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
