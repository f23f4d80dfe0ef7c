package importer

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
)

// unzip makes r read what a history in gzip holds.
func (r *lineReader) unzip() error {
	if begin, _ := r.in.Peek(2); string(begin) != "\x1f\x8b" {
		return nil
	}
	r.zipped = &counter{in: r.in}
	zip, err := gzip.NewReader(r.zipped)
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	r.in = bufio.NewReaderSize(zip, bufferSize)
	return nil
}

// position returns how many bytes of the history are read, as it comes.
func (r *lineReader) position() int64 {
	if r.zipped != nil {
		return r.zipped.n
	}
	return r.offset
}

// counter counts what is read.
type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(into []byte) (int, error) {
	n, err := c.in.Read(into)
	c.n += int64(n)
	return n, err
}
