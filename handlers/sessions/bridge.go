package sessions

import (
	"context"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"
	gorilla "github.com/gorilla/sessions"

	"github.com/auditlogs/auditlogs/models"
)

// Exchange carries one Fiber request to gorilla and its cookies back. gorilla keeps its registry in
// the *http.Request, so there is exactly one of those a request.
type Exchange struct {
	Session *gorilla.Session
	request *http.Request
	rows    *models.Store
	visit   *models.Visit
}

// Open reads the session of a request, and makes the request a visit of whoever is signed in with
// it. ctx goes to the database; never pass c.Context().
func (s *Store) Open(ctx context.Context, c *fiber.Ctx) (*Exchange, error) {
	request := (&http.Request{Header: http.Header{"Cookie": {c.Get(fiber.HeaderCookie)}}}).WithContext(ctx)
	session, err := s.Get(request, s.cookie)
	if err != nil {
		return nil, err
	}
	visiting, visit := models.WithVisit(c.UserContext(), UserID(session), positionOf(session))
	c.SetUserContext(visiting)
	return &Exchange{Session: session, request: request, rows: s.rows, visit: visit}, nil
}

// Close saves the session after the handler and adds its cookies to the answer.
func (e *Exchange) Close(c *fiber.Ctx) error {
	answer := headerWriter{}
	err := errors.Join(e.keepPosition(), gorilla.Save(e.request, answer))
	for _, cookie := range answer.Header().Values(fiber.HeaderSetCookie) {
		c.Response().Header.Add(fiber.HeaderSetCookie, cookie)
	}
	return err
}

// headerWriter is as much of a ResponseWriter as gorilla needs.
type headerWriter http.Header

func (w headerWriter) Header() http.Header       { return http.Header(w) }
func (headerWriter) Write(b []byte) (int, error) { return len(b), nil }
func (headerWriter) WriteHeader(int)             {}
