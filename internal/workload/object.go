package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// The labels and the annotation that say what is ours, on every object that we
// apply.
const (
	LabelManagedBy    = "app.kubernetes.io/managed-by"
	LabelService      = "stepcanary.dev/service"
	LabelVersion      = "stepcanary.dev/version"
	AnnotationRollout = "stepcanary.dev/rollout"
	// Manager is the value of LabelManagedBy and the field manager of every write.
	Manager = "stepcanary"
)

// Kind is the object's kind, such as Deployment.
func (o Object) Kind() string { return o.text("kind") }

// APIVersion is the object's group and version, such as apps/v1.
func (o Object) APIVersion() string { return o.text("apiVersion") }

// Group is the object's API group; empty for the core group.
func (o Object) Group() string {
	group, _, ok := strings.Cut(o.APIVersion(), "/")
	if !ok {
		return ""
	}
	return group
}

// Name is the object's name.
func (o Object) Name() string { return o.text("metadata", "name") }

// Namespace is the object's namespace; empty where it has none.
func (o Object) Namespace() string { return o.text("metadata", "namespace") }

// String names the object for people: "Deployment checkout-3".
func (o Object) String() string { return o.Kind() + " " + o.Name() }

// Label is one of the object's labels.
func (o Object) Label(key string) string { return o.text("metadata", "labels", key) }

// Field walks down maps; nil where the way ends early.
func (o Object) Field(path ...string) any {
	var at any = map[string]any(o)
	for _, key := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[key]
	}
	return at
}

func (o Object) text(path ...string) string {
	s, _ := o.Field(path...).(string)
	return s
}

// CreateOnly tells whether the object is of a kind that is written only where it
// does not exist: what holds weights belongs to the router, and the virtual
// service in front of a virtual router is the users' entrance.
func (o Object) CreateOnly() bool {
	switch o.Group() + "/" + o.Kind() {
	case "gateway.networking.k8s.io/HTTPRoute", "appmesh.k8s.aws/VirtualRouter", "appmesh.k8s.aws/VirtualService":
		return true
	}
	return false
}

// VersionName is the name of a version's Deployment and back end.
func VersionName(service string, number int) string {
	return service + "-" + strconv.Itoa(number)
}

// NumberOf is the number in a name of the form <service>-<number>; 0 in any other.
func NumberOf(service, name string) int {
	digits, ok := strings.CutPrefix(name, service+"-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n <= 0 || VersionName(service, n) != name {
		return 0
	}
	return n
}

// Versioned tells whether an object belongs to one version alone, by its name:
// the version's name, or the version's name with something before or after a dash
// or a dot. Everything else is shared by all versions and outlives each.
func (w Ownership) Versioned(name string) bool {
	v := VersionName(w.Service.Name, w.Version)
	for at := 0; ; {
		i := strings.Index(name[at:], v)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(v)
		if (i == 0 || strings.ContainsRune("-.", rune(name[i-1]))) &&
			(end == len(name) || strings.ContainsRune("-.", rune(name[end]))) {
			return true
		}
		at = i + 1
	}
}

// Labels are the labels of an object of that name.
func (w Ownership) Labels(name string) map[string]string {
	labels := map[string]string{LabelManagedBy: Manager, LabelService: w.Service.Name}
	if w.Versioned(name) {
		labels[LabelVersion] = strconv.Itoa(w.Version)
	}
	return labels
}

// Owned tells whether labels say that the object is ours and of this service, and,
// where it carries a version, of this one.
func (w Ownership) Owned(labels map[string]string) bool {
	v, versioned := labels[LabelVersion]
	return labels[LabelManagedBy] == Manager && labels[LabelService] == w.Service.Name &&
		(!versioned || v == strconv.Itoa(w.Version))
}

// OfAnother tells whether labels say that the object is ours, and of another service than this one.
func OfAnother(s Service, labels map[string]string) bool {
	of := labels[LabelService]
	return labels[LabelManagedBy] == Manager && of != "" && of != s.Name
}

// Keeps tells whether an object that exists with these labels stays as it is: what
// is created only once, and a shared Service that is somebody else's, which is the
// name that other services call.
func (w Ownership) Keeps(o Object, labels map[string]string) bool {
	return o.CreateOnly() || o.Kind() == "Service" && !w.Versioned(o.Name()) && !w.Owned(labels)
}

// Describe says what labels tell about an object's owner, for the error that
// refuses to touch it.
func Describe(labels map[string]string) string {
	if labels[LabelManagedBy] != Manager {
		if by := labels[LabelManagedBy]; by != "" {
			return fmt.Sprintf("it is managed by %q", by)
		}
		return "it carries no label of ours"
	}
	return fmt.Sprintf("it belongs to version %q of service %q", labels[LabelVersion], labels[LabelService])
}
