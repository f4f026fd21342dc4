// Package workload is the port to the cluster's side of a rollout: the versions
// of a service, their readiness, and the events that tell people what happens.
// Its drivers are kube, for a real cluster, and memory, for simulations and
// tests; both pass the suite in workloadtest.
package workload

import (
	"context"
	"time"
)

// A Service names what is rolled out.
type Service struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// A Version is one version of a service as the cluster has it: a Deployment and
// the back end that leads to it. In a rollout of ours both are called
// <service>-<number>; an adopted service keeps whatever names it had.
type Version struct {
	// Name is the back end's name, as the route names it.
	Name string `json:"name"`
	// Number is the version number of ours. Of an adopted version it is the one that its
	// name ends with, if that is <service>-<number>, so that no rollout of ours gives
	// the same name out again; else 0.
	Number int `json:"number,omitempty"`
	// Deployment is the workload's name.
	Deployment string `json:"deployment"`
	Image      string `json:"image"`
	// Replicas is how many the Deployment asks for now.
	Replicas int `json:"replicas"`
	// Ours tells that a rollout of ours made the objects, so that we may remove them.
	Ours bool `json:"ours"`
	// Rollout is the execution that made it.
	Rollout string `json:"rollout,omitempty"`
	// Selector is that of an adopted back end's Service, such as app=checkout,tier=web.
	Selector string `json:"selector,omitempty"`
}

// An Object is a Kubernetes object as parsed YAML.
type Object map[string]any

// Ownership is written as labels and annotations on every object we apply.
type Ownership struct {
	Service Service
	Version int
	// Execution is the rollout that applies the object.
	Execution string
	// Replicas, where above zero, replaces the Deployment's own figure, so that a
	// canary starts as large as the stable that an autoscaler has grown.
	Replicas int
}

// A Status is what Kubernetes says of one version at one moment.
type Status struct {
	Desired   int `json:"desired"`
	Ready     int `json:"ready"`
	Endpoints int `json:"endpoints"`
	// Problem is what is wrong, in Kubernetes' own words with the container's name,
	// or empty: "CrashLoopBackOff: container app: exit code 1, restarted 3 times".
	Problem string `json:"problem,omitempty"`
	// Fatal tells that waiting will not help: an image that cannot be pulled, a
	// container that keeps crashing, a Deployment past its progress deadline.
	Fatal bool `json:"fatal,omitempty"`
}

// Available tells whether the version is as it was asked for: all of its pods
// ready and behind its Service.
func (s Status) Available() bool {
	return s.Desired > 0 && s.Ready >= s.Desired && s.Endpoints >= s.Desired && s.Problem == ""
}

// A Note is a Kubernetes Event on the service's Deployment, in people's words.
type Note struct {
	// On is the Deployment that the event regards.
	On string
	// Reason is one CamelCase word, such as WeightShifted.
	Reason  string
	Message string
	Warning bool
}

// A Cluster is one Kubernetes cluster. Errors carry a fault.Kind: Transient for
// 429, 5xx and time-outs, Conflict for a write that lost, Invalid for an object
// that the API server refuses or a right that is missing (RBAC), with its words.
type Cluster interface {
	// Versions lists the versions of the service that are ours, and no others, by
	// rising number.
	Versions(ctx context.Context, s Service) ([]Version, error)

	// Adopt finds the version behind a back end that is not ours: the Service of
	// that name and the Deployment that its selector leads to. A back end behind which
	// nothing answers is fault.NotFound; one that something else than a Deployment answers
	// for serves, and is fault.Refused, as is a version of another service of ours.
	Adopt(ctx context.Context, s Service, backend string) (Version, error)

	// Apply writes the objects by server-side apply, labelled as o says. It is
	// idempotent. An object that exists and belongs to something else is refused
	// with fault.Invalid before any is written. Objects in create-only kinds (the
	// route) are written only where they do not exist.
	Apply(ctx context.Context, objects []Object, o Ownership) error

	// DryRun asks whether the cluster would take what Apply would write, and writes nothing.
	// Whoever has a say there has it: types and bounds of all kinds, quotas on the objects,
	// admission policies. Errors are those of Apply.
	DryRun(ctx context.Context, objects []Object, o Ownership) error

	// Follow watches one version.
	Follow(ctx context.Context, s Service, v Version) (Follower, error)

	// Remove deletes what is ours of a version: in the end nothing of it is left. What
	// is gone already is no error; a version that is not ours is left alone.
	Remove(ctx context.Context, s Service, v Version) error

	// Tell writes a Kubernetes Event. It is best effort: the caller may go on after
	// an error.
	Tell(ctx context.Context, s Service, n Note) error
}

// A Follower watches one version's pods, Deployment and endpoints.
type Follower interface {
	// Next gives the status as soon as it differs from the one given last, or the
	// same again when d has passed. The first call gives the status of now.
	Next(ctx context.Context, d time.Duration) (Status, error)
	// Close ends the watch.
	Close()
}
