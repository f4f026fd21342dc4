package analysis

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// docs/judging.md shows what this package says; these tests hold it to that.
func TestDocumentedExampleAndTables(t *testing.T) {
	doc, err := os.ReadFile("../../docs/judging.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"worked example": workedExample(), "table of times": timesTable(), "table of pacing": pacingTable()} {
		if !strings.Contains(string(doc), want) {
			t.Errorf("docs/judging.md: the %s is not what the code says, which is\n%s", name, want)
		}
	}
}

// workedExample is a canary that fails three times as often, at 5 % and then 25 %.
func workedExample() string {
	p := byEvidence()
	p.Steps = []int{5, 25, 50}
	var out strings.Builder
	var s State
	show := func(at string, in []Interval) {
		var j Judgement
		s, j = p.Look(s, later(s, in))
		m := j.Measures[0]
		state := j.Verdict.String()
		if j.Hold {
			state += ", hold"
		}
		fmt.Fprintf(&out, "%s  %s  evidence %.3g\n%s\n", at, state, m.Bad, wrap(j.Reason, "       "))
	}
	show("0:10  5 %", stream(5, [4]int64{150, 2, 2850, 10}))
	show("1:00  5 %", stream(5, [4]int64{150, 1, 2850, 9}, [4]int64{150, 3, 2850, 11}, [4]int64{150, 1, 2850, 8}, [4]int64{150, 2, 2850, 12}, [4]int64{150, 1, 2850, 10}))
	s = s.NextStep()
	show("1:10 25 %", stream(25, [4]int64{750, 9, 2250, 8}))
	show("1:20 25 %", stream(25, [4]int64{750, 8, 2250, 7}))
	show("1:30 25 %", stream(25, [4]int64{750, 9, 2250, 9}))
	show("1:40 25 %", stream(25, [4]int64{750, 10, 2250, 8}))
	return out.String()
}

// A canary that is as good as stable, and whose error rate wanders from minute to minute.
func TestDocumentedNoise(t *testing.T) {
	if !long {
		t.Skip("takes some seconds: STEPCANARY_LONG=1, which scripts/test sets")
	}
	doc, err := os.ReadFile("../../docs/judging.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := noiseTable(); !strings.Contains(string(doc), want) {
		t.Errorf("docs/judging.md: the table of noise is not what the code says, which is\n%s", want)
	}
}

// noiseTable is how many of 1,000 hours at 100 rps and 10 % are rolled back.
func noiseTable() string {
	var out strings.Builder
	p := byClock(0)
	p.Steps = nil
	for _, noise := range []float64{0.2, 0.5} {
		fmt.Fprintf(&out, "| %v |", noise)
		for _, tolerated := range []float64{1.25, 1.5, 2} {
			p.Comparison.Tolerated = tolerated
			u := users{perSecond: 100, weight: 10, canary: 0.005, stable: 0.005, noise: noise}
			back := 0
			for n := range uint64(1000) {
				if u.rolledBack(p, rand.New(rand.NewPCG(n, 7)), 360) {
					back++
				}
			}
			fmt.Fprintf(&out, " %d |", back)
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

// wrap breaks a sentence at 76 columns.
func wrap(text, indent string) string {
	var out, line strings.Builder
	line.WriteString(indent)
	for i, w := range strings.Fields(strings.ReplaceAll(text, " %", "_%")) {
		w = strings.ReplaceAll(w, "_%", " %")
		if line.Len()+1+len(w) > 76 {
			out.WriteString(line.String() + "\n")
			line.Reset()
			line.WriteString(indent)
		} else if i > 0 {
			line.WriteString(" ")
		}
		line.WriteString(w)
	}
	return out.String() + line.String()
}

// timesTable is how long the usual policy takes in one step.
func timesTable() string {
	var out strings.Builder
	p := Policy{Comparison: DefaultComparison()}
	for _, change := range [][2]float64{{0.001, 0.05}, {0.001, 0.01}, {0.005, 0.015}, {0.01, 0.02}} {
		for _, weight := range []int{5, 25} {
			fmt.Fprintf(&out, "| %s -> %s | %d %% |", percent(change[0]), percent(change[1]), weight)
			for _, rps := range []float64{10, 100, 1000} {
				s, ok := p.TimeToSee(Traffic{PerSecond: rps, Weight: weight}, change[0], change[1])
				if !ok {
					fmt.Fprint(&out, " never |")
					continue
				}
				fmt.Fprintf(&out, " %s |", roughly(s.After))
			}
			fmt.Fprintln(&out)
		}
	}
	return out.String()
}

// pacingTable is how long a healthy rollout of five steps takes by evidence.
func pacingTable() string {
	var out strings.Builder
	p := byEvidence()
	for _, rps := range []float64{1, 10, 100, 1000} {
		for _, rate := range []float64{0.0001, 0.005} {
			e := p.PaceTime(Traffic{PerSecond: rps}, rate)
			fmt.Fprintf(&out, "| %v | %s | %s | %s | %s |\n", rps, percent(rate), minutes(e.Median), minutes(e.Slow), percent(e.Undecided))
		}
	}
	return out.String()
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.1f min", d.Minutes()) }
