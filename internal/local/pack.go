package local

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// Events repeat themselves: a state's output is the next one's input, most of it
// was its own input, and a task's request has it inside. A packed payload is
// therefore what is new in it between the beginning and the end of one of the
// payloads before it, or around one of them. Packed events are compressed as
// well where they come in large numbers.

// recent is how many payloads the next one may refer to.
const recent = 4

// A base is what a packer and its unpacker know before the first event: the
// last two payloads of those that they go on from, the newest first.
type base [2]string

// A payload's form is the number that it begins with.
const (
	absent  = iota
	empty   // which is not absent
	changed // another middle between the beginning and the end of one before
	around  // one before, with something before and behind it
)

// A packer packs events one after the other.
type packer struct {
	out      []byte
	payloads [recent]string
	next     int
	texts    map[string]uint64
	time     int64
}

func newPacker(b base) *packer {
	p := packers.Get().(*packer)
	p.payloads[recent-1] = b[1]
	p.remember(b[0])
	return p
}

// packers have buffers that have grown to what is usual.
var packers = sync.Pool{New: func() any { return &packer{texts: map[string]uint64{}} }}

// free ends the packer's work. What it has packed must have been copied.
func (p *packer) free() {
	clear(p.texts)
	*p = packer{out: p.out[:0], texts: p.texts}
	packers.Put(p)
}

func (p *packer) remember(s string) {
	p.payloads[p.next%recent] = s
	p.next++
}

// base is for a packer that goes on.
func (p *packer) base() base { return newest(p.payloads, p.next) }

// newest has the last two of the payloads.
func newest(payloads [recent]string, next int) base {
	return base{payloads[(next+recent-1)%recent], payloads[(next+recent-2)%recent]}
}

func (p *packer) uint(n uint64) { p.out = binary.AppendUvarint(p.out, n) }
func (p *packer) int(n int64)   { p.out = binary.AppendVarint(p.out, n) }

func (p *packer) bytes(s string) {
	p.uint(uint64(len(s)))
	p.out = append(p.out, s...)
}

// text writes a string, or which of the strings before it is the same.
func (p *packer) text(s string) {
	n, known := p.texts[s]
	if known {
		p.uint(n + 1)
		return
	}
	p.texts[s] = uint64(len(p.texts))
	p.uint(0)
	p.bytes(s)
}

// payloadFields are the parts of an event that are large and alike.
func payloadFields(d *asl.Details) []**string {
	return []**string{&d.Input, &d.Output, &d.Cause}
}

func (p *packer) event(e asl.HistoryEvent) error {
	p.int(e.ID)
	p.int(e.ID - e.Previous)
	p.text(e.Type)
	ms := e.Time.UnixMilli()
	p.int(ms - p.time)
	p.time = ms
	parameters := e.Details.Parameters
	e.Details.Parameters = ""
	var payloads []*string
	for _, f := range payloadFields(&e.Details) {
		payloads = append(payloads, *f)
		*f = nil
	}
	rest, err := json.Marshal(e.Details)
	if err != nil {
		return err
	}
	p.text(string(rest))
	p.payload(&parameters)
	for _, s := range payloads {
		p.payload(s)
	}
	return nil
}

// payload writes a payload's form, and then how it differs from one before.
func (p *packer) payload(s *string) {
	switch {
	case s == nil:
		p.uint(absent)
		return
	case *s == "":
		p.uint(empty)
		return
	}
	best, prefix, suffix := p.alike(*s)
	if 2*(prefix+suffix) < len(*s) {
		if old, at := p.inside(*s); at >= 0 {
			within := p.payloads[old]
			p.uint(around)
			p.uint(uint64(old))
			p.bytes((*s)[:at])
			p.bytes((*s)[at+len(within):])
			if news(*s, within) {
				p.remember(*s)
			}
			return
		}
	}
	p.uint(changed)
	p.uint(uint64(best))
	p.uint(uint64(prefix))
	p.uint(uint64(suffix))
	p.bytes((*s)[prefix : len(*s)-suffix])
	if prefix+suffix < len(*s) || p.payloads[best] != *s {
		p.remember(*s)
	}
}

// news tells whether a payload around another is one to go on from: a document around a task's
// answer is, a request around a document is not.
func news(s, within string) bool { return len(s)-len(within) > len(s)/8 }

// alike finds the payload that shares most with s at the beginning and the end.
func (p *packer) alike(s string) (best, prefix, suffix int) {
	if i := slices.Index(p.payloads[:], s); i >= 0 {
		return i, len(s), 0
	}
	for i, old := range p.payloads {
		if a, b := common(old, s); a+b > prefix+suffix {
			best, prefix, suffix = i, a, b
		}
	}
	return best, prefix, suffix
}

// inside finds the longest payload that s has inside, and where; -1 if there is none of at least
// half its length.
func (p *packer) inside(s string) (best, at int) {
	at = -1
	most := len(s) / 2
	for i, old := range p.payloads {
		if len(old) < most || len(old) > len(s) {
			continue
		}
		if j := strings.Index(s, old); j >= 0 {
			best, at, most = i, j, len(old)+1
		}
	}
	return best, at
}

// common is how many bytes two texts share at the beginning and at the end.
func common(a, b string) (prefix, suffix int) {
	if a == b {
		return len(a), 0
	}
	n := min(len(a), len(b))
	for prefix < n && a[prefix] == b[prefix] {
		prefix++
	}
	for suffix < n-prefix && a[len(a)-1-suffix] == b[len(b)-1-suffix] {
		suffix++
	}
	return prefix, suffix
}

// packEvents packs events by themselves.
func packEvents(events []asl.HistoryEvent) ([]byte, error) {
	p := newPacker(base{})
	defer p.free()
	for _, e := range events {
		if err := p.event(e); err != nil {
			return nil, err
		}
	}
	return compress(p.out)
}

// unpackEvents reads what packEvents wrote.
func unpackEvents(block []byte) ([]asl.HistoryEvent, error) {
	data, err := decompress(block)
	if err != nil {
		return nil, err
	}
	return newUnpacker(base{}, data).all(nil)
}

// all appends the events that are left.
func (u *unpacker) all(events []asl.HistoryEvent) ([]asl.HistoryEvent, error) {
	for len(u.in) > 0 {
		e, err := u.event()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}
