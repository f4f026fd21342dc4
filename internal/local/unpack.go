package local

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

var errPacked = errors.New("packed events are damaged")

// An unpacker reads what a packer with the same base wrote.
type unpacker struct {
	in       []byte
	payloads [recent]string
	next     int
	texts    []string
	details  map[string]asl.Details // by their text
	time     int64
	bad      bool
}

func newUnpacker(b base, in []byte) *unpacker {
	u := &unpacker{in: in, details: map[string]asl.Details{}}
	u.payloads[recent-1] = b[1]
	u.remember(b[0])
	return u
}

func (u *unpacker) remember(s string) {
	u.payloads[u.next%recent] = s
	u.next++
}

func (u *unpacker) base() base { return newest(u.payloads, u.next) }

// then reads what the packer wrote that went on from the one before.
func (u *unpacker) then(in []byte) *unpacker {
	v := newUnpacker(u.base(), in)
	v.details = u.details
	return v
}

func (u *unpacker) uint() uint64 {
	n, size := binary.Uvarint(u.in)
	if size <= 0 {
		u.bad, u.in = true, nil
		return 0
	}
	u.in = u.in[size:]
	return n
}

func (u *unpacker) int() int64 {
	n, size := binary.Varint(u.in)
	if size <= 0 {
		u.bad, u.in = true, nil
		return 0
	}
	u.in = u.in[size:]
	return n
}

func (u *unpacker) bytes() string {
	n := u.uint()
	if n > uint64(len(u.in)) {
		u.bad, u.in = true, nil
		return ""
	}
	s := string(u.in[:n])
	u.in = u.in[n:]
	return s
}

func (u *unpacker) text() string {
	n := u.uint()
	if n == 0 {
		s := u.bytes()
		u.texts = append(u.texts, s)
		return s
	}
	if n > uint64(len(u.texts)) {
		u.bad = true
		return ""
	}
	return u.texts[n-1]
}

func (u *unpacker) event() (asl.HistoryEvent, error) {
	e := asl.HistoryEvent{ID: u.int()}
	e.Previous = e.ID - u.int()
	e.Type = u.text()
	u.time += u.int()
	e.Time = time.UnixMilli(u.time).UTC()
	rest := u.text()
	if u.bad {
		return e, errPacked
	}
	var known bool
	if e.Details, known = u.details[rest]; !known {
		if err := json.Unmarshal([]byte(rest), &e.Details); err != nil {
			return e, fmt.Errorf("%w: %w", errPacked, err)
		}
		u.details[rest] = e.Details
	}
	if s := u.payload(); s != nil {
		e.Details.Parameters = *s
	}
	for _, f := range payloadFields(&e.Details) {
		*f = u.payload()
	}
	if u.bad {
		return e, errPacked
	}
	return e, nil
}

func (u *unpacker) payload() *string {
	form := u.uint()
	s := ""
	switch form {
	case absent:
		return nil
	case empty:
		return &s
	}
	n := u.uint()
	if n >= recent {
		u.bad = true
		return nil
	}
	old := u.payloads[n]
	switch form {
	case changed:
		prefix, suffix := u.uint(), u.uint()
		middle := u.bytes()
		if u.bad || prefix > uint64(len(old)) || suffix > uint64(len(old))-prefix {
			u.bad = true
			return nil
		}
		s = old[:prefix] + middle + old[uint64(len(old))-suffix:]
		if s != old {
			u.remember(s)
		}
	case around:
		before := u.bytes()
		s = before + old + u.bytes()
		if news(s, old) {
			u.remember(s)
		}
	default:
		u.bad = true
	}
	return &s
}
