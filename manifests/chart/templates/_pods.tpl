{{/* What all pods of the operator have, but for their account and containers: the chart's context, and the part's values. */}}
{{- define "modeldata.pod" -}}
{{- $chart := index . 0 }}
{{- $part := index . 1 -}}
terminationGracePeriodSeconds: 15
{{- with $chart.Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - {name: {{ . }}}{{ end }}
{{- end }}
{{- with $part.priorityClassName | default $chart.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector | default $chart.Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $part.tolerations | default $chart.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $part.affinity | default $chart.Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with $chart.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Constraints, each of the part's own pods unless it says otherwise: constraints, and the part's name. */}}
{{- define "modeldata.spread" -}}
{{- $name := index . 1 }}
{{- range index . 0 }}
{{- $own := dict "labelSelector" (dict "matchLabels" (dict "app.kubernetes.io/name" $name)) }}
- {{ toJson (ternary . (merge $own .) (hasKey . "labelSelector")) }}
{{- end }}
{{- end }}

{{/* What all containers have, but for what they run: the chart's context, and their resources. */}}
{{- define "modeldata.container" -}}
{{- $chart := index . 0 -}}
image: {{ include "modeldata.image" $chart }}
imagePullPolicy: {{ $chart.Values.image.pullPolicy }}
resources: {{ toJson (index . 1) }}
{{- with $chart.Values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What both processes are told, and the retirement. */}}
{{- define "modeldata.environment" -}}
- {name: MODELDATA_OPERATOR_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
{{- with .Values.namespaces }}
- {name: MODELDATA_NAMESPACES, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.clusterName }}
- {name: MODELDATA_CLUSTER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if ne (include "modeldata.cluster" .) "modeldata-operator" }}
- {name: MODELDATA_WEBHOOK_CONFIGURATION, value: {{ include "modeldata.cluster" . }}}
{{- end }}
{{- if .Values.fullnameOverride }}
- {name: MODELDATA_WEBHOOK_NAME, value: {{ include "modeldata.webhook" . }}}
- {name: MODELDATA_CONTROLLER_NAME, value: {{ include "modeldata.controller" . }}}
- {name: MODELDATA_CERTIFICATE_SECRET, value: {{ include "modeldata.certificate" . }}}
{{- end }}
{{- if ne .Values.logLevel "INFO" }}
- {name: MODELDATA_LOG_LEVEL, value: {{ .Values.logLevel }}}
{{- end }}
{{- if ne .Values.logFormat "text" }}
- {name: MODELDATA_LOG_FORMAT, value: {{ .Values.logFormat }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
