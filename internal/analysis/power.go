package analysis

import (
	"math"
	"math/rand/v2"
	"time"
)

// Traffic is what a plan reckons with.
type Traffic struct {
	// PerSecond is the rate of requests to both versions together.
	PerSecond float64
	// Weight is the canary's share in percent.
	Weight int
	// Every is the length of a closed interval (10 s if zero), Lag how late the
	// metrics source is.
	Every, Lag time.Duration
}

// A Sight is when a regression would be seen with a chance of 80 %.
type Sight struct {
	// Requests on the canary until then, a whole number of intervals' worth.
	Requests int64
	// After is the time from the weight being in force, with the source's lag.
	After time.Duration
}

// chance is what "would be seen" means, and spread how many standard deviations lie above it.
const (
	chance = 0.8
	spread = 0.8416
)

// runs of a simulation, and the looks that its 80 % point should fall after about, so that the
// answer takes a few milliseconds whatever the traffic. The seed is fixed: a plan gives the
// same answer twice.
const (
	runs     = 1000
	lookGoal = 100
	neverIn  = 50 * 365 * 24 * time.Hour
)

// TimeToSee says when a canary that fails with probability canary, beside a
// stable that fails with probability stable, would be rolled back by the
// comparison. It plays seeded rollouts, because the closed formula is up
// to a quarter off where a handful of errors decides. False means never: the difference is
// within what is tolerated, harmless, or so near to that that the evidence does not
// grow; or there is no traffic.
func (p Policy) TimeToSee(t Traffic, stable, canary float64) (Sight, bool) {
	p, t = p.withDefaults(), t.withDefaults()
	c, w := p.Comparison, float64(t.Weight)/100
	base := max(stable, 1e-9)
	if w <= 0 || w >= 1 || canary > 1 || canary < c.IgnoreBelow || !(canary > base*c.Tolerated) || !(t.PerSecond > 0) {
		return Sight{}, false // a number that is none lands here as well
	}
	m := p.match(w, base, canary)
	perInterval := t.PerSecond * w * t.Every.Seconds()
	guess := m.long() / perInterval
	if !(guess*t.Every.Seconds() < neverIn.Seconds()) {
		return Sight{}, false
	}
	batch := max(1, math.Floor(guess/lookGoal))
	looks, ok := m.play(perInterval * batch)
	for ok && looks < lookGoal/4 && batch > 1 { // far sooner than guessed: look closer
		batch = max(1, math.Floor(batch*looks/lookGoal))
		looks, ok = m.play(perInterval * batch)
	}
	return Sight{
		Requests: int64(math.Ceil(looks * batch * perInterval)),
		After:    time.Duration(looks*batch)*t.Every + t.Lag,
	}, ok
}

// lineAt is the logarithm of the evidence that one fresh process on errors
// needs to roll back by itself, with its share of the whole.
func (p Policy) lineAt() float64 {
	return math.Log(p.Comparison.RollbackAt * float64(p.starts()) / p.weights()[0])
}

// A walk is a mixture of likelihood ratios, one for each alternative, as it takes in two kinds of
// events: up and down are what one of either adds to the logarithm of each ratio.
type walk struct {
	up, down []float64
	line     float64 // that the logarithm of the mean has to reach
}

// accusation is the evidence on errors of the canary (up) and of stable (down).
func (l lineup) accusation() walk {
	out := walk{line: l.line}
	for _, f := range worse {
		down := math.Log1p(l.share*(l.tolerated-1)) - math.Log1p(l.share*(l.tolerated*f-1))
		out.up, out.down = append(out.up, math.Log(f)+down), append(out.down, down)
	}
	return out
}

// harm is the evidence of failed requests (up) and good ones (down) that the canary fails more often than floor.
func harm(floor float64) walk {
	out := walk{line: math.Log(harmAt)}
	for _, f := range worse {
		out.up = append(out.up, logRate(capRate(floor, f), 1, 1)-logRate(floor, 1, 1))
		out.down = append(out.down, logRate(capRate(floor, f), 0, 1)-logRate(floor, 0, 1))
	}
	return out
}

// long is how many requests bring the best alternative alone to the line in 80 % of all cases at least,
// as if its logarithm were a normal walk; infinite where none grows. A request brings so many events.
func (w walk) long(up, down float64) float64 {
	best := math.Inf(1)
	line := w.line + math.Log(float64(len(w.up)))
	for i, u := range w.up {
		drift, sd := up*u+down*w.down[i], spread*math.Sqrt(up*u*u+down*w.down[i]*w.down[i])
		if drift > 0 {
			root := (sd + math.Sqrt(sd*sd+4*drift*line)) / (2 * drift) // of n in drift*n - sd*sqrt(n) = line
			best = min(best, root*root)
		}
	}
	return best
}

// crossed tells whether so many events reach the line. logs is room to work in.
func (w walk) crossed(up, down float64, logs []float64) bool {
	top := math.Inf(-1)
	for i := range logs {
		logs[i] = up*w.up[i] + down*w.down[i]
		top = max(top, logs[i])
	}
	return top >= w.line && logMean(logs) >= w.line // no mean is above the greatest
}

// A match is a canary that fails with a known probability, beside a stable.
type match struct {
	canary float64
	// stable is how many errors of stable there are to one request to the canary.
	stable  float64
	against walk
	harm    *walk // nil where any rate does harm
}

func (p Policy) match(w, stable, canary float64) match {
	l := lineup{w, stable, p.Comparison.Tolerated, p.lineAt()}
	m := match{canary: canary, stable: (1 - w) / w * stable, against: l.accusation()}
	if floor := p.Comparison.IgnoreBelow; floor > 0 {
		h := harm(floor)
		m.harm = &h
	}
	return m
}

// long is the upper end of how many canary requests it takes.
func (m match) long() float64 {
	n := m.against.long(m.canary, m.stable)
	if m.harm != nil {
		n = max(n, m.harm.long(m.canary, 1-m.canary))
	}
	return n
}

// play returns the number of looks after which 80 % of the runs have crossed,
// with so many canary requests in a look; false where they are too few in four times lookGoal.
func (m match) play(perLook float64) (float64, bool) {
	rng := rand.New(rand.NewPCG(1, 2))
	canary, stable := newTable(perLook*m.canary), newTable(perLook*m.stable)
	type errors struct{ canary, stable float64 }
	left := make([]errors, runs)
	logs := make([]float64, len(worse))
	for look := 1.0; look <= 4*lookGoal; look++ {
		on := left[:0]
		for _, s := range left {
			e := canary.draw(rng)
			s.canary, s.stable = s.canary+e, s.stable+stable.draw(rng)
			crossed := e > 0 && m.against.crossed(s.canary, s.stable, logs) &&
				(m.harm == nil || m.harm.crossed(s.canary, look*perLook-s.canary, logs))
			if !crossed {
				on = append(on, s)
			}
		}
		if left = on; float64(len(left)) <= (1-chance)*runs {
			return look, true
		}
	}
	return 0, false
}

func (t Traffic) withDefaults() Traffic {
	if t.Every <= 0 {
		t.Every = 10 * time.Second
	}
	t.PerSecond = min(t.PerSecond, 1e9)
	return t
}

func (t Traffic) at(weight int) Traffic {
	t.Weight = weight
	return t
}
