{{/*
What stands behind the name of an object that has no namespace, so that operators for some namespaces stand side by side.
That of the usual namespace has the plain names.
*/}}
{{- define "modeldata.suffix" -}}
{{- if ne .Release.Namespace "modeldata-system" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "modeldata.cluster" -}}
modeldata-operator{{ include "modeldata.suffix" . }}
{{- end }}

{{- define "modeldata.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What all pods of the operator have, but for their account and containers. */}}
{{- define "modeldata.pod" -}}
terminationGracePeriodSeconds: 15
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - {name: {{ . }}}{{ end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "modeldata.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What both processes are told, and the retirement. */}}
{{- define "modeldata.environment" -}}
- {name: MODELDATA_OPERATOR_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
{{- with .Values.namespaces }}
- {name: MODELDATA_NAMESPACES, value: {{ join "," . | quote }}}
{{- end }}
{{- if include "modeldata.suffix" . }}
- {name: MODELDATA_WEBHOOK_CONFIGURATION, value: {{ include "modeldata.cluster" . }}}
{{- end }}
{{- if ne .Values.logLevel "INFO" }}
- {name: MODELDATA_LOG_LEVEL, value: {{ .Values.logLevel }}}
{{- end }}
{{- end }}
