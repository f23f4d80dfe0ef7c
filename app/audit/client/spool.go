package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Errors of a spool.
var (
	// ErrSpoolFull reports that the spool has reached its size: the event was not recorded.
	ErrSpoolFull = errors.New("audit: the spool is full")
	// ErrSpoolInUse reports that another Client uses the directory.
	ErrSpoolInUse = errors.New("audit: the spool is used by another client")
)

// spool is a directory of segments: files of events, each as many as one request takes. A segment is
// written by one process, which never touches those it found; it is sent whole, and removed when
// every event of it is recorded or among the refused. So there is no position to remember, and what
// a crash leaves half written was never promised to anyone: at most the last line of a segment.
//
//	lock                       held by the client that uses the directory
//	events-0000000001.spool    a segment
//	events-0000000002.damaged  a segment, sent, with lines that could not be read
//	refused.ndjson             events the server refused, and why
//
// Other files are left alone.
type spool struct {
	dir   string
	max   int64
	log   *slog.Logger
	lock  io.Closer
	bytes atomic.Int64  // of all segments and the refused
	more  chan struct{} // holds one when there may be a segment to send

	mutex   sync.Mutex
	sealed  []segment // to be sent, oldest first
	current *segmentWriter
	next    uint64 // number of the next segment
	refused int64  // bytes of the refused
}

const (
	segmentHeader = "auditlogs spool 1\n"
	refusedFile   = "refused.ndjson"
)

var segmentName = regexp.MustCompile(`^events-([0-9]{10,19})\.(spool|damaged)$`)

// segment is a file of events that is complete.
type segment struct {
	number uint64
	bytes  int64 // that are safe; what follows is not to be sent
	lines  int64
}

func (s segment) name() string { return fmt.Sprintf("events-%010d.spool", s.number) }

// openSpool makes the directory where it does not exist, takes hold of it, and finds what is in it.
func openSpool(dir string, maxBytes int64, log *slog.Logger) (s *spool, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if errors.Is(err, ErrSpoolInUse) {
		return nil, fmt.Errorf("%w: %s", err, dir)
	} else if err != nil {
		return nil, err
	}
	s = &spool{dir: dir, max: maxBytes, log: log, lock: lock, more: make(chan struct{}, 1), next: 1}
	if err := s.find(); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return s, nil
}

// find lists the segments that earlier clients left.
func (s *spool) find() error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.Name() == refusedFile {
			if info, err := file.Info(); err == nil {
				s.refused = info.Size()
				s.bytes.Add(s.refused)
			}
			continue
		}
		parts := segmentName.FindStringSubmatch(file.Name())
		if parts == nil {
			continue
		}
		number, err := strconv.ParseUint(parts[1], 10, 63)
		if err != nil {
			continue
		}
		s.next = max(s.next, number+1)
		found := segment{number: number}
		if parts[2] == "damaged" || !file.Type().IsRegular() || found.name() != file.Name() {
			continue
		}
		if found, err = s.inspect(found); errors.Is(err, errNoSegment) {
			s.log.Warn("a file in the audit spool is none of it, and left alone", "file", filepath.Join(s.dir, file.Name()))
			continue
		} else if err != nil {
			return err
		}
		s.sealed = append(s.sealed, found)
		s.bytes.Add(found.bytes)
	}
	slices.SortFunc(s.sealed, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
	return nil
}

var errNoSegment = errors.New("audit: not a segment of a spool")

// inspect counts the lines of a segment that another client wrote. Its header may be broken off, too.
func (s *spool) inspect(found segment) (segment, error) {
	content, err := os.ReadFile(filepath.Join(s.dir, found.name()))
	if err != nil {
		return segment{}, err
	}
	header := min(len(content), len(segmentHeader))
	if string(content[:header]) != segmentHeader[:header] {
		return segment{}, errNoSegment
	}
	found.bytes, found.lines = int64(len(content)), int64(bytes.Count(content[header:], []byte{'\n'}))
	return found, nil
}

// found is how many events wait to be sent.
func (s *spool) found() (events int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, segment := range s.sealed {
		events += segment.lines
	}
	return events
}

// lastSequence is the largest of the newest segment that waits, 0 where there is none.
func (s *spool) lastSequence() (last int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.sealed) == 0 {
		return 0
	}
	events, _, _ := s.read(s.sealed[len(s.sealed)-1]) // what cannot be read is reported when it is to be sent
	for _, encoded := range events {
		var e struct{ Sequence int64 }
		if json.Unmarshal(encoded, &e) == nil {
			last = max(last, e.Sequence)
		}
	}
	return last
}

// room reports whether an event more fits in, besides those of bytes that are about to be added.
func (s *spool) room(about, event int64) bool {
	if s.bytes.Load()+about+event <= s.max {
		return true
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.measureRefused() // an operator may have taken them away
	return s.bytes.Load()+about+event <= s.max
}

func (s *spool) measureRefused() {
	var size int64
	if info, err := os.Stat(filepath.Join(s.dir, refusedFile)); err == nil {
		size = info.Size()
	}
	s.bytes.Add(size - s.refused)
	s.refused = size
}

// spoolLine is a line of a segment: the event, and in front of it its checksum.
func spoolLine(event json.RawMessage) []byte {
	line := fmt.Appendf(make([]byte, 0, len(event)+10), "%08x ", crc32.Checksum(event, castagnoli))
	return append(append(line, event...), '\n')
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// add writes lines, as many as one request takes at most, and returns when they are on the disk.
// Where that fails none of them will be sent, unless the disk fails to forget them as well.
func (s *spool) add(lines [][]byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	size := int64(0)
	for _, line := range lines {
		size += int64(len(line))
	}
	if s.current != nil && (s.current.lines+int64(len(lines)) > maxSentEvents || s.current.bytes+size > maxSentBytes) {
		s.seal()
	}
	if s.current == nil {
		writer, err := createSegment(s.dir, s.next)
		s.next++
		if err != nil {
			return err
		}
		s.current = writer
		s.bytes.Add(writer.bytes)
	}
	if err := s.current.add(lines, size); err != nil {
		s.seal() // what its file holds now is for the disk to know: no more goes in
		return err
	}
	s.bytes.Add(size)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return nil
}

// seal completes the current segment.
func (s *spool) seal() {
	s.current.close()
	s.sealed = append(s.sealed, s.current.segment)
	s.current = nil
}

// oldest is the segment to send next; what is being written is completed for it. It stays until it is
// put aside.
func (s *spool) oldest() (segment, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.sealed) == 0 && s.current != nil {
		s.seal()
	}
	if len(s.sealed) == 0 {
		return segment{}, false
	}
	return s.sealed[0], true
}

// drop takes the oldest segment from the list; its file is another matter.
func (s *spool) drop() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.bytes.Add(-s.sealed[0].bytes)
	s.sealed = s.sealed[1:]
}

// read returns a segment's events, and the number of lines that hold none that can be read. A
// last line without its end was never promised to anyone, and is neither.
func (s *spool) read(from segment) (events []json.RawMessage, damaged int64, err error) {
	content, err := os.ReadFile(filepath.Join(s.dir, from.name()))
	if err != nil {
		return nil, 0, err
	}
	content, _ = bytes.CutPrefix(content[:min(int64(len(content)), from.bytes)], []byte(segmentHeader))
	for {
		line, rest, complete := bytes.Cut(content, []byte{'\n'})
		if !complete {
			return events, damaged, nil
		}
		content = rest
		sum, event, _ := bytes.Cut(line, []byte{' '})
		if expected, err := strconv.ParseUint(string(sum), 16, 32); err != nil || len(sum) != 8 || crc32.Checksum(event, castagnoli) != uint32(expected) || len(event) == 0 {
			damaged++
			continue
		}
		events = append(events, event)
	}
}

// remove deletes a segment that has been dealt with, or keeps it by another name where some of it is
// damaged. A crash of the machine may bring it back: its events are recorded once all the same.
func (s *spool) remove(done segment, damaged bool) error {
	path := filepath.Join(s.dir, done.name())
	if damaged {
		return os.Rename(path, path[:len(path)-len("spool")]+"damaged")
	}
	return os.Remove(path)
}

// refusal is a line of the file of refused events.
type refusal struct {
	RefusedAt time.Time       `json:"refused_at"`
	Reason    string          `json:"reason"`
	Event     json.RawMessage `json:"event"`
	err       error
}

// keepRefused adds to the file of refused events and returns when it is on the disk.
func (s *spool) keepRefused(refusals []refusal) error {
	path := filepath.Join(s.dir, refusedFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	var lines bytes.Buffer
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			lines.WriteByte('\n') // a crash broke the last line off
		}
	}
	for _, r := range refusals {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	if _, err := file.Write(lines.Bytes()); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.measureRefused()
	return nil
}

// close lets go of the directory. It may be called again.
func (s *spool) close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.current != nil {
		s.seal()
	}
	_ = s.lock.Close() // that it was closed before is of no interest
}

// segmentWriter is a segment being written.
type segmentWriter struct {
	segment
	file *os.File
}

func createSegment(dir string, number uint64) (*segmentWriter, error) {
	w := &segmentWriter{segment: segment{number: number}}
	path := filepath.Join(dir, w.name())
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = file.WriteString(segmentHeader); err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return nil, err
	}
	w.file, w.bytes = file, int64(len(segmentHeader))
	return w, nil
}

// add writes lines and waits for the disk. After an error the segment takes no more.
func (w *segmentWriter) add(lines [][]byte, size int64) error {
	_, err := w.file.Write(bytes.Join(lines, nil))
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		_ = w.file.Truncate(w.bytes)
		return err
	}
	w.bytes += size
	w.lines += int64(len(lines))
	return nil
}

func (w *segmentWriter) close() { _ = w.file.Close() }

// makeDir makes a directory, and those it lies in, so that they outlive a crash of the machine.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// syncDir waits until what was created in a directory is on the disk. Where the system has no such
// thing, files are enough.
func syncDir(dir string) error {
	if !dirsCanSync {
		return nil
	}
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := opened.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
