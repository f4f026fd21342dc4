package spec

import (
	"regexp"
	"strings"
)

// The grammar of image references is that of the distribution project:
// [registry[:port]/]path[:tag][@digest].
var (
	imageRegistry = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$`)
	imagePart     = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
	imageTag      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	imageDigest   = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)
)

// imageProblem says what an image reference should look like, or nothing where
// it is one.
func imageProblem(ref string) string {
	const form = "an image such as registry:5000/team/app:1.2 or team/app@sha256:<64 hex digits>"
	name, digest, hasDigest := strings.Cut(ref, "@")
	if hasDigest && !imageDigest.MatchString(digest) {
		return form + "; the digest is malformed"
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		if !imageTag.MatchString(name[i+1:]) {
			return form + "; the tag is malformed"
		}
		name = name[:i]
	}
	parts := strings.Split(name, "/")
	if first := parts[0]; len(parts) > 1 && (strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first) {
		if !imageRegistry.MatchString(first) {
			return form + "; the registry is malformed"
		}
		parts = parts[1:]
	}
	for _, p := range parts {
		if !imagePart.MatchString(p) {
			return form + "; a name is lower-case letters and digits with '.', '_' or '-' in between"
		}
	}
	if len(name) > 255 {
		return form + ", with a name of at most 255 characters"
	}
	return ""
}
