package apiserver

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/client-go/kubernetes"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/kubernetes/pkg/controlplane/controller/defaultservicecidr"
)

// newChain builds what kube-apiserver's own CreateServerChain builds, custom
// resources below the built-in groups below the aggregator, with one change:
// the storage of discovery.k8s.io takes loopback addresses when they are what
// the bed has. CreateServerChain
// leaves no place to change one storage, so the steps are taken one by one.
func newChain(opts options.CompletedOptions, loopback bool) (*aggregatorapiserver.APIAggregator, error) {
	unfinished, err := app.NewConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	config, err := unfinished.Complete()
	if err != nil {
		return nil, fmt.Errorf("complete the configuration: %w", err)
	}
	generic := config.KubeAPIs.ControlPlane.Generic
	notFound := notfoundhandler.New(generic.Serializer, genericapifilters.NoMuxAndDiscoveryIncompleteKey)
	extensions, err := config.ApiExtensions.New(genericapiserver.NewEmptyDelegateWithCustomHandler(notFound))
	if err != nil {
		return nil, fmt.Errorf("build the custom resources' server: %w", err)
	}
	core, err := newCore(config.KubeAPIs, extensions.GenericAPIServer, loopback)
	if err != nil {
		return nil, fmt.Errorf("build the built-in resources' server: %w", err)
	}
	crds := config.ApiExtensions.GenericConfig.MergedResourceConfig.ResourceEnabled(
		apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	aggregator, err := controlplaneapiserver.CreateAggregatorServer(config.Aggregator, core.GenericAPIServer,
		extensions.Informers.Apiextensions().V1().CustomResourceDefinitions(), crds, groupPriorities())
	if err != nil {
		return nil, fmt.Errorf("build the aggregator: %w", err)
	}
	return aggregator, nil
}

// newCore is controlplane's own constructor with the discovery storage wrapped
// and without the controller that publishes the API server's endpoints, which
// has nothing to do when the endpoint reconciler is off.
func newCore(config controlplane.CompletedConfig, below genericapiserver.DelegationTarget, loopback bool) (*controlplaneapiserver.Server, error) {
	server, err := config.ControlPlane.New(controlplaneapiserver.KubeAPIServer, below)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config.ControlPlane.Generic.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	storages, err := config.StorageProviders(client)
	if err != nil {
		return nil, err
	}
	if loopback {
		if err := takeLoopback(storages); err != nil {
			return nil, err
		}
	}
	if err := server.InstallAPIs(storages...); err != nil {
		return nil, err
	}
	serviceRange, second := config.Extra.ServiceIPRange, config.Extra.SecondaryServiceIPRange
	err = server.GenericAPIServer.AddPostStartHook("start-kubernetes-service-cidr-controller",
		func(hook genericapiserver.PostStartHookContext) error {
			defaultservicecidr.NewController(serviceRange, second, client).Start(hook)
			return nil
		})
	return server, err
}

// groupPriorities orders the API groups in discovery. Without an entry here
// the aggregator serves no built-in group at all.
func groupPriorities() map[schema.GroupVersion]controlplaneapiserver.APIServicePriority {
	priorities := controlplaneapiserver.DefaultGenericAPIServicePriorities()
	// Groups that controlplane's defaults leave to kube-apiserver, with their
	// versions from the most to the least preferred.
	for i, group := range []string{
		"apps v1", "autoscaling v2 v1", "batch v1", "networking.k8s.io v1 v1beta1", "policy v1",
		"storage.k8s.io v1 v1beta1", "scheduling.k8s.io v1", "node.k8s.io v1", "resource.k8s.io v1 v1beta2 v1beta1",
	} {
		fields := strings.Fields(group)
		for j, version := range fields[1:] {
			priorities[schema.GroupVersion{Group: fields[0], Version: version}] = controlplaneapiserver.APIServicePriority{
				Group: int32(17800 - 100*i), Version: int32(30 - j),
			}
		}
	}
	return priorities
}
