package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// The account that reads the log.
const (
	readerEmail    = "reader@example.com"
	readerPassword = "correct horse battery"
)

// admit makes the account, with access to the large organization, in a copy of a log, and lets nothing
// expire while it is measured.
func admit(ctx context.Context, address string) (err error) {
	db, err := database.Open(ctx, address, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := db.Store(nil)
	if err != nil {
		return err
	}
	org, err := models.OrganizationByRef(ctx, store.Reader(ctx), models.OrganizationRef{Slug: benchdata.Large})
	if err != nil {
		return err
	}
	hash, err := passwords.HashAny(ctx, readerPassword)
	if err != nil {
		return err
	}
	return store.Transaction(ctx, func(tx *gorm.DB) error {
		user, err := accounts.CreateUser(ctx, tx, "Rita Reader", readerEmail, hash)
		if err != nil {
			return err
		}
		if err := accounts.AddMember(ctx, tx, org.ID, user.ID, accounts.RoleAdmin); err != nil {
			return err
		}
		return tx.Exec("UPDATE audit_organizations SET retention_days = ?", models.MaxRetentionDays).Error
	})
}

// client asks one request at a time and follows no redirects.
var client = &http.Client{
	Timeout:       time.Minute,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// signIn returns the cookies that signing in gives, as a header sends them.
func signIn(ctx context.Context, server string) (cookie string, err error) {
	form := url.Values{"email": {readerEmail}, "password": {readerPassword}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) == 0 {
		return "", fmt.Errorf("sign in: %s", answer.Status)
	}
	var cookies []string
	for _, c := range answer.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return strings.Join(cookies, "; "), nil
}

// fetch asks for a target and keeps the bytes of the answer in a file.
func fetch(ctx context.Context, target vegeta.Target, file string) ([]byte, error) {
	request, err := target.Request()
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Encoding") != "br" {
		return nil, fmt.Errorf("%s: %s", target.URL, answer.Status)
	}
	return content, os.WriteFile(file, content, 0o600)
}

// freeAddress is one that nobody listens on now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// firstAnswer returns as soon as an address answers 200.
func firstAnswer(ctx context.Context, address string) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
