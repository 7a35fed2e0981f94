{{- /* What a schema can't say, since it is about several values, or about what is missing: all of it is told at once. */ -}}
{{- define "operator.checks" -}}
{{- $problems := list -}}
{{- with .Values -}}
{{- if not .clusterName -}}
{{- $problems = append $problems "clusterName is missing: the name of this cluster, as in EKS; it can never be changed later" -}}
{{- end -}}
{{- if not .image.repository -}}
{{- $problems = append $problems "image.repository is missing: there is no public image yet; build the Dockerfile and push it to a registry of yours" -}}
{{- end -}}
{{- if and (eq .aws.identity "irsa") (not .aws.roleArn) -}}
{{- $problems = append $problems "aws.roleArn is missing: the operator's own IAM role, which trusts its ServiceAccount; with EKS Pod Identity set aws.identity to podIdentity instead" -}}
{{- end -}}
{{- if and (ne .aws.identity "irsa") .aws.roleArn -}}
{{- $problems = append $problems (printf "aws.roleArn is set, and aws.identity is %s, which makes no use of it: take one of them away" .aws.identity) -}}
{{- end -}}
{{- with .leaderElection -}}
{{- if .enabled -}}
{{- if ge (int .renewDeadline) (int .leaseDuration) -}}
{{- $problems = append $problems (printf "leaderElection.renewDeadline (%v) must be less than leaderElection.leaseDuration (%v)" .renewDeadline .leaseDuration) -}}
{{- else if ge (int $.Values.operator.requestTimeout) (sub (int .leaseDuration) (int .renewDeadline) | int) -}}
{{- $problems = append $problems (printf "operator.requestTimeout (%v) must be less than leaderElection.leaseDuration minus leaderElection.renewDeadline (%v)" $.Values.operator.requestTimeout (sub (int .leaseDuration) (int .renewDeadline))) -}}
{{- end -}}
{{- if ge (int .retryPeriod) (int .renewDeadline) -}}
{{- $problems = append $problems (printf "leaderElection.retryPeriod (%v) must be less than leaderElection.renewDeadline (%v)" .retryPeriod .renewDeadline) -}}
{{- end -}}
{{- else if gt (int $.Values.replicas) 1 -}}
{{- $problems = append $problems (printf "replicas is %v, and leaderElection.enabled is false: processes that don't know of each other undo each other's work; set replicas to 1" $.Values.replicas) -}}
{{- end -}}
{{- end -}}
{{- if and .metrics.serviceMonitor.create (not .metrics.service.create) -}}
{{- $problems = append $problems "metrics.serviceMonitor.create is true, and metrics.service.create is false: a ServiceMonitor needs the Service" -}}
{{- end -}}
{{- $names := include "operator.classes" $ | fromJsonArray -}}
{{- range uniq $names -}}
{{- $name := . -}}
{{- $same := 0 -}}
{{- range $names }}{{ if eq . $name }}{{ $same = add1 $same }}{{ end }}{{ end -}}
{{- if gt (int $same) 1 -}}
{{- $problems = append $problems (printf "extraClasses: there are two classes named %s (the default class, defaultClass.name, counts)" $name) -}}
{{- end -}}
{{- end -}}
{{- $defaults := ternary (list .defaultClass.name) list .defaultClass.create -}}
{{- range .extraClasses -}}
{{- if .default -}}
{{- $defaults = append $defaults .name -}}
{{- end -}}
{{- end -}}
{{- if gt (len $defaults) 1 -}}
{{- $problems = append $problems (printf "extraClasses: %s are all default classes, and there can be one; set defaultClass.create to false, or take default away" (join " and " $defaults)) -}}
{{- end -}}
{{- end -}}
{{- /* Only where a cluster answers: `helm template` knows of none. */ -}}
{{- if and (lookup "v1" "Namespace" "" "kube-system") (not (.Capabilities.APIVersions.Has "mlservicerole.io/v1alpha1/MlServiceRoleClass")) -}}
{{- $problems = append $problems "the cluster has no CustomResourceDefinitions of mlservicerole.io: install the chart mlservicerole-operator-crds first, with --wait, so that they are served when it is done" -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\n  - %s\n" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
