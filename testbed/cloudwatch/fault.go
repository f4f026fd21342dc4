package cloudwatch

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A Fault makes the stand-in misbehave, as the real service does at times.
type Fault struct {
	// Operation is GetMetricData, PutMetricData or empty for both.
	Operation string `json:"operation,omitempty"`
	// Kind is one of the kinds below.
	Kind string `json:"kind"`
	// Times is how many calls it befalls; 0 means all until Heal.
	Times int `json:"times,omitempty"`
	// For is how long answers are held back by kind Slow.
	For time.Duration `json:"-"`
}

// Kinds of Fault.
const (
	Throttle   = "throttle"   // Throttling, HTTP 400
	Internal   = "internal"   // InternalServiceFault, HTTP 500
	Unavail    = "unavail"    // HTTP 503 without a body that a client could read
	Denied     = "denied"     // AccessDenied, HTTP 403
	Partial    = "partial"    // each second point is missing, StatusCode PartialData, no next page
	SeriesFail = "seriesfail" // series come empty with StatusCode InternalError
	Silent     = "silent"     // series come empty and Complete: the pipeline that feeds CloudWatch is dead
	Garbage    = "garbage"    // HTTP 200 with a body that is not the protocol's
	Slow       = "slow"       // the answer comes after For
)

var kinds = []string{Throttle, Internal, Unavail, Denied, Partial, SeriesFail, Silent, Garbage, Slow}

// faults are those in force, the oldest first.
type faults struct {
	mu   sync.Mutex
	list []Fault
}

// Inject adds a fault; several act one after the other.
func (s *Server) Inject(f Fault) error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind: found %q, expected one of %q", f.Kind, kinds)
	case !slices.Contains([]string{"", "GetMetricData", "PutMetricData"}, f.Operation):
		return fmt.Errorf("operation: found %q, expected GetMetricData or PutMetricData", f.Operation)
	case f.Times < 0:
		return fmt.Errorf("times: found %d, expected 0 or more", f.Times)
	case f.For < 0 || f.For > time.Minute || (f.For > 0) != (f.Kind == Slow):
		return fmt.Errorf("for: found %v with kind %s, expected up to 1m with kind %s alone", f.For, f.Kind, Slow)
	case f.Operation == "PutMetricData" && slices.Contains([]string{Partial, SeriesFail, Silent}, f.Kind):
		return errors.New("operation: PutMetricData has no series")
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, f)
	return nil
}

// injectJSON reads a Fault whose For is written as "2s".
func (s *Server) injectJSON(body io.Reader) error {
	var in struct {
		Fault
		For string `json:"for"`
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := unmarshalJSON(b, &in); err != nil {
		return err
	}
	if in.For != "" {
		if in.Fault.For, err = time.ParseDuration(in.For); err != nil {
			return fmt.Errorf("for: %w", err)
		}
	}
	return s.Inject(in.Fault)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

// next takes the fault that befalls a call of the operation, if any.
func (fs *faults) next(operation string) Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range fs.list {
		f := &fs.list[i]
		if f.Operation != "" && f.Operation != operation {
			continue
		}
		took := *f
		if f.Times == 1 {
			fs.list = slices.Delete(fs.list, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return took
	}
	return Fault{}
}

// refusal is the error answer of a fault, if it is of that sort.
func (f Fault) refusal() error {
	switch f.Kind {
	case Throttle:
		return &apiError{status: 400, code: "ThrottlingException", query: "Throttling", message: "Rate exceeded"}
	case Internal:
		return &apiError{status: 500, code: "InternalServiceFault", query: "InternalServiceError", message: "Request processing has failed due to some unknown error, exception or failure."}
	case Denied:
		return &apiError{status: 403, code: "AccessDeniedException", query: "AccessDenied", message: "User is not authorized to perform this operation."}
	}
	return nil
}

// spoil changes the series of a good answer.
func (f Fault) spoil(out *getMetricDataOutput) {
	for i := range out.MetricDataResults {
		r := &out.MetricDataResults[i]
		switch f.Kind {
		case Silent:
			r.Timestamps, r.Values = []stamp{}, []float64{}
		case SeriesFail:
			r.Timestamps, r.Values, r.StatusCode = []stamp{}, []float64{}, "InternalError"
		case Partial:
			r.StatusCode = "PartialData"
			half := 0
			for j := 0; j < len(r.Values); j += 2 {
				r.Timestamps[half], r.Values[half] = r.Timestamps[j], r.Values[j]
				half++
			}
			r.Timestamps, r.Values = r.Timestamps[:half], r.Values[:half]
		}
	}
}
