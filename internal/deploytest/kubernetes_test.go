//go:build linux

package deploytest

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	checkapps "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	checkcore "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	checkpolicy "k8s.io/kubernetes/pkg/apis/policy/validation"
	podsecurity "k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
)

// kubernetes is what deploy/kubernetes.yaml holds, with the defaults of what it leaves out.
type kubernetes struct {
	deployment *appsv1.Deployment
	container  *corev1.Container
	service    *corev1.Service
	budget     *policyv1.PodDisruptionBudget
}

// loadKubernetes reads deploy/kubernetes.yaml as Kubernetes does: without fields that nobody knows, and checked by its
// own rules.
func loadKubernetes(t *testing.T) (k kubernetes) {
	t.Helper()
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(read(t, "deploy/kubernetes.yaml"))))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		object, kind, err := codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		legacyscheme.Scheme.Default(object)
		checked := object.DeepCopyObject()
		if object, ok := checked.(metav1.Object); ok {
			object.SetNamespace("default") // as kubectl does
		}
		internal, err := legacyscheme.Scheme.ConvertToVersion(checked, runtime.InternalGroupVersioner)
		if err != nil {
			t.Fatal(err)
		}
		var faults field.ErrorList
		switch object := internal.(type) {
		case *apps.Deployment:
			faults = checkapps.ValidateDeployment(object, pod.GetValidationOptionsFromPodTemplate(&object.Spec.Template, nil))
		case *core.Service:
			faults = checkcore.ValidateServiceCreate(object)
		case *policy.PodDisruptionBudget:
			faults = checkpolicy.ValidatePodDisruptionBudget(object, checkpolicy.PodDisruptionBudgetValidationOptions{})
		default:
			t.Errorf("this test does not check a %s", kind)
		}
		for _, fault := range faults {
			t.Errorf("%s: %v", kind, fault)
		}
		switch object := object.(type) {
		case *appsv1.Deployment:
			k.deployment, k.container = object, &object.Spec.Template.Spec.Containers[0]
		case *corev1.Service:
			k.service = object
		case *policyv1.PodDisruptionBudget:
			k.budget = object
		}
	}
	if k.deployment == nil || k.service == nil || k.budget == nil {
		t.Fatal("something is missing in deploy/kubernetes.yaml")
	}
	return k
}

func TestKubernetes(t *testing.T) {
	k := loadKubernetes(t)
	template := k.deployment.Spec.Template
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for _, check := range evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
		if !check.Allowed {
			t.Errorf("the pod security standard %q forbids it: %s (%s)", restricted.Level, check.ForbiddenReason, check.ForbiddenDetail)
		}
	}
	if may := k.container.SecurityContext; !*may.ReadOnlyRootFilesystem {
		t.Error("the file system is not read-only")
	}
	if user := template.Spec.SecurityContext.RunAsUser; *user != nonroot {
		t.Errorf("it runs as %d, and the image's user is %d", *user, nonroot)
	}
	if *template.Spec.AutomountServiceAccountToken {
		t.Error("it holds a token of the cluster's")
	}

	pods := labels.Set(template.Labels)
	if !labels.SelectorFromSet(k.service.Spec.Selector).Matches(pods) {
		t.Error("the service does not lead to the servers")
	}
	if port := k.service.Spec.Ports[0].TargetPort; k.port(t, port) == "" {
		t.Errorf("the service leads to port %s, which is none of the server's", port.String())
	}
	if kept, err := metav1.LabelSelectorAsSelector(k.budget.Spec.Selector); err != nil || !kept.Matches(pods) {
		t.Errorf("the budget is of other pods: %v", err)
	}
	if kept := k.budget.Spec.MinAvailable.IntVal; kept < 1 || kept >= *k.deployment.Spec.Replicas {
		t.Errorf("of %d servers %d are kept: no node could be drained, or all go at once", *k.deployment.Spec.Replicas, kept)
	}
	for name, probe := range map[string]*corev1.Probe{"startup": k.container.StartupProbe, "readiness": k.container.ReadinessProbe} {
		if probe.HTTPGet == nil || probe.HTTPGet.Path != "/readyz" {
			t.Errorf("the %s probe does not ask /readyz", name)
		}
	}
	if k.container.LivenessProbe.HTTPGet != nil {
		t.Error("a server is restarted where its database fails")
	}
	for _, variable := range k.container.Env {
		if variable.Name == "GOMEMLIMIT" {
			bound := resource.MustParse(strings.TrimSuffix(variable.Value, "B"))
			if limit := k.container.Resources.Limits[corev1.ResourceMemory]; bound.Cmp(limit) >= 0 {
				t.Errorf("the server collects memory at %s, and is killed at %s", &bound, &limit)
			}
		}
	}
}

// port is the number of a port of the container's, which may be named, or "".
func (k kubernetes) port(t *testing.T, wanted intstr.IntOrString) string {
	t.Helper()
	for _, port := range k.container.Ports {
		if wanted == intstr.FromString(port.Name) || wanted == intstr.FromInt32(port.ContainerPort) {
			return strconv.Itoa(int(port.ContainerPort))
		}
	}
	return ""
}

// startInKubernetes starts the server with the arguments and variables of its container, on another database, and asks it
// what the probes ask.
func startInKubernetes(t *testing.T, image image) {
	k := loadKubernetes(t)
	if k.container.Command != nil || len(k.container.EnvFrom) != 1 || k.container.EnvFrom[0].SecretRef == nil {
		t.Fatalf("the container is started otherwise than here: %+v", k.container)
	}
	variables := composeVariables()
	secret := map[string]string{"AUDITLOGS_DATABASE": newDatabase(t), "AUDITLOGS_SECRET_KEY": variables["AUDITLOGS_SECRET_KEY"]}
	var environment []string
	for _, literal := range regexp.MustCompile(`--from-literal=(\w+)=`).FindAllStringSubmatch(read(t, "deploy/kubernetes.yaml"), -1) {
		environment = append(environment, literal[1]+"="+secret[literal[1]])
		delete(secret, literal[1])
	}
	if len(secret) > 0 {
		t.Errorf("the secret lacks %v", secret)
	}
	for _, variable := range k.container.Env {
		environment = append(environment, variable.Name+"="+variable.Value)
	}
	server := image.start(t, k.container.Args, environment)
	for _, probe := range []*corev1.Probe{k.container.StartupProbe, k.container.ReadinessProbe, k.container.LivenessProbe} {
		switch {
		case probe.HTTPGet != nil:
			if port := k.port(t, probe.HTTPGet.Port); port != image.port {
				t.Errorf("a probe asks port %q, and the image listens at %s", port, image.port)
			}
			server.answers(t, probe.HTTPGet.Path)
		case probe.TCPSocket != nil: // start has done so
			if port := k.port(t, probe.TCPSocket.Port); port != image.port {
				t.Errorf("a probe asks port %q, and the image listens at %s", port, image.port)
			}
		}
	}
}
