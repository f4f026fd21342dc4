package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Reread reads the document of an execution that began, as it was sent. The engine had handed it to Parse without white
// space and with each field once, so that is how it is read again. Where Parse does not take it any more, because this
// build is stricter than the one that took it, whose it is, where its route is and who is told are all that is given: a
// rollout under way has to find its way back. What never began is told by the record, not by its document.
func Reread(name string, data []byte) (Spec, error) {
	var written map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&written); err != nil {
		return Spec{}, fmt.Errorf("%s: %w: %w", name, fault.Invalid, err)
	}
	plain, err := json.Marshal(written)
	if err != nil {
		return Spec{}, fmt.Errorf("%s: %w: %w", name, fault.Invalid, err)
	}
	s, refused := Parse(name, plain)
	if refused == nil {
		return s, nil
	}
	if s, ok := rest(written); ok {
		return s, nil
	}
	return Spec{}, refused
}

// rest is what the way back cannot do without, or false where it does not say whose it is.
func rest(written map[string]any) (s Spec, ok bool) {
	for field := range written {
		if !slices.Contains([]string{"cluster_name", "kubernetes_namespace", "microservice_name", "config_file", "router", "notifications"}, field) {
			delete(written, field)
		}
	}
	if b, err := json.Marshal(written); err == nil {
		_ = json.Unmarshal(b, &s) // a field of another type is left out, and hides no other
	}
	for i, n := range s.Notifications {
		if len(n.On) == 0 {
			s.Notifications[i].On = slices.Clone(toldOf)
		}
	}
	return s, isName("cluster_name", s.Cluster) && isName("kubernetes_namespace", s.Namespace) && isName("microservice_name", s.Service)
}

// isName tells whether a field's text is a name as the schema wants it.
func isName(field, text string) bool {
	pattern, _ := theSchema().under(place{field})["pattern"].(string)
	ok, err := regexp.MatchString(pattern, text)
	return err == nil && ok && text != ""
}
