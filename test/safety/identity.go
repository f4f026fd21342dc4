package safety

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// Two runs that are in the same state go on in the same way, since a run follows from its state
// and the faults to come alone. The search compares states at one kind of moment: when a
// function is about to be called, and nothing else is at work. The state is then
//
//   - the time, and what the world says: objects, pods, weights and their fences, what the data
//     plane did so far, the record, how requests were split;
//   - every execution as it is stored, with its frames, their inputs and deadlines;
//   - which function is called for which execution, and its input;
//   - the functions still under way that nobody waits for: each by what it was called with and
//     by the state of the world at each of its calls so far, from which all it knows follows;
//   - what gates will say, and what the checks know of them;
//   - what the search itself will do later: duplicates, a redrive, a request, a controller that
//     hears again; how often the rule on ended executions has tried;
//   - what the checks at the end depend on.
//
// Left out is what no decision is made from: the words of reasons and causes, numbers of
// history events, the text of tokens, events told to people.

// A stamp is a state's fingerprint, of 128 bits.
type stamp [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func stampOf(b []byte) stamp {
	return stamp{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
}

func (s stamp) append(b []byte) []byte { return fmt.Appendf(b, "%x ", s) }

// A boundary is a state that a run came through, and where.
type boundary struct {
	stamp stamp
	place Place
}

// worldStamp is the state of the world, the time aside.
func (r *run) worldStamp() stamp {
	if r.worldAt != r.version {
		b := r.world.Cluster.AppendState(nil)
		b = r.world.Router.AppendState(b)
		rec := r.world.Records.Peek(service)
		rec.Last.Reason = ""
		b = fmt.Appendf(b, "%+v %q %v\n", rec, r.split, r.mute.UnixNano())
		b = r.web.appendMind(b)
		r.worldAt, r.worldIs = r.version, stampOf(b)
	}
	return r.worldIs
}

// identity is the state of the run when f is about to be called.
func (r *run) identity(f *function) stamp {
	b := fmt.Appendf(r.buffer[:0], "%d ", r.clock.Now().UnixNano())
	b = r.worldStamp().append(b)
	for _, arn := range r.disk.order {
		k := r.disk.kept[arn]
		if k.stamp == (stamp{}) {
			k.stamp = executionStamp(k.record.Execution, k.record.HookPending)
		}
		b = append(k.stamp.append(b), arn...)
	}
	b = f.known.append(b)
	for _, other := range r.underWay {
		if other != f {
			b = other.known.append(append(b, " beside "...))
		}
	}
	b = fmt.Appendf(b, "later %v hooks %v ", r.later, r.hooks)
	b = fmt.Appendf(b, "ready %v dead %v edited %v late %v back %v untold %d redriven %d", r.ready, r.noPods, r.edited, r.lateOps, r.wayBack != nil, r.untold, r.redriven.UnixNano())
	b = fmt.Appendf(b, "lost %q gap %d orphaned %t hindered %t ", r.lost, r.gap.UnixNano(), r.orphaned, r.hindered)
	b = r.web.appendState(b)
	r.buffer = b
	return stampOf(b)
}

// know takes up what a function may have learned by now. As long as it has not waited, that
// follows from the state in which it was called.
func (r *run) know(f *function, what string) {
	if f == nil {
		return
	}
	b := f.known.append(nil)
	b = fmt.Appendf(b, "%s %d ", what, r.clock.Now().UnixNano())
	if f.waited {
		b = r.worldStamp().append(b)
	}
	f.known = stampOf(b)
}

// waits takes up that a function waits, and so may come to stand beside others.
func (r *run) waits(f *function) {
	if f != nil && !f.waited {
		f.waited = true
		f.known = stampOf(f.entered.append(f.known.append(nil)))
	}
}

// executionStamp is an execution without what no decision is made from.
func executionStamp(x *asl.Execution, pending bool) stamp {
	y := *x
	y.Input, y.LastEvent, y.Cause, y.LastFrame, y.Output = "", 0, nil, 0, ""
	y.Frames = nil
	b, err := json.Marshal(y)
	if err != nil {
		panic(err) // plain data
	}
	b = fmt.Appendf(b, "%v", pending)
	for _, f := range x.Frames {
		g := *f
		g.EnteredID, g.Previous, g.Calls, g.Input = 0, 0, 0, ""
		token := ""
		if f.Call != nil {
			c := *f.Call
			token, c.Number, c.Payload, c.Token = c.Token, 0, "", ""
			g.Call = &c
			b = append(b, plain(f.Call.Payload, token)...)
		}
		line, err := json.Marshal(g)
		if err != nil {
			panic(err)
		}
		b = append(b, line...)
		b = append(b, plain(f.Input, token)...)
		b = fmt.Appendf(b, "%v", token != "")
	}
	return stampOf(b)
}

// worded are the fields whose text is for people. A person's request is a cause, too, and is kept.
var worded = []string{`"reason":"`, `"Cause":"{\"errorMessage\":\"`, `"trouble":"`, `"problem":"`}

// plain takes a document's token and words out of it.
func plain(text, token string) string {
	if token != "" {
		text = strings.ReplaceAll(text, token, "")
	}
	for _, key := range worded {
		text = unworded(text, key)
	}
	return text
}

func unworded(text, key string) string {
	at := strings.Index(text, key)
	if at < 0 {
		return text
	}
	var b strings.Builder
	for at >= 0 {
		b.WriteString(text[:at+len(key)])
		text = text[at+len(key):]
		text = text[closing(text):]
		at = strings.Index(text, key)
	}
	b.WriteString(text)
	return b.String()
}

// closing is where the string ends that the text begins in.
func closing(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}

// A plan is what the search itself will do later.
type plan struct {
	what string
	at   time.Time
}

// after does something later that the identity knows of.
func (r *run) afterwards(d time.Duration, what string, f func()) {
	p := plan{what, r.clock.Now().Add(d)}
	r.later = append(r.later, p)
	slices.SortFunc(r.later, func(a, b plan) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.what, b.what)
	})
	r.clock.AfterFunc(d, func() {
		if i := slices.Index(r.later, p); i >= 0 {
			r.later = slices.Delete(r.later, i, i+1)
		}
		r.current = nil
		f()
	})
}

func keys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
