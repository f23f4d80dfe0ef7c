// Package secrets encrypts what the server must be able to read again, such as the secret that a
// webhook is signed with. Whoever reads the database without the key of the server learns nothing.
package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
)

// keySize is that of AES-256.
const keySize = 32

// version begins everything that is sealed: another way of sealing will begin with another byte.
const version = 1

var (
	// ErrKey means that a text holds no keys. It never quotes the text.
	ErrKey = errors.New("is not the base64 of 32 bytes; make a key with: openssl rand -base64 32")
	// ErrSealed means that none of the keys opens what is sealed, or that it was sealed for something
	// else or changed since.
	ErrSealed = errors.New("cannot be decrypted with the secret key")
)

// Box seals with one key, and opens what was sealed with that or an earlier one. It may be used by
// several goroutines.
type Box struct {
	ciphers []cipher.AEAD // the first seals
}

// NewKey makes a key, as New reads it.
func NewKey() string {
	var key [keySize]byte
	_, _ = rand.Read(key[:]) // crypto/rand.Read never fails since Go 1.24
	return base64.StdEncoding.EncodeToString(key[:])
}

// New makes a box of keys, each the base64 of 32 bytes, with commas between them: the first one
// seals, all of them open. Its error is ErrKey.
func New(keys string) (*Box, error) {
	box := &Box{}
	for text := range strings.SplitSeq(keys, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != keySize {
			return nil, ErrKey
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		box.ciphers = append(box.ciphers, gcm)
	}
	return box, nil
}

// Seal encrypts plain with AES-256-GCM. purpose says what it is for, such as "github-webhook:" and
// the ID of the row that holds it: it opens for that alone, so what is sealed cannot be moved to
// another row.
func (b *Box) Seal(purpose string, plain []byte) []byte {
	return b.ciphers[0].Seal([]byte{version}, nil, plain, associated(purpose))
}

// Open decrypts what Seal made for the same purpose, or returns ErrSealed. renew reports whether it was
// sealed with an earlier key and had better be sealed again.
func (b *Box) Open(purpose string, sealed []byte) (plain []byte, renew bool, err error) {
	if len(sealed) == 0 || sealed[0] != version {
		return nil, false, ErrSealed
	}
	for i, gcm := range b.ciphers {
		if plain, err := gcm.Open(nil, nil, sealed[1:], associated(purpose)); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, ErrSealed
}

func associated(purpose string) []byte { return append([]byte{version}, purpose...) }
