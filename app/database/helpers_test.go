package database_test

import (
	"bytes"
	"net/url"
	"strings"
	"sync"
)

func replacePath(address, path string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	parsed.Path = path
	return parsed.String()
}

func replaceUser(address, user string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	name, password, _ := strings.Cut(user, ":")
	parsed.User = url.UserPassword(name, password)
	return parsed.String()
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// safeBuffer is a buffer that several goroutines may use.
type safeBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
