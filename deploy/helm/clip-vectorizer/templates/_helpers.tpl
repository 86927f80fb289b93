{{/* The name of everything that a release creates; the release's own where that has the chart's name in it. */}}
{{- define "clip.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "clip.fullname" -}}
{{- $name := include "clip.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select pods, of `dict "root" $ "component" NAME`; they never change during a release's life. */}}
{{- define "clip.selector" -}}
app.kubernetes.io/name: {{ include "clip.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "clip.labels" -}}
{{ include "clip.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What every pod of the chart has. Without `enableServiceLinks: false` a Service called `clip` would set CLIP_PORT,
and Weaviate's `weaviate-grpc` WEAVIATE_GRPC_PORT, to addresses. */}}
{{- define "clip.pod" -}}
serviceAccountName: {{ include "clip.fullname" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "clip.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "clip.image" -}}
image: {{ .repository }}{{ with .tag }}:{{ . }}{{ end }}
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}

{{- define "clip.url" -}}
http://{{ include "clip.fullname" . }}:{{ .Values.service.port }}
{{- end -}}

{{- define "clip.weaviateUrl" -}}
{{- default (printf "http://%s-weaviate:8080" (include "clip.fullname" .)) .Values.weaviate.url -}}
{{- end -}}

{{/* A volume with those entries of the Secret that are listed, of `dict "root" $ "entries" LIST`; "" entries are
skipped. A pod has no key that it does not use. */}}
{{- define "clip.secretVolume" -}}
- name: keys
  secret:
    secretName: {{ .root.Values.keys.existingSecret }}
    defaultMode: 0440
    items:
    {{- range compact .entries | uniq }}
      - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end -}}

{{- define "clip.secretMount" -}}
- {name: keys, mountPath: /run/secrets/clip, readOnly: true}
{{- end -}}

{{/* Peers of a NetworkPolicy: Weaviate's pods, in the namespace where they are. */}}
{{- define "clip.weaviatePeer" -}}
- podSelector:
    matchLabels: {{ toYaml .Values.weaviate.podLabels | nindent 6 }}
  {{- with .Values.weaviate.namespace }}
  namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ . }}}
  {{- end }}
{{- end -}}

{{/* Port 53 of any address: a cache of the node's own is in no namespace. */}}
{{- define "clip.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}
