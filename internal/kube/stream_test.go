package kube_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A script is an API server that answers watches one after the other as written.
// It runs without a network, so that synctest holds the time, and finds goroutines
// that are left.
type script struct {
	dynamic.Interface
	dynamic.NamespaceableResourceInterface
	watches []func(metav1.ListOptions, chan<- watch.Event) error
	list    *unstructured.UnstructuredList

	mu   sync.Mutex
	seen []string
}

func (s *script) Resource(schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return s
}

func (s *script) Namespace(string) dynamic.ResourceInterface { return s }

func (s *script) List(_ context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	s.note("list " + o.LabelSelector)
	return s.list, nil
}

func (s *script) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, line)
}

func (s *script) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	s.mu.Lock()
	n := len(s.seen)
	s.mu.Unlock()
	line := "watch from " + o.ResourceVersion
	if o.SendInitialEvents != nil && *o.SendInitialEvents {
		line = "watch with initial events"
	}
	s.note(line)
	next := s.watches[min(n, len(s.watches)-1)]
	events := make(chan watch.Event, 20)
	if err := next(o, events); err != nil {
		return nil, err
	}
	return watch.NewProxyWatcher(events), nil
}

func object(name, version string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"kind": "Pod", "apiVersion": "v1",
		"metadata": map[string]any{"name": name, "uid": name, "resourceVersion": version}}}
}

func event(t watch.EventType, name, version string) watch.Event {
	return watch.Event{Type: t, Object: object(name, version)}
}

// complete is the bookmark that ends the initial events.
func complete(version string) watch.Event {
	o := object("", version)
	o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return watch.Event{Type: watch.Bookmark, Object: o}
}

// sends gives the events, and then ends the watch or lets it stand.
func sends(ends bool, events ...watch.Event) func(metav1.ListOptions, chan<- watch.Event) error {
	return func(_ metav1.ListOptions, to chan<- watch.Event) error {
		for _, e := range events {
			to <- e
		}
		if ends {
			close(to)
		}
		return nil
	}
}

func fails(err error) func(metav1.ListOptions, chan<- watch.Event) error {
	return func(metav1.ListOptions, chan<- watch.Event) error { return err }
}

var pods = kube.Selection{Namespace: "shop", Resource: kube.Pods, Labels: "app=x"}

// watchAll gives the pictures that a watch shows until it saw the last one, or ended.
func watchAll(ctx context.Context, s *script, last string) ([]string, error) {
	var pictures []string
	err := kube.New(s).Watch(ctx, pods, func(o kube.Objects) bool {
		names := slices.Sorted(maps.Keys(o))
		picture := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(names), "[]")), " ")
		pictures = append(pictures, picture)
		return picture == last
	})
	return pictures, err
}

func TestWatch(t *testing.T) {
	expired := apierrors.NewResourceExpired("too old")
	for name, tt := range map[string]struct {
		script   *script
		pictures []string
		seen     []string
	}{
		"the present state comes in one picture, and then each change": {
			&script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{
				sends(false, event(watch.Added, "a", "3"), event(watch.Added, "b", "2"), complete("5"),
					event(watch.Modified, "a", "6"), event(watch.Deleted, "b", "7"), event(watch.Added, "end", "8")),
			}},
			[]string{"a b", "a b", "a", "a end"},
			[]string{"watch with initial events"},
		},
		"a watch that ends goes on from where it was": {
			&script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{
				sends(true, event(watch.Added, "a", "3"), complete("5"), event(watch.Bookmark, "", "9")),
				sends(false, event(watch.Added, "end", "10")),
			}},
			[]string{"a", "a end"},
			[]string{"watch with initial events", "watch from 9"},
		},
		"initial events that break off begin anew": {
			&script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{
				sends(true, event(watch.Added, "gone", "3")),
				sends(false, event(watch.Added, "end", "4"), complete("5")),
			}},
			[]string{"end"},
			[]string{"watch with initial events", "watch with initial events"},
		},
		"a watch that expired begins anew, and forgets what is gone": {
			&script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{
				sends(true, event(watch.Added, "a", "3"), complete("5"), watch.Event{Type: watch.Error, Object: &expired.ErrStatus}),
				sends(false, event(watch.Added, "end", "90"), complete("91")),
			}},
			[]string{"a", "end"},
			[]string{"watch with initial events", "watch with initial events"},
		},
		"a watch that cannot be opened from an old version begins anew": {
			&script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{
				sends(true, event(watch.Added, "a", "3"), complete("5")),
				fails(expired),
				sends(false, event(watch.Added, "end", "90"), complete("91")),
			}},
			[]string{"a", "end"},
			[]string{"watch with initial events", "watch from 5", "watch with initial events"},
		},
		"a server that sends no initial events is asked for a list": {
			&script{
				list: &unstructured.UnstructuredList{Object: map[string]any{"metadata": map[string]any{"resourceVersion": "40"}},
					Items: []unstructured.Unstructured{*object("a", "3")}},
				watches: []func(metav1.ListOptions, chan<- watch.Event) error{
					fails(apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil)),
					nil, // the list
					sends(false, event(watch.Added, "end", "41")),
				},
			},
			[]string{"a", "a end"},
			[]string{"watch with initial events", "list app=x", "watch from 40"},
		},
		"a failure that passes is borne": {
			&script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{
				fails(apierrors.NewServiceUnavailable("restarting")),
				fails(apierrors.NewTooManyRequests("slow down", 1)),
				sends(false, event(watch.Added, "end", "4"), complete("5")),
			}},
			[]string{"end"},
			[]string{"watch with initial events", "watch with initial events", "watch with initial events"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				last := tt.pictures[len(tt.pictures)-1]
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				pictures, err := watchAll(ctx, tt.script, last)
				if err != nil {
					t.Errorf("Watch() = %v", err)
				}
				if diff := cmp.Diff(tt.pictures, pictures); diff != "" {
					t.Errorf("pictures (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.seen, tt.script.seen); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Old news counts as nothing after a while; a watch that may not be is told at once.
func TestAWatchThatCannotBeKeptUpEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		err      error
		kind     fault.Kind
		min, max time.Duration
	}{
		"the server is away":  {apierrors.NewServiceUnavailable("gone"), fault.Transient, 10 * time.Second, 13 * time.Second},
		"no right to watch":   {apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no")), fault.Invalid, 0, 0},
		"no such kind at all": {apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, ""), fault.NotFound, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{fails(tt.err)}}
				start := time.Now()
				_, err := watchAll(t.Context(), s, "never")
				if took := time.Since(start); fault.Of(err) != tt.kind || took < tt.min || took > tt.max {
					t.Errorf("Watch() = %v of kind %v after %v; want %v after %v to %v", err, fault.Of(err), took, tt.kind, tt.min, tt.max)
				}
			})
		})
	}
}

// Synctest fails the test if a goroutine of the follower is left at its end.
func TestNothingIsLeftAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{watches: []func(metav1.ListOptions, chan<- watch.Event) error{sends(false, complete("5"))}}
		f, err := kube.NewCluster(kube.New(s)).Follow(t.Context(), workload.Service{Namespace: "shop", Name: "checkout"},
			workload.Version{Name: "checkout-1", Deployment: "checkout-1", Number: 1, Ours: true})
		if err != nil {
			t.Fatal(err)
		}
		st, err := f.Next(t.Context(), time.Second)
		if err != nil || !st.Fatal {
			t.Errorf("Next() = %+v, %v; want a Deployment that does not exist", st, err)
		}
		f.Close()
		f.Close()
	})
}
