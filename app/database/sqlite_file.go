package database

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// sqliteFile is the file of a SQLite database, open beside SQLite's own connections to it. A process that
// closes a file loses every lock it has on it, SQLite's included: so all who open a database in this
// process share one, and the last of them closes it, after their connections.
type sqliteFile struct {
	*os.File
	info  os.FileInfo // which file it is, whatever it is called by now
	users int
}

// sqliteFiles are those that are open.
var sqliteFiles struct {
	sync.Mutex
	open []*sqliteFile
}

// openSQLiteFile makes the file and its folder where there are none, readable by the server's user only.
// closeFile may be called again.
func openSQLiteFile(path string) (file *sqliteFile, closeFile func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	sqliteFiles.Lock()
	defer sqliteFiles.Unlock()
	if there, err := os.Stat(path); err == nil {
		for _, opened := range sqliteFiles.open {
			if os.SameFile(there, opened.info) {
				file = opened
			}
		}
	}
	if file == nil {
		opened, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, nil, err
		}
		info, err := opened.Stat()
		if err != nil {
			return nil, nil, errors.Join(err, opened.Close())
		}
		file = &sqliteFile{File: opened, info: info}
		sqliteFiles.open = append(sqliteFiles.open, file)
	}
	file.users++
	return file, sync.OnceValue(file.leave), nil
}

func (f *sqliteFile) leave() error {
	sqliteFiles.Lock()
	defer sqliteFiles.Unlock()
	if f.users--; f.users > 0 {
		return nil
	}
	sqliteFiles.open = slices.DeleteFunc(sqliteFiles.open, func(other *sqliteFile) bool { return other == f })
	return f.Close()
}
