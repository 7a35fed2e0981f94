{{- /* Names don't depend on the release: one operator runs in a cluster, and a second release is refused by Helm. */ -}}

{{- define "operator.name" -}}
mlservicerole-operator
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}

{{- define "operator.userName" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ .Values.serviceAccount.name }}
{{- end -}}

{{- /* What selects the pods. Never to be changed: a Deployment's selector can't be. */ -}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: mlservicerole-operator
{{- end -}}

{{- define "operator.labels" -}}
{{- with .Values.labels }}
{{- toYaml . }}
{{ end -}}
{{ include "operator.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "operator.image" -}}
{{- with .Values.image -}}
{{- .repository -}}
{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The names of the classes that this chart makes, as a list in JSON. */ -}}
{{- define "operator.classes" -}}
{{- $names := list -}}
{{- if .Values.defaultClass.create -}}
{{- $names = append $names .Values.defaultClass.name -}}
{{- end -}}
{{- range .Values.extraClasses -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- /* What a container of ours may do: what the restricted Pod Security Standard asks for, and a read-only root. */ -}}
{{- define "operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
