package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// payload is what the log reads of a delivery's body.
type payload struct {
	Action       text          `json:"action"`
	Sender       account       `json:"sender"`
	Organization account       `json:"organization"`
	Repository   repository    `json:"repository"`
	Installation *installation `json:"installation"`
	Requester    account       `json:"requester"` // who asked an owner for the installation

	RepositorySelection text         `json:"repository_selection"`
	Repositories        []repository `json:"repositories"`
	RepositoriesAdded   []repository `json:"repositories_added"`
	RepositoriesRemoved []repository `json:"repositories_removed"`

	Deployment       *deployment       `json:"deployment"`
	DeploymentStatus *deploymentStatus `json:"deployment_status"`
	WorkflowRun      struct {
		HTMLURL text `json:"html_url"`
	} `json:"workflow_run"`
}

type account struct {
	Login text `json:"login"`
	Type  text `json:"type"`
}

type repository struct {
	FullName text `json:"full_name"`
	HTMLURL  text `json:"html_url"`
}

type installation struct {
	ID                  int64           `json:"id"`
	Account             account         `json:"account"`
	AppID               int64           `json:"app_id"`
	AppSlug             text            `json:"app_slug"`
	HTMLURL             text            `json:"html_url"`
	RepositorySelection text            `json:"repository_selection"`
	Permissions         map[string]text `json:"permissions"`
	CreatedAt           moment          `json:"created_at"`
	SuspendedAt         moment          `json:"suspended_at"`
}

type deployment struct {
	ID          int64   `json:"id"`
	SHA         text    `json:"sha"`
	Ref         text    `json:"ref"`
	Task        text    `json:"task"`
	Environment text    `json:"environment"`
	Description text    `json:"description"`
	Creator     account `json:"creator"`
	CreatedAt   moment  `json:"created_at"`
}

type deploymentStatus struct {
	State          text    `json:"state"`
	Description    text    `json:"description"`
	Environment    text    `json:"environment"`
	EnvironmentURL text    `json:"environment_url"`
	LogURL         text    `json:"log_url"`
	TargetURL      text    `json:"target_url"` // the older name of log_url
	Creator        account `json:"creator"`
	CreatedAt      moment  `json:"created_at"`
}

// parsePayload reads a body; its error is a *fault.Field.
func parsePayload(body []byte) (payload, error) {
	var p payload
	err := json.Unmarshal(body, &p)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return p, fault.Newf(mistyped.Field, fault.Malformed, "is of type %s", mistyped.Value)
	case err != nil:
		return p, fault.Newf("body", fault.Malformed, "is not a JSON object: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return p, nil
}

// maxText is more than GitHub puts into any of the fields above.
const maxText = 2048

// text is a string of a payload, cut at maxText bytes.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*t = text(cut(s, maxText))
	return nil
}

// moment is a time as GitHub writes it: RFC 3339, or seconds since 1970. Anything else is zero: the
// event is worth more than the time in it.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(raw []byte) error {
	var seconds int64
	if err := json.Unmarshal(raw, &seconds); err == nil && !bytes.Equal(raw, []byte("null")) {
		m.Time = time.Unix(seconds, 0).UTC()
		return nil
	}
	var written string
	if err := json.Unmarshal(raw, &written); err == nil {
		if at, err := time.Parse(time.RFC3339, written); err == nil {
			m.Time = at.UTC()
		}
	}
	return nil
}

// cut is s, without its end where it is longer than limit bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
