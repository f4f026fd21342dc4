package spec

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Bound is a limit's number with the unit that it was written in.
type Bound struct {
	Set   bool
	Value float64
	// Unit is "" for a bare number, "share" for a percentage (Value is 0 to 1) and
	// "seconds" for a time.
	Unit string
}

// IsZero tells that no bound was written.
func (b Bound) IsZero() bool { return !b.Set }

// UnmarshalJSON reads 0.01, "1%" and "500ms".
func (b *Bound) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		n, err := strconv.ParseFloat(string(data), 64)
		*b = Bound{Set: true, Value: n}
		return err
	}
	if number, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(number, 64)
		*b = Bound{Set: true, Value: n / 100, Unit: "share"}
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("bound %q: %w", text, err)
	}
	*b = Bound{Set: true, Value: d.Seconds(), Unit: "seconds"}
	return nil
}

// MarshalJSON writes the bound with its unit.
func (b Bound) MarshalJSON() ([]byte, error) {
	n := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch b.Unit {
	case "share":
		return json.Marshal(n(b.Value*100) + "%")
	case "seconds":
		return json.Marshal(n(b.Value) + "s")
	}
	return []byte(n(b.Value)), nil
}
