{{/* What the processes may do, in the whole cluster or in each of some namespaces. */}}
{{- define "modeldata.controllerRules" -}}
- apiGroups: [modeldata.dev]
  resources: [datacollections]
  verbs: [list, watch]
- apiGroups: [modeldata.dev]
  resources: [datacollections/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch] # get: the settings of a pod that is switched off. patch: its settings annotation
{{- if .Values.controller.restartsAtOnce }}
- apiGroups: [""]
  resources: [pods]
  verbs: [create] # of dry runs only, as the policy on pods says: would a restarted pod be injected?
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create] # of a pod that the webhook missed, one at a time
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  # get: as it is just before it is restarted. patch: the one annotation of its template that restarts it.
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch] # as above; patch: spec.restartAt
{{- else }}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, watch]
{{- end }}
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- include "modeldata.namespaceRules" . }}
{{- end }}

{{/* Their labels say which of them are served. Where some are given, only their names count: a Role can't show more. */}}
{{- define "modeldata.namespaceRules" -}}
{{- if not .Values.namespaces }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{- define "modeldata.credentialRules" -}}
- apiGroups: [""]
  resources: [secrets]
  # get: the accounts' Secrets, wherever a DataCollection names one. The rest: the SAS Secrets in the pods' namespaces.
  # Neither list nor watch: nothing is read that was not named.
  verbs: [get, create, patch, delete]
{{- end }}

{{/* In the operator's own namespace: which of its controllers leads. */}}
{{- define "modeldata.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "modeldata.controller" . }}]
  verbs: [get, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create] # RBAC can't name what does not exist yet
{{- end }}

{{/* In the operator's own namespace: Jobs that close days, and their Secrets, which go with them. */}}
{{- define "modeldata.closingRules" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list] # what a Job that has ended says
- apiGroups: [""]
  resources: [secrets]
  verbs: [create] # RBAC can't name what does not exist yet; the policy on Secrets does
{{- end }}

{{- define "modeldata.webhookRules" -}}
- apiGroups: [modeldata.dev]
  resources: [datacollections]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch]
{{- include "modeldata.namespaceRules" . }}
{{- end }}

{{/* To switch off what is collected, and to take back the SAS Secrets. */}}
{{- define "modeldata.retirementRules" -}}
- apiGroups: [modeldata.dev]
  resources: [datacollections]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
{{- end }}

{{/* In the operator's own namespace: Jobs that close days, and are not to go on without the operator. */}}
{{- define "modeldata.retiredJobRules" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, delete]
{{- end }}

{{- define "modeldata.withdrawalRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, delete]
{{- end }}
