{{/* What all names begin with. */}}
{{- define "modeldata.fullname" -}}
{{ .Values.fullnameOverride | default "modeldata-operator" }}
{{- end }}

{{/* The same, of what has a shorter name where nobody chose one. */}}
{{- define "modeldata.shortname" -}}
{{ .Values.fullnameOverride | default "modeldata" }}
{{- end }}

{{/*
What stands behind the name of an object that has no namespace, so that operators for some namespaces stand side by side.
That of the usual namespace has the plain names.
*/}}
{{- define "modeldata.suffix" -}}
{{- if ne .Release.Namespace "modeldata-system" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "modeldata.cluster" -}}
{{ include "modeldata.fullname" . }}{{ include "modeldata.suffix" . }}
{{- end }}

{{- define "modeldata.controller" -}}
{{ include "modeldata.fullname" . }}-controller
{{- end }}

{{- define "modeldata.webhook" -}}
{{ include "modeldata.fullname" . }}-webhook
{{- end }}

{{- define "modeldata.retirement" -}}
{{ include "modeldata.fullname" . }}-retirement
{{- end }}

{{- define "modeldata.test" -}}
{{ include "modeldata.fullname" . }}-test
{{- end }}

{{- define "modeldata.certificate" -}}
{{ include "modeldata.shortname" . }}-webhook-tls
{{- end }}

{{- define "modeldata.controllerAccount" -}}
{{ .Values.controller.serviceAccount.name | default (include "modeldata.controller" .) }}
{{- end }}

{{- define "modeldata.webhookAccount" -}}
{{ .Values.webhook.serviceAccount.name | default (include "modeldata.webhook" .) }}
{{- end }}

{{- define "modeldata.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The labels of an object: the chart's context, which part of the operator it is of or "", and labels of its own. */}}
{{- define "modeldata.labels" -}}
{{- $chart := index . 0 }}
{{- $standard := dict
  "app.kubernetes.io/version" $chart.Chart.AppVersion
  "app.kubernetes.io/managed-by" $chart.Release.Service
  "helm.sh/chart" (printf "%s-%s" $chart.Chart.Name ($chart.Chart.Version | replace "+" "_")) }}
{{- include "modeldata.podLabels" (list $chart (index . 1) (merge $standard (index . 2))) }}
{{- end }}

{{/* The labels of a pod, given as above: none of a version, so that nothing restarts for a new chart alone. */}}
{{- define "modeldata.podLabels" -}}
{{- $chart := index . 0 }}
{{- $component := index . 1 }}
{{- $standard := dict
  "app.kubernetes.io/name" (include "modeldata.fullname" $chart)
  "app.kubernetes.io/instance" $chart.Release.Name
  "app.kubernetes.io/part-of" "modeldata" }}
{{- if $component }}
{{- $_ := set $standard "app.kubernetes.io/name" (printf "%s-%s" (include "modeldata.fullname" $chart) $component) }}
{{- $_ := set $standard "app.kubernetes.io/component" $component }}
{{- end }}
{{- toYaml (merge $standard (index . 2) $chart.Values.commonLabels) }}
{{- end }}

{{/* The labels of a pod that ends by itself: the metrics' Service leaves it out, as it has none. */}}
{{- define "modeldata.jobLabels" -}}
{{- $chart := index . 0 }}
{{- $standard := dict
  "app.kubernetes.io/name" (printf "%s-%s" (include "modeldata.fullname" $chart) (index . 1))
  "app.kubernetes.io/instance" $chart.Release.Name
  "sidecar.istio.io/inject" "false" }}
{{- toYaml (merge $standard $chart.Values.commonLabels) }}
{{- end }}
