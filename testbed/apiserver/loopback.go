package apiserver

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	endpointslicestorage "k8s.io/kubernetes/pkg/registry/discovery/endpointslice/storage"
)

// loopbackError is what Kubernetes says of an endpoint at a loopback address
// (ValidateEndpointIP in pkg/apis/core/validation).
const loopbackError = "may not be in the loopback range"

// takeLoopback makes the storage of EndpointSlices take loopback addresses,
// where the bed's pods live. Nothing else is relaxed.
func takeLoopback(storages []controlplaneapiserver.RESTStorageProvider) error {
	for i, s := range storages {
		if s.GroupName() == "discovery.k8s.io" {
			storages[i] = discoveryStorage{s}
			return nil
		}
	}
	return fmt.Errorf("no storage for discovery.k8s.io among %d", len(storages))
}

type discoveryStorage struct {
	controlplaneapiserver.RESTStorageProvider
}

func (s discoveryStorage) NewRESTStorage(resources serverstorage.APIResourceConfigSource, options generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	info, err := s.RESTStorageProvider.NewRESTStorage(resources, options)
	if err != nil {
		return info, err
	}
	slices, ok := info.VersionedResourcesStorageMap["v1"]["endpointslices"].(*endpointslicestorage.REST)
	if !ok {
		return info, fmt.Errorf("no EndpointSlice storage in discovery.k8s.io/v1")
	}
	slices.CreateStrategy = loopbackCreate{slices.CreateStrategy}
	slices.UpdateStrategy = loopbackUpdate{slices.UpdateStrategy}
	return info, nil
}

type loopbackCreate struct{ rest.RESTCreateStrategy }

func (s loopbackCreate) Validate(ctx context.Context, o runtime.Object) field.ErrorList {
	return withoutLoopback(s.RESTCreateStrategy.Validate(ctx, o))
}

type loopbackUpdate struct{ rest.RESTUpdateStrategy }

func (s loopbackUpdate) ValidateUpdate(ctx context.Context, o, old runtime.Object) field.ErrorList {
	return withoutLoopback(s.RESTUpdateStrategy.ValidateUpdate(ctx, o, old))
}

func withoutLoopback(errs field.ErrorList) field.ErrorList {
	var kept field.ErrorList
	for _, e := range errs {
		if !strings.Contains(e.Detail, loopbackError) {
			kept = append(kept, e)
		}
	}
	return kept
}
