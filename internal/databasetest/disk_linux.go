package databasetest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Disk is a small disk of the test's own, in memory, which can be full.
type Disk struct {
	Folder string // on the disk; anybody may write to it

	t testing.TB
}

// NewDisk makes a disk of that many bytes; it is removed when the test ends. Mounting takes root.
func NewDisk(t testing.TB, size int) *Disk {
	t.Helper()
	folder, err := os.MkdirTemp("", "auditlogs-disk") // not t.TempDir, which only the user who runs the test may enter
	if err == nil {
		err = os.Chmod(folder, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=0777,size="+strconv.Itoa(size)); err != nil {
		_ = os.Remove(folder)
		t.Fatalf("this test fills a disk of its own, which only root can mount: run it as root, as continuous integration does: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(folder, syscall.MNT_DETACH), os.Remove(folder)); err != nil {
			t.Error(err)
		}
	})
	return &Disk{Folder: folder, t: t}
}

// Fill leaves no room on the disk.
func (d *Disk) Fill() {
	d.t.Helper()
	file, err := os.Create(d.filler())
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("fill the disk: %v", err)
	}
}

// Free takes away again what filled the disk.
func (d *Disk) Free() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *Disk) filler() string { return filepath.Join(d.Folder, "filler") }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
