package sessions

import (
	"strconv"

	gorilla "github.com/gorilla/sessions"

	"github.com/auditlogs/auditlogs/models"
)

// positionKey is where a session keeps how far the database had come when somebody signed in with
// it changed something last: on whichever server they read next, they see that change.
const positionKey = "log_position"

func positionOf(session *gorilla.Session) models.Position {
	text, _ := session.Values[positionKey].(string)
	position, _ := strconv.ParseInt(text, 10, 64) // zero where there is none
	return models.Position(position)
}

// keepPosition puts the position after the changes of this request into its session.
func (e *Exchange) keepPosition() error {
	if !e.visit.Wrote() || e.Session.ID == "" || e.Session.Options.MaxAge < 0 {
		return nil
	}
	position, err := e.rows.Position(e.request.Context())
	if err == nil && position > 0 {
		e.Session.Values[positionKey] = strconv.FormatInt(int64(position), 10)
	}
	return err
}
