package spec

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Placeholders stand in places where they are no YAML, such as
// weightedTargets: [${CANARY_ROUTES}]. Before the parse they are masked with
// characters of Unicode's private use area, one for one, so that every position
// stays what it was.
const (
	maskDollar = '\uE000' // $ of a placeholder
	maskOpen   = '\uE001' // {
	maskClose  = '\uE002' // }
	maskEscape = '\uE003' // first $ of $${NAME}, which means the text ${NAME}
)

var (
	placeholder = regexp.MustCompile(`\$?\$\{[A-Za-z_][A-Za-z0-9_]*\}`)
	masked      = regexp.MustCompile("\uE000\uE001([A-Za-z0-9_]+)\uE002")
	unmasking   = strings.NewReplacer("\uE000", "$", "\uE001", "{", "\uE002", "}", "\uE003", "$")
)

// The variables of a template.
const (
	varNamespace = "KUBERNETES_NAMESPACE"
	varService   = "MICROSERVICE_NAME"
	varImage     = "CONTAINER_IMAGE"
	varVersion   = "CANARY_VERSION"
	varRoutes    = "CANARY_ROUTES"
)

var variables = []string{varNamespace, varService, varImage, varVersion, varRoutes}

// mask hides the placeholders of a template.
func mask(file string, data []byte) ([]byte, error) {
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r >= maskDollar && r <= maskEscape {
			return nil, Errors{{File: file, Line: line, Column: utf8.RuneCount(data[start:i]) + 1, Found: fmt.Sprintf("the private character %U", r), Want: "text"}}
		}
		if i += size; r == '\n' {
			line, start = line+1, i
		}
	}
	return placeholder.ReplaceAllFunc(data, func(m []byte) []byte {
		if bytes.HasPrefix(m, []byte("$$")) {
			return append([]byte(string(maskEscape)), m[1:]...)
		}
		return []byte(string(maskDollar) + string(maskOpen) + string(m[2:len(m)-1]) + string(maskClose))
	}), nil
}

// unmask gives text of a masked template as it was written.
func unmask(s string) string { return unmasking.Replace(s) }

// onlyPlaceholder tells whether a scalar is one placeholder and nothing else.
func onlyPlaceholder(text, name string) bool {
	return text == string(maskDollar)+string(maskOpen)+name+string(maskClose)
}
