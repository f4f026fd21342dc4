package asl

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
)

// A function is an intrinsic function and how many arguments it takes. A
// negative most is no bound.
type function struct {
	least, most int
	run         func(s *scope, args []any) (any, error)
}

func (f function) arity() string {
	switch {
	case f.most < 0:
		return fmt.Sprintf("%d or more arguments", f.least)
	case f.least != f.most:
		return fmt.Sprintf("%d to %d arguments", f.least, f.most)
	}
	return fmt.Sprintf("%d arguments", f.least)
}

// functions are all intrinsic functions of Step Functions, by name.
var functions = map[string]function{
	"States.Array":          {0, -1, func(_ *scope, args []any) (any, error) { return append([]any{}, args...), nil }},
	"States.ArrayPartition": {2, 2, arrayPartition},
	"States.ArrayContains":  {2, 2, arrayContains},
	"States.ArrayRange":     {3, 3, arrayRange},
	"States.ArrayGetItem":   {2, 2, arrayGetItem},
	"States.ArrayLength":    {1, 1, arrayLength},
	"States.ArrayUnique":    {1, 1, arrayUnique},
	"States.Base64Encode":   {1, 1, base64Encode},
	"States.Base64Decode":   {1, 1, base64Decode},
	"States.Hash":           {2, 2, hash},
	"States.JsonMerge":      {3, 3, jsonMerge},
	"States.StringToJson":   {1, 1, stringToJSON},
	"States.JsonToString":   {1, 1, func(_ *scope, args []any) (any, error) { return encode(args[0]), nil }},
	"States.MathRandom":     {2, 3, mathRandom},
	"States.MathAdd":        {2, 2, mathAdd},
	"States.StringSplit":    {2, 2, stringSplit},
	"States.UUID":           {0, 0, func(s *scope, _ []any) (any, error) { return s.uuid(), nil }},
	"States.Format":         {1, -1, format},
}

func wrongType(n int, want string, got any) error {
	return fmt.Errorf("argument %d must be %s but was %s", n, want, typeName(got))
}

func arrayAt(args []any, i int) ([]any, error) {
	l, ok := args[i].([]any)
	if !ok {
		return nil, wrongType(i+1, "an array", args[i])
	}
	return l, nil
}

func stringAt(args []any, i int) (string, error) {
	s, ok := args[i].(string)
	if !ok {
		return "", wrongType(i+1, "a string", args[i])
	}
	return s, nil
}

// roundedAt reads a number as MathAdd does: halves go up.
func roundedAt(args []any, i int) (int64, error) {
	if n, ok := integer(args[i]); ok {
		return n, nil
	}
	n, ok := args[i].(json.Number)
	if !ok {
		return 0, wrongType(i+1, "a number", args[i])
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > math.MaxInt32 {
		return 0, fmt.Errorf("argument %d is out of range: %s", i+1, n)
	}
	return int64(math.Floor(f + 0.5)), nil
}

func arrayPartition(_ *scope, args []any) (any, error) {
	l, err := arrayAt(args, 0)
	if err != nil {
		return nil, err
	}
	size, err := roundedAt(args, 1)
	if err != nil {
		return nil, err
	}
	if size <= 0 {
		return nil, fmt.Errorf("argument 2 must be positive but was %d", size)
	}
	out := []any{}
	for len(l) > 0 {
		n := int(min(size, int64(len(l))))
		out = append(out, append([]any{}, l[:n]...))
		l = l[n:]
	}
	return out, nil
}

func arrayContains(_ *scope, args []any) (any, error) {
	l, err := arrayAt(args, 0)
	if err != nil {
		return nil, err
	}
	for _, x := range l {
		if equal(x, args[1]) {
			return true, nil
		}
	}
	return false, nil
}

func arrayRange(_ *scope, args []any) (any, error) {
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = roundedAt(args, i); err != nil {
			return nil, err
		}
	}
	from, to, step := n[0], n[1], n[2]
	const bound = 1 << 52
	if step == 0 || max(from, to, step) > bound || min(from, to, step) < -bound {
		return nil, errors.New("the step must not be 0, and the bounds must be within 2^52")
	}
	out := []any{}
	for i := from; step > 0 && i <= to || step < 0 && i >= to; i += step {
		if len(out) == 1000 {
			return nil, errors.New("the array would have more than 1000 elements")
		}
		out = append(out, number(i))
	}
	return out, nil
}

func arrayGetItem(_ *scope, args []any) (any, error) {
	l, err := arrayAt(args, 0)
	if err != nil {
		return nil, err
	}
	i, err := roundedAt(args, 1)
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= int64(len(l)) {
		return nil, fmt.Errorf("index %d is outside of an array of %d", i, len(l))
	}
	return l[i], nil
}

func arrayLength(_ *scope, args []any) (any, error) {
	l, err := arrayAt(args, 0)
	return number(int64(len(l))), err
}

func arrayUnique(_ *scope, args []any) (any, error) {
	l, err := arrayAt(args, 0)
	if err != nil {
		return nil, err
	}
	out, seen := []any{}, map[string]bool{}
	for _, x := range l {
		if key := encode(whole(x)); !seen[key] {
			seen[key] = true
			out = append(out, x)
		}
	}
	return out, nil
}

// maxCoded is the longest text that Base64 functions and Hash take.
const maxCoded = 10000

func base64Encode(_ *scope, args []any) (any, error) {
	s, err := stringAt(args, 0)
	if err != nil {
		return nil, err
	}
	if len(s) > maxCoded {
		return nil, fmt.Errorf("argument 1 is longer than %d", maxCoded)
	}
	return base64.StdEncoding.EncodeToString([]byte(s)), nil
}

func base64Decode(_ *scope, args []any) (any, error) {
	s, err := stringAt(args, 0)
	if err != nil {
		return nil, err
	}
	if len(s) > maxCoded {
		return nil, fmt.Errorf("argument 1 is longer than %d", maxCoded)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	return string(b), err
}

func hash(_ *scope, args []any) (any, error) {
	data, ok := args[0].(string)
	if !ok {
		data = encode(args[0])
	}
	if len(data) > maxCoded {
		return nil, fmt.Errorf("argument 1 is longer than %d", maxCoded)
	}
	var sum []byte
	switch name, _ := args[1].(string); name {
	case "MD5":
		h := md5.Sum([]byte(data))
		sum = h[:]
	case "SHA-1":
		h := sha1.Sum([]byte(data))
		sum = h[:]
	case "SHA-256":
		h := sha256.Sum256([]byte(data))
		sum = h[:]
	case "SHA-384":
		h := sha512.Sum384([]byte(data))
		sum = h[:]
	case "SHA-512":
		h := sha512.Sum512([]byte(data))
		sum = h[:]
	default:
		return nil, fmt.Errorf("argument 2 must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512 but was %s", encode(args[1]))
	}
	return hex.EncodeToString(sum), nil
}

func jsonMerge(_ *scope, args []any) (any, error) {
	a, ok := args[0].(map[string]any)
	if !ok {
		return nil, wrongType(1, "an object", args[0])
	}
	b, ok := args[1].(map[string]any)
	if !ok {
		return nil, wrongType(2, "an object", args[1])
	}
	if args[2] != false {
		return nil, errors.New("argument 3 must be false: only the shallow merge exists")
	}
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out, nil
}

func stringToJSON(_ *scope, args []any) (any, error) {
	s, err := stringAt(args, 0)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	v, err := decode(s)
	if n, ok := v.(json.Number); ok && n == "-0" {
		v = number(0)
	}
	return v, err
}

func mathRandom(s *scope, args []any) (any, error) {
	from, err := roundedAt(args, 0)
	if err != nil {
		return nil, err
	}
	to, err := roundedAt(args, 1)
	if err != nil {
		return nil, err
	}
	if to <= from {
		return nil, fmt.Errorf("argument 2 must be above argument 1, %d", from)
	}
	share := s.random
	if len(args) == 3 {
		seed, err := roundedAt(args, 2)
		if err != nil {
			return nil, err
		}
		share = rand.New(rand.NewPCG(uint64(seed), 0)).Float64
	}
	return number(from + int64(share()*float64(to-from))), nil
}

func mathAdd(_ *scope, args []any) (any, error) {
	a, err := roundedAt(args, 0)
	if err != nil {
		return nil, err
	}
	b, err := roundedAt(args, 1)
	if err != nil {
		return nil, err
	}
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return nil, errors.New("the sum is out of range")
	}
	return number(a + b), nil
}

// stringSplit takes each character of the second argument as a separator, and
// drops empty pieces.
func stringSplit(_ *scope, args []any) (any, error) {
	s, err := stringAt(args, 0)
	if err != nil {
		return nil, err
	}
	separators, err := stringAt(args, 1)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, piece := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		out = append(out, piece)
	}
	return out, nil
}
