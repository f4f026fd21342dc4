package local_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
)

// saying makes an event of each of the details.
func saying(details ...asl.Details) []asl.HistoryEvent {
	var out []asl.HistoryEvent
	for i, d := range details {
		out = append(out, asl.HistoryEvent{
			ID: int64(i + 1), Previous: int64(i), Type: "PassStateEntered", Time: start.Add(time.Duration(i) * time.Second), Details: d,
		})
	}
	return out
}

func input(s string) asl.Details { return asl.Details{Name: "A", Input: &s} }

// aFew are events whose payloads are alike in every way that packing knows.
func aFew() []asl.HistoryEvent {
	none, failed, doc := "", "E", `{"a":7,"b":[2,3]}`
	return saying(
		input(`{"a":1,"b":[2,3]}`),
		asl.Details{Resource: "invoke", Parameters: `{"FunctionName":"f","Payload":{"a":1,"b":[2,3]}}`},
		asl.Details{Output: &none},
		asl.Details{Name: "A", Output: &doc},
		asl.Details{Name: "B", Input: &doc},
		asl.Details{Error: &failed, Cause: new(`{"a":1}`)},
	)
}

// TestABlockOfAnEarlierVersionIsRead: a state file outlives the program. The block was written
// before a payload could be around another.
func TestABlockOfAnEarlierVersionIsRead(t *testing.T) {
	const block = `TI4xSkNBFEXve2oQjWgKN3DrbxEthOkUYikBS7F4Jk8MmhmY/yPIMOB+XIRbsHETrkLGKuXhwOGo4mRufX832OCzOHj25cfv58/XM8aF0dbOwCtW` +
		`UQCTQmOYdnxkuD/vLh4qsKvyfYzTwux92uSFM3AV39KLs6qonN1s4mJYpXhra2fgEzvO7f012ZKh0BimHbd6GGkLaqkCwX4DFajsHcolDhpujV23sZ0J` +
		`AIz/1VGh55wyA2esAqiMBH8BAAD//w==`
	data, err := base64.StdEncoding.DecodeString(block)
	if err != nil {
		t.Fatal(err)
	}
	got, err := local.UnpackEvents(data)
	if d := cmp.Diff(aFew(), got); err != nil || d != "" {
		t.Errorf("UnpackEvents() = %v (-want +got):\n%s", err, d)
	}
}

func TestPackedEventsAreTheSame(t *testing.T) {
	doc := `{"text":"long enough to be more than half of what is around it"}`
	next := `{"more than little of its own":"x","answer":` + doc + `,"end":1}`
	want := append(aFew(), saying(
		input(doc), asl.Details{Parameters: `{"document":` + doc + `,"token":"x"}`}, input(doc),
		input(next), input(next), input(strings.ToUpper(next)), input(doc), input(next))...)
	block, err := local.PackEvents(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := local.UnpackEvents(block)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("UnpackEvents() = %v (-want +got):\n%s", err, d)
	}
}

// TestWhatRepeatsIsKeptOnce: a document that goes through states, and in requests to functions,
// is kept once, though each step packs its events by themselves.
func TestWhatRepeatsIsKeptOnce(t *testing.T) {
	random := make([]byte, 1000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	doc := fmt.Sprintf(`{"doc":"%x"}`, random)
	said := `{"ok":true}`
	var details []asl.Details
	for range 10 {
		details = append(details, input(doc),
			asl.Details{Resource: "invoke", Parameters: `{"FunctionName":"f","Payload":{"document":` + doc + `,"token":"x"}}`},
			asl.Details{Output: &said})
	}
	h := &local.MemoryHistory{}
	for _, e := range saying(details...) {
		if err := h.Add([]asl.HistoryEvent{e}); err != nil {
			t.Fatal(err)
		}
	}
	if got, most := h.Bytes(), len(doc)+len(details)*80; got > most {
		t.Errorf("%d events with a document of %d bytes take %d; want %d at most", len(details), len(doc), got, most)
	}
}

// TestALongHistoryIsKeptInLargeBlocks: every event is found again, forwards and backwards, from
// blocks that grow with the history.
func TestALongHistoryIsKeptInLargeBlocks(t *testing.T) {
	s := local.NewMemory()
	var want []string
	for i := range 3000 {
		text := fmt.Sprintf(`{"n":%d,"text":"%x"}`, i, rand.NewPCG(uint64(i), 0).Uint64())
		want = append(want, text)
		e := saying(input(text))
		e[0].ID = int64(i + 1)
		if err := s.Commit(record("x", asl.Running), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []int{0, 1, 40, 1500, 2950, 2999} {
		page, err := s.History("arn:x", from, 30, false)
		if err != nil || len(page) != min(30, 3000-from) {
			t.Fatalf("History(%d) = %d events, %v", from, len(page), err)
		}
		back, err := s.History("arn:x", 3000-from-len(page), 30, true)
		if err != nil || len(back) < len(page) {
			t.Fatalf("History(%d), reverse = %d events, %v", from, len(back), err)
		}
		for i, e := range page {
			if *e.Details.Input != want[from+i] || back[len(page)-1-i].ID != e.ID {
				t.Fatalf("event %d is %s, backwards number %d", from+i, *e.Details.Input, back[len(page)-1-i].ID)
			}
		}
	}
}

// What waits for compression is never more than half of what is compressed: of thousands of histories
// at once, most of the memory is the compressed part.
func TestLittleWaitsForCompression(t *testing.T) {
	random, h := rand.NewChaCha8([32]byte{}), &local.MemoryHistory{}
	var details []asl.Details
	for range 200 {
		doc := make([]byte, 200)
		_, _ = random.Read(doc)
		details = append(details, input(fmt.Sprintf(`{"doc":"%x"}`, doc)))
	}
	for i, e := range saying(details...) {
		if err := h.Add([]asl.HistoryEvent{e}); err != nil {
			t.Fatal(err)
		}
		kept := h.Bytes() - h.Waiting()
		if h.Waiting() >= max(4<<10, kept/2) {
			t.Fatalf("after %d events %d bytes wait beside %d that are compressed", i+1, h.Waiting(), kept)
		}
	}
}
