package asl

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// format puts arguments in the place of {} in a text. Values inside are written
// as Java prints them, which is what AWS does.
func format(_ *scope, args []any) (any, error) {
	text, err := stringAt(args, 0)
	if err != nil {
		return nil, err
	}
	args = args[1:]
	var b strings.Builder
	used := 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && strings.IndexByte(`{}\`, text[i+1]) >= 0:
			i++
			b.WriteByte(text[i])
		case strings.HasPrefix(text[i:], "{}"):
			i++
			if used < len(args) {
				printJava(&b, args[used])
			}
			used++
		default:
			b.WriteByte(text[i])
		}
	}
	if used != len(args) {
		return nil, fmt.Errorf("the text has %d places for %d arguments", used, len(args))
	}
	return b.String(), nil
}

func printJava(b *strings.Builder, v any) {
	switch v := open(v).(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(v)
	case json.Number:
		b.WriteString(v.String())
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			printJava(b, x)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(k + "=")
			printJava(b, v[k])
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v)
	}
}
