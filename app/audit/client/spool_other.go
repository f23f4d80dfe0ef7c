//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package client

import (
	"errors"
	"fmt"
	"io"
)

const dirsCanSync = false

// lockFile fails: a spool that two processes could use would lose events.
func lockFile(string) (io.Closer, error) {
	return nil, fmt.Errorf("needs a system with file locks: %w", errors.ErrUnsupported)
}
