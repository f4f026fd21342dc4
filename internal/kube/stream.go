package kube

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Selection is a set of objects to watch.
type Selection struct {
	Namespace string
	Resource  schema.GroupVersionResource
	// Name, where set, selects one object.
	Name string
	// Labels is a label selector.
	Labels string
}

// String names the selection for errors.
func (s Selection) String() string {
	if s.Name != "" {
		return fmt.Sprintf("%s %s/%s", s.Resource.Resource, s.Namespace, s.Name)
	}
	return fmt.Sprintf("%s in %s with %s", s.Resource.Resource, s.Namespace, s.Labels)
}

// Objects is what a selection holds at one moment.
type Objects map[types.UID]*unstructured.Unstructured

const (
	// watchFor is how long one watch lives; the server ends it, and it is opened again
	// from where it was.
	watchFor = 300 * time.Second
	// blindFor is how long a watch may be broken until its last news counts as nothing.
	blindFor = 10 * time.Second
)

// A stream is one watch with what it has seen so far.
type stream struct {
	client  *Client
	what    Selection
	objects Objects
	// version is where the watch goes on from; empty before the first complete picture.
	version string
	// synced tells that objects is a complete picture.
	synced bool
	// noInitialEvents is set for a server that cannot send the present state in a watch.
	noInitialEvents bool
	// tell gets every complete picture that differs from the one before. The picture is
	// not to be kept. An end of the stream is told by its error.
	tell func(Objects)
}

// Watch calls see with every picture of the selection, the present one first,
// until see says it has seen enough, the context ends or the watch cannot be kept
// up. It is one request where the server can send the present state in a watch.
func (c *Client) Watch(ctx context.Context, what Selection, see func(Objects) (enough bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	enough := false
	s := &stream{client: c, what: what, objects: Objects{}, tell: func(o Objects) {
		if !enough && see(o) {
			enough = true
			cancel()
		}
	}}
	err := s.run(ctx)
	if enough {
		return nil
	}
	return err
}

// run watches until the context ends, and through every failure that may pass.
func (s *stream) run(ctx context.Context) error {
	var broken time.Time
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		progressed, err := s.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if progressed {
			broken, wait = time.Time{}, 50*time.Millisecond
		}
		if err == nil {
			continue // the server ended the watch in order
		}
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			s.forget()
			continue
		}
		if s.version == "" && !s.noInitialEvents && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) {
			s.noInitialEvents = true
			continue
		}
		if broken.IsZero() {
			broken = time.Now()
		}
		err = Fault(fmt.Sprintf("watch %v", s.what), err)
		if fault.Of(err) != fault.Transient || time.Since(broken) > blindFor {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (s *stream) forget() {
	s.objects, s.version, s.synced = Objects{}, "", false
}

func (s *stream) options() metav1.ListOptions {
	o := metav1.ListOptions{LabelSelector: s.what.Labels}
	if s.what.Name != "" {
		o.FieldSelector = "metadata.name=" + s.what.Name
	}
	return o
}

// once opens one watch and follows it to its end.
func (s *stream) once(ctx context.Context) (progressed bool, err error) {
	in := s.client.In(s.what.Namespace, s.what.Resource)
	o := s.options()
	if s.version == "" {
		s.forget()
		if s.noInitialEvents {
			if err := s.list(ctx); err != nil {
				return false, err
			}
		} else {
			yes := true
			o.SendInitialEvents, o.ResourceVersionMatch = &yes, metav1.ResourceVersionMatchNotOlderThan
		}
	}
	seconds := int64(watchFor / time.Second)
	o.TimeoutSeconds, o.AllowWatchBookmarks, o.ResourceVersion = &seconds, true, s.version
	w, err := in.Watch(ctx, o)
	if err != nil {
		return false, err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return progressed, ctx.Err()
		case e, open := <-w.ResultChan():
			if !open {
				return progressed, nil
			}
			if err := s.take(e); err != nil {
				return progressed, err
			}
			progressed = true
		}
	}
}

func (s *stream) list(ctx context.Context) error {
	ctx, cancel := Within(ctx)
	defer cancel()
	l, err := s.client.In(s.what.Namespace, s.what.Resource).List(ctx, s.options())
	if err != nil {
		return err
	}
	for i := range l.Items {
		s.objects[l.Items[i].GetUID()] = &l.Items[i]
	}
	s.version, s.synced = l.GetResourceVersion(), true
	s.tell(s.objects)
	return nil
}

// take applies one event to the picture.
func (s *stream) take(e watch.Event) error {
	if e.Type == watch.Error {
		return apierrors.FromObject(e.Object)
	}
	o, ok := e.Object.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("%w: event %q carries a %T", fault.Internal, e.Type, e.Object)
	}
	switch e.Type {
	case watch.Added, watch.Modified:
		s.objects[o.GetUID()] = o
	case watch.Deleted:
		delete(s.objects, o.GetUID())
	case watch.Bookmark:
		if o.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
			s.synced = true
			s.version = o.GetResourceVersion()
			s.tell(s.objects)
			return nil
		}
	}
	// Initial events come in no order of versions, so that a watch that breaks before
	// their end begins anew.
	if s.synced {
		s.version = o.GetResourceVersion()
		if e.Type != watch.Bookmark {
			s.tell(s.objects)
		}
	}
	return nil
}
