package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// normal rewrites a valid value into its plain form, as the schema says: strings
// with a unit become numbers, a bare weight becomes a step, and what is absent
// takes its default. Strings that say something the pattern cannot refuse, such
// as a time beyond a year, are added to problems.
func (s schema) normal(src source, part map[string]any, value any, at place, problems *Errors) any {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if sub := s.child(part, key); sub != nil {
				v[key] = s.normal(src, sub, child, at.with(key), problems)
			}
		}
		s.defaults(src, part, v, at, problems)
	case []any:
		for i := range v {
			v[i] = s.normal(src, s.child(part, strconv.Itoa(i)), v[i], at.with(strconv.Itoa(i)), problems)
		}
	case string:
		unit, _ := part["x-unit"].(string)
		n, err := inUnit(unit, v)
		if err == nil {
			err = within(part, n)
		}
		if err != nil {
			node, _ := find(src.docs[0], at)
			*problems = append(*problems, src.at(node, at.String(), describe(node), expected(part, err.Error())))
		}
		return n
	}
	return value
}

// defaults adds to an object the properties that are absent and have a default.
func (s schema) defaults(src source, part, object map[string]any, at place, problems *Errors) {
	props, _ := part["properties"].(map[string]any)
	for name := range props {
		if _, there := object[name]; there {
			continue
		}
		sub := s.child(part, name)
		fallback, ok := sub["default"]
		if !ok {
			continue
		}
		if _, isObject := fallback.(map[string]any); isObject {
			fallback = map[string]any{} // not the schema's own
		}
		object[name] = s.normal(src, sub, fallback, at.with(name), problems)
	}
}

// inUnit reads text in a unit of the schema (x-unit); without one it stays text.
func inUnit(unit, text string) (any, error) {
	switch unit {
	case "percent":
		return strconv.ParseFloat(text, 64)
	case "share":
		n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		return n / 100, err
	case "seconds":
		d, err := time.ParseDuration(text)
		return d.Seconds(), err
	}
	return text, nil
}

// within holds a number that was text against the schema's maximum, which is checked on numbers only.
func within(part map[string]any, value any) error {
	n, number := value.(float64)
	if most, bounded := part["maximum"].(float64); number && bounded && n > most {
		return fmt.Errorf("at most %v", most)
	}
	return nil
}

// year is how long an execution of Step Functions may last.
const year = 365 * 24 * time.Hour
