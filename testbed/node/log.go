package node

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// previousSuffix marks the log of the run before the current one.
const previousSuffix = ".previous"

// logFile is where a container's output goes. It outlives the pod, for those
// who look for what went wrong.
func (p *pod) logFile(container string) string {
	object := p.object()
	return p.node.layout.Path("logs", "pods", fmt.Sprintf("%s_%s_%s_%s.log", object.Namespace, object.Name, p.uid, container))
}

// A logWriter writes the log of one run of a container: each line of output
// with its time and its stream, so that readers can ask for lines by time.
type logWriter struct {
	mu      sync.Mutex
	file    *os.File
	streams []*logStream
}

// openLog begins the log of a new run and sets the one before aside.
func openLog(path string) (*logWriter, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Rename(path, path+previousSuffix); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &logWriter{file: f}, nil
}

// stream is a writer for stdout or stderr.
func (w *logWriter) stream(name string) io.Writer {
	s := &logStream{log: w, name: name}
	w.streams = append(w.streams, s)
	return s
}

// Close writes what is left of unfinished lines and ends the log.
func (w *logWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		if len(s.partial) > 0 {
			s.line(s.partial)
			s.partial = nil
		}
	}
	return w.file.Close()
}

type logStream struct {
	log     *logWriter
	name    string
	partial []byte
}

// maxLine bounds how much of a line without an end is kept in memory.
const maxLine = 64 << 10

func (s *logStream) Write(b []byte) (int, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.partial = append(s.partial, b...)
	for {
		end := bytes.IndexByte(s.partial, '\n')
		if end < 0 && len(s.partial) > maxLine {
			end = maxLine
			s.line(s.partial[:end])
			s.partial = s.partial[end:]
			continue
		}
		if end < 0 {
			return len(b), nil
		}
		s.line(s.partial[:end])
		s.partial = s.partial[end+1:]
	}
}

// line writes one line with its time. The log being full or gone must not
// stop the process that writes to it, so errors are dropped.
func (s *logStream) line(text []byte) {
	_, _ = fmt.Fprintf(s.log.file, "%s %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), s.name, text)
}
