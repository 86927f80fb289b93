// Command admission reads manifests on standard input and prints a line for each problem that an API server would
// refuse them for: fields, values, selectors, and pods that break the restricted Pod Security Standard. The code that
// decides is Kubernetes' own. Kinds that are not built into Kubernetes are skipped.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/apis/apps"
	appsinstall "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	autoscalinginstall "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	batchinstall "k8s.io/kubernetes/pkg/apis/batch/install"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	coreinstall "k8s.io/kubernetes/pkg/apis/core/install"
	coreconversion "k8s.io/kubernetes/pkg/apis/core/v1"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	networkinginstall "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyinstall "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	securityapi "k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
)

func main() {
	decoder := newDecoder()
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		object, _, err := decoder.Decode(document, nil, nil)
		switch {
		case runtime.IsMissingKind(err), runtime.IsNotRegisteredError(err): // a comment alone; a custom resource
		case err != nil:
			fmt.Println(err)
		default:
			for _, problem := range check(object) {
				fmt.Printf("%T: %s\n", object, problem)
			}
		}
	}
}

// newDecoder reads the kinds below with their defaults, and refuses unknown and repeated fields.
func newDecoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, install := range []func(*runtime.Scheme){
		coreinstall.Install, appsinstall.Install, autoscalinginstall.Install,
		batchinstall.Install, networkinginstall.Install, policyinstall.Install,
	} {
		install(scheme)
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder()
}

func check(object runtime.Object) []string {
	object.(metav1.Object).SetNamespace("default") // as a client does
	options := corevalidation.PodValidationOptions{}
	switch each := object.(type) {
	case *apps.Deployment:
		return join(appsvalidation.ValidateDeployment(each, options), checkPod(each.Spec.Template))
	case *batch.Job:
		own := true // an API server generates the selector otherwise
		each.Spec.ManualSelector, each.Spec.Selector = &own, &metav1.LabelSelector{MatchLabels: each.Spec.Template.Labels}
		settings := batchvalidation.JobValidationOptions{PodValidationOptions: options}
		return join(batchvalidation.ValidateJobCreate(each, settings), checkPod(each.Spec.Template))
	case *batch.CronJob:
		return join(batchvalidation.ValidateCronJobCreate(each, options), checkPod(each.Spec.JobTemplate.Spec.Template))
	case *autoscaling.HorizontalPodAutoscaler:
		settings := autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{}
		return join(autoscalingvalidation.ValidateHorizontalPodAutoscaler(each, settings), nil)
	case *networking.NetworkPolicy:
		settings := networkingvalidation.NetworkPolicyValidationOptions{}
		return join(networkingvalidation.ValidateNetworkPolicy(each, settings), nil)
	case *policy.PodDisruptionBudget:
		settings := policyvalidation.PodDisruptionBudgetValidationOptions{}
		return join(policyvalidation.ValidatePodDisruptionBudget(each, settings), nil)
	case *core.Service:
		return join(corevalidation.ValidateServiceCreate(each), nil)
	case *core.PersistentVolumeClaim:
		settings := corevalidation.PersistentVolumeClaimSpecValidationOptions{}
		return join(corevalidation.ValidatePersistentVolumeClaim(each, settings), nil)
	case *core.ServiceAccount:
		return join(corevalidation.ValidateServiceAccount(each), nil)
	}
	return []string{"no check for this kind"}
}

// checkPod returns what the restricted Pod Security Standard forbids.
func checkPod(template core.PodTemplateSpec) (problems []string) {
	var pod corev1.PodTemplateSpec
	if err := coreconversion.Convert_core_PodTemplateSpec_To_v1_PodTemplateSpec(&template, &pod, nil); err != nil {
		return []string{err.Error()}
	}
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := securityapi.LevelVersion{Level: securityapi.LevelRestricted, Version: securityapi.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			problems = append(problems, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return problems
}

func join(refused field.ErrorList, problems []string) []string {
	for _, each := range refused {
		problems = append(problems, each.Error())
	}
	return problems
}
