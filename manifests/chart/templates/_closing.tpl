{{/*
How the controller makes Jobs that close days, as an object: their labels, and the template of their pods. The controller
adds what differs from Job to Job: its name, the command line, and the Secret with its SAS.
*/}}
{{- define "modeldata.closing" -}}
{{- $part := .Values.closing -}}
atOnce: {{ $part.jobsAtOnce | int }}
deadlineSeconds: {{ $part.deadlineSeconds | int }}
memory: {{ $part.memory | quote }}
threads: {{ $part.threads | int }}
labels:
  {{- include "modeldata.podLabels" (list . "closing" dict) | nindent 2 }}
template:
  metadata:
    labels:
      {{- include "modeldata.jobLabels" (list . "closing") | nindent 6 }}
      {{- with $part.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    # A mesh's proxy would not end with it, and the Job never.
    annotations:
      {{- toYaml (merge (dict "linkerd.io/inject" "disabled") $part.podAnnotations) | nindent 6 }}
  spec:
    restartPolicy: Never
    # It has nothing to ask the API server.
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- include "modeldata.pod" (list . $part) | nindent 4 }}
    containers:
      - name: closing
        image: {{ include "modeldata.closingImage" . }}
        imagePullPolicy: {{ $part.image.pullPolicy }}
        env:
          # Nothing else can be written to.
          - {name: HOME, value: /scratch}
          - {name: TMPDIR, value: /scratch}
          {{- with concat .Values.extraEnv $part.extraEnv }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        resources: {{ toJson $part.resources }}
        {{- with .Values.containerSecurityContext }}
        securityContext:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        terminationMessagePolicy: File
        volumeMounts: [{name: scratch, mountPath: /scratch}]
    volumes:
      - name: scratch
        {{- if $part.scratch.storageClassName }}
        ephemeral:
          volumeClaimTemplate:
            spec:
              accessModes: [ReadWriteOnce]
              storageClassName: {{ $part.scratch.storageClassName }}
              resources: {requests: {storage: {{ $part.scratch.size }}}}
        {{- else }}
        emptyDir: {sizeLimit: {{ $part.scratch.size }}}
        {{- end }}
{{- end }}

{{- define "modeldata.closingImage" -}}
{{- with .Values.closing.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The variables that values.yaml fills from somewhere, as a list of CEL's. */}}
{{- define "modeldata.closingSources" -}}
{{- $names := list }}
{{- range concat .Values.extraEnv .Values.closing.extraEnv }}
{{- if hasKey . "valueFrom" }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- toJson $names | replace "\"" "'" }}
{{- end }}
