package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// followEvery is the pace at which a followed log is looked at for more.
const followEvery = 50 * time.Millisecond

// logQuery reads log options from the query that the API server sends.
func logQuery(q url.Values) (*corev1.PodLogOptions, error) {
	o := &corev1.PodLogOptions{
		Follow:     q.Get("follow") == "true",
		Previous:   q.Get("previous") == "true",
		Timestamps: q.Get("timestamps") == "true",
	}
	for name, field := range map[string]**int64{"tailLines": &o.TailLines, "sinceSeconds": &o.SinceSeconds, "limitBytes": &o.LimitBytes} {
		if text := q.Get(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, err
			}
			*field = &n
		}
	}
	if text := q.Get("sinceTime"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, err
		}
		since := v1.NewTime(t)
		o.SinceTime = &since
	}
	return o, nil
}

// readLog writes what the options ask for of a log to w. With Follow it goes
// on until ended says that the container's run is over, or ctx ends.
func readLog(ctx context.Context, path string, o *corev1.PodLogOptions, ended func() bool, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := &logFilter{w: w, options: o, since: sinceTime(o)}
	if o.LimitBytes != nil {
		out.w = &limitWriter{w: w, left: *o.LimitBytes}
	}
	if err := skipToTail(f, o.TailLines); err != nil {
		return err
	}
	r := bufio.NewReader(f)
	var partial []byte
	for ctx.Err() == nil {
		over := !o.Follow || ended()
		line, err := r.ReadBytes('\n')
		partial = append(partial, line...)
		if err == nil {
			if err := out.line(partial); err != nil {
				return ignoreLimit(err)
			}
			partial = nil
			continue
		}
		if err != io.EOF {
			return err
		}
		if over {
			return nil
		}
		if flush, ok := w.(interface{ Flush() }); ok {
			flush.Flush()
		}
		pause(ctx, followEvery)
	}
	return nil
}

func sinceTime(o *corev1.PodLogOptions) time.Time {
	switch {
	case o.SinceTime != nil:
		return o.SinceTime.Time
	case o.SinceSeconds != nil:
		return time.Now().Add(-time.Duration(*o.SinceSeconds) * time.Second)
	}
	return time.Time{}
}

// skipToTail moves the file's offset to the start of its last n lines.
func skipToTail(f *os.File, n *int64) error {
	if n == nil {
		return nil
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	end := bytes.LastIndexByte(content, '\n') + 1
	start := end
	for i := int64(0); i < *n && start > 0; i++ {
		start = bytes.LastIndexByte(content[:start-1], '\n') + 1
	}
	_, err = f.Seek(int64(start), io.SeekStart)
	return err
}

type logFilter struct {
	w       io.Writer
	options *corev1.PodLogOptions
	since   time.Time
}

// line writes one line of the log as the reader wants to see it.
func (f *logFilter) line(line []byte) error {
	stamp, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return nil
	}
	_, text, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return nil
	}
	if t, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil && t.Before(f.since) {
		return nil
	}
	if f.options.Timestamps {
		text = append(append(stamp[:len(stamp):len(stamp)], ' '), text...)
	}
	_, err := f.w.Write(text)
	return err
}

var errLimit = errors.New("limit of bytes reached")

func ignoreLimit(err error) error {
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// A limitWriter passes no more than so many bytes on.
type limitWriter struct {
	w    io.Writer
	left int64
}

func (l *limitWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > l.left {
		b = b[:l.left]
	}
	n, err := l.w.Write(b)
	l.left -= int64(n)
	if err == nil && l.left == 0 {
		err = errLimit
	}
	return n, err
}
