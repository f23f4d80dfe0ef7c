// Package github reads the webhooks of GitHub: whether GitHub signed a delivery, and which event of
// the audit log it tells of.
package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// The signature of a delivery is refused with one of these.
var (
	ErrNoSignature        = errors.New("the header X-Hub-Signature-256 is missing: set the secret of the webhook in GitHub")
	ErrMalformedSignature = errors.New("the header X-Hub-Signature-256 is not sha256= and 64 hexadecimal digits")
	ErrForged             = errors.New("the signature does not fit: the webhook in GitHub has another secret, or its address is not one of a connection any more")
)

// signaturePrefix names how X-Hub-Signature-256 was made.
const signaturePrefix = "sha256="

// CheckSignature returns nil where header, the value of X-Hub-Signature-256, is the HMAC-SHA256 of
// body, as it came over the wire, with secret. It takes the same time for every wrong signature.
func CheckSignature(header string, secret, body []byte) error {
	signature, err := ParseSignature(header)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	if !hmac.Equal(signature, mac.Sum(nil)) {
		return ErrForged
	}
	return nil
}

// ParseSignature reads the value of X-Hub-Signature-256. Errors: ErrNoSignature, ErrMalformedSignature.
func ParseSignature(header string) ([]byte, error) {
	if header == "" {
		return nil, ErrNoSignature
	}
	digits, found := strings.CutPrefix(header, signaturePrefix)
	signature, err := hex.DecodeString(digits)
	if !found || err != nil || len(signature) != sha256.Size {
		return nil, ErrMalformedSignature
	}
	return signature, nil
}

// Sign is the value of X-Hub-Signature-256 for a body, as GitHub makes it.
func Sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return signaturePrefix + hex.EncodeToString(mac.Sum(nil))
}

// IgnoredError means that the log keeps nothing of deliveries of this kind.
type IgnoredError struct {
	Delivery string // such as "push", or "installation.renamed"
}

func (e *IgnoredError) Error() string { return e.Delivery + " deliveries are not recorded" }
