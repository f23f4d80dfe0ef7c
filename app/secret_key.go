package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// secretKey is the key in force: given, what the operator says, or else that of the file beside a
// SQLite database, which is made where nothing has been encrypted yet. It is empty where a PostgreSQL
// database holds no secrets and the operator gave no key.
//
// Everything that is stored opens with it, or the server does not start. What was encrypted with an
// earlier key is encrypted anew.
func secretKey(ctx context.Context, given, databaseURL string, store *models.Store) (string, error) {
	stored, err := accounts.NewStore(store).GitHubConnections(ctx)
	if err != nil {
		return "", err
	}
	key, name := given, "--secret-key"
	file, onSQLite := database.SQLiteFile(databaseURL)
	switch {
	case key != "":
	case onSQLite:
		name = file + ".key"
		if key, err = keyFile(name, len(stored) == 0); err != nil {
			return "", fmt.Errorf("secret key: %w", err)
		}
	case len(stored) > 0:
		return "", errors.New("--secret-key is required: this database holds secrets that were encrypted with one")
	default:
		return "", nil
	}
	box, err := secrets.New(key)
	if err != nil {
		return "", fmt.Errorf("%s %w", name, err)
	}
	return key, reseal(ctx, name, box, stored, store)
}

// reseal opens every secret with the keys of box, and encrypts anew what an earlier one had sealed.
func reseal(ctx context.Context, name string, box *secrets.Box, stored []accounts.GitHubConnection, store *models.Store) error {
	for _, connection := range stored {
		secret, renew, err := box.Open(connection.SecretPurpose(), connection.Secret)
		if err != nil {
			return fmt.Errorf("%s is not the key with which the secrets in this database were encrypted; to change keys give both, the new one first: --secret-key NEW,OLD", name)
		}
		if !renew {
			continue
		}
		err = store.Transaction(ctx, func(tx *gorm.DB) error {
			return accounts.ResealGitHubSecret(ctx, tx, connection, box.Seal(connection.SecretPurpose(), secret))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keyFile reads the key in the file at path, and makes one first where there is none and mayMake
// says so. Of two servers that start at once, both read the key of the first.
func keyFile(path string, mayMake bool) (string, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !mayMake {
			return "", fmt.Errorf("%s is missing, and the database holds secrets that were encrypted with it: restore it from the backup", path)
		}
		if err = makeKeyFile(path); err == nil {
			key, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(key)), nil
}

// makeKeyFile writes a new key, readable by the server's user only, unless there is a file already.
// The file appears under its name only when it is complete.
func makeKeyFile(path string) (err error) {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }()
	_, err = fmt.Fprintln(draft, secrets.NewKey())
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
