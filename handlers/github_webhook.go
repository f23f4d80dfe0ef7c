package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/github"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// MaxDelivery is the largest delivery of GitHub that is read, in bytes.
const MaxDelivery = 5 << 20

// received is the answer to a delivery: GitHub shows it, and why one was refused, to the people who set
// the webhook up.
type received struct {
	Message  string `json:"message"`
	EntryID  string `json:"entry_id,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
}

// GitHubWebhook handles POST /webhooks/github/:connection: what GitHub delivers. Nothing is believed
// before its signature has been checked, and an address without a connection is refused like a wrong
// signature. What is refused leaves the log as it was.
func (h *Handlers) GitHubWebhook(c *fiber.Ctx) error {
	delivery, err := h.checkDelivery(c)
	if err != nil {
		return err
	}
	return h.refused(ByGitHub, h.receiveDelivery(c, delivery))
}

// receiveDelivery takes what GitHub has signed.
func (h *Handlers) receiveDelivery(c *fiber.Ctx, delivery signedDelivery) error {
	if err := delivery.read(c); err != nil {
		return err
	}
	c.Locals(callerKey, apiCaller{org: delivery.organization})
	event, err := delivery.AuditEvent()
	var ignored *github.IgnoredError
	var lacks *fault.Field
	switch {
	case errors.As(err, &ignored):
		return h.ignoreDelivery(c, delivery, ignored)
	case errors.As(err, &lacks):
		return newProblem(badRequest, "The delivery cannot be read: "+lacks.Error()+".")
	case err != nil:
		return err
	}
	event.Organization = delivery.organization.Slug
	event.OccurredAt = believable(event.OccurredAt, delivery.organization, h.Store.Now())
	return h.recordDelivery(c, delivery, event)
}

// signedDelivery is a delivery whose signature is right.
type signedDelivery struct {
	github.Delivery
	connection   accounts.GitHubConnection
	organization models.Organization
	signed       []byte // the body as it came
}

// connectionIDGrammar is what accounts.ConnectGitHub makes.
var connectionIDGrammar = regexp.MustCompile(`^ghc_[a-z2-7]{26}$`)

// deliveryGrammar is what GitHub calls deliveries and events.
var deliveryGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// checkDelivery finds out whether GitHub signed a delivery.
func (h *Handlers) checkDelivery(c *fiber.Ctx) (d signedDelivery, err error) {
	if _, err := github.ParseSignature(c.Get("X-Hub-Signature-256")); err != nil {
		return d, newProblem(unauthorized, sentence(err)) // and nothing of the body is read
	}
	secret, err := h.findConnection(c, &d)
	if err != nil {
		return d, err
	}
	// As it came over the wire: that is what GitHub has signed.
	raw, err := h.readDelivery(c, d.connection.ID, hmac.New(sha256.New, secret))
	if err != nil {
		return d, err
	}
	d.signed = raw
	if err := github.CheckSignature(c.Get("X-Hub-Signature-256"), secret, raw); err != nil {
		return d, newProblem(unauthorized, sentence(err))
	}
	return d, nil
}

// read takes apart what was signed.
func (d *signedDelivery) read(c *fiber.Ctx) (err error) {
	d.ID, d.Event = c.Get("X-GitHub-Delivery"), c.Get("X-GitHub-Event")
	for _, name := range []string{"X-GitHub-Delivery", "X-GitHub-Event"} {
		if !deliveryGrammar.MatchString(c.Get(name)) {
			return newProblem(badRequest, "The header "+name+" is missing, or not at most 100 letters, digits, - and _.")
		}
	}
	d.Body, err = bodyOf(c.Get(fiber.HeaderContentType), d.signed)
	return err
}

// findConnection finds the connection the address names, and its secret: one that nothing is signed
// with where there is none, so that nobody can try out which addresses are in use.
func (h *Handlers) findConnection(c *fiber.Ctx, d *signedDelivery) (secret []byte, err error) {
	id := c.Params("connection")
	if !connectionIDGrammar.MatchString(id) {
		return []byte(accounts.NewGitHubSecret()), nil
	}
	d.connection, d.organization, err = h.Accounts.GitHubConnectionByID(contextOf(c), id)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return []byte(accounts.NewGitHubSecret()), nil
	case err != nil:
		return nil, err
	case h.Secrets == nil:
		return nil, newProblem(internal, "The server has no secret key, so no delivery of GitHub can be checked. The operator starts it with --secret-key or AUDITLOGS_SECRET_KEY.")
	}
	if secret, _, err = h.Secrets.Open(d.connection.SecretPurpose(), d.connection.Secret); err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", id, err)
	}
	return secret, nil
}

// bodyOf is the JSON of a delivery: GitHub sends it as such, or as the field "payload" of a form.
func bodyOf(contentType string, raw []byte) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && kind == fiber.MIMEApplicationJSON:
		return raw, nil
	case err == nil && kind == fiber.MIMEApplicationForm:
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return nil, newProblem(badRequest, "The form cannot be read.")
		}
		return []byte(form.Get("payload")), nil
	default:
		return nil, newProblem(unsupportedMedia, "The content type of the webhook must be application/json or application/x-www-form-urlencoded.")
	}
}

// believable is when something happened as GitHub says, or zero, which means now, where that lies
// ahead or is older than what the organization keeps: its entry would never be seen.
func believable(at time.Time, org models.Organization, now time.Time) time.Time {
	if at.IsZero() || at.After(now.Add(event.MaxAhead)) || models.MicrosOf(at) < org.KeptSince(now) {
		return time.Time{}
	}
	return at
}

// recordDelivery stores the event of a delivery, unless that was done before.
func (h *Handlers) recordDelivery(c *fiber.Ctx, d signedDelivery, e audit.Event) error {
	var answer received
	err := h.Store.Transaction(contextOf(c), func(tx *gorm.DB) error {
		ctx := contextOf(c)
		claimed, first, err := accounts.ClaimGitHubDelivery(ctx, tx, d.connection, d.ID, d.signed)
		if err != nil {
			return err
		}
		if !first {
			answer = received{Message: "Already received: nothing was stored.", EntryID: claimed.EntryID, Repeated: true}
			return nil
		}
		receipt, err := audit.Record(ctx, tx, e)
		if err != nil {
			return err
		}
		answer = received{Message: "Recorded as " + string(e.Action) + ".", EntryID: receipt.EntryID}
		if !receipt.Stored {
			answer.Message = "Audit logging is off for this organization: nothing was stored."
		} else if err := accounts.SettleGitHubDelivery(ctx, tx, claimed, receipt.EntryID); err != nil {
			return err
		}
		return accounts.NoteGitHubDelivery(ctx, tx, d.connection.ID, d.Event)
	})
	var invalid *fault.Field
	switch {
	case errors.Is(err, models.ErrClosed), errors.Is(err, models.ErrNotFound): // ended just now
		return newProblem(unauthorized, sentence(github.ErrForged))
	case errors.As(err, &invalid):
		return newProblem(badRequest, "The delivery cannot be recorded: "+invalid.Error()+".")
	case err != nil:
		return fmt.Errorf("record delivery %s: %w", d.ID, err)
	}
	if answer.EntryID != "" && !answer.Repeated {
		h.recorded(ByGitHub, 1)
	}
	return sendJSON(c, fiber.StatusOK, fiber.MIMEApplicationJSON, answer)
}

// ignoreDelivery answers a delivery of which nothing is kept but that it came: 200 to GitHub's trial
// of a new webhook, 202 to others.
func (h *Handlers) ignoreDelivery(c *fiber.Ctx, d signedDelivery, ignored *github.IgnoredError) error {
	ctx := contextOf(c)
	what := ignored.Delivery + " (not recorded)"
	status, answer := fiber.StatusAccepted, received{Message: sentence(ignored)}
	if d.Event == "ping" {
		if !json.Valid(d.Body) {
			return newProblem(badRequest, "The delivery cannot be read: body: is not JSON.")
		}
		what, status, answer = d.Event, fiber.StatusOK, received{Message: "Connected to " + d.organization.Name + "."}
	}
	if err := accounts.NoteGitHubDelivery(ctx, h.Store.Writer(ctx), d.connection.ID, what); err != nil {
		return err
	}
	return sendJSON(c, status, fiber.MIMEApplicationJSON, answer)
}

// sentence is an error as a sentence.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
