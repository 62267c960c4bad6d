{{/*
The definitions are applied by a Job before anything else, not as templates and not from crds/: helm never upgrades the
latter, and refuses the former where an earlier chart's crds/ made them. Call with (list . weight).
*/}}
{{- define "echoperator.crds.hook" -}}
{{- $values := (index . 0).Values -}}
helm.sh/hook: pre-install,pre-upgrade{{ if not $values.crds.keep }},post-delete{{ end }}
helm.sh/hook-weight: {{ index . 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* A Job that runs one of our commands on the definitions. Call with (dict "root" . "name" name "command" command "hook" hook). */}}
{{- define "echoperator.crds.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .name }}
  labels:
    {{- include "echoperator.labels" .root | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: "0"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 300
  template:
    metadata:
      labels:
        {{- include "echoperator.otherLabels" (list .root "crds") | nindent 8 }}
    spec:
      restartPolicy: Never
      serviceAccountName: {{ include "echoperator.suffixed" (list .root "crds") }}
      securityContext:
        {{- include "echoperator.podSecurity" .root | nindent 8 }}
      {{- with include "echoperator.scheduling" .root | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      containers:
        - name: crds
          image: {{ include "echoperator.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command:
            - /usr/local/bin/ansible-operator
            - {{ .command }}
            - /crds
          securityContext:
            {{- include "echoperator.containerSecurity" .root | nindent 12 }}
          {{- with .root.Values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - name: crds
              mountPath: /crds
              readOnly: true
      volumes:
        - name: crds
          configMap:
            name: {{ include "echoperator.suffixed" (list .root "crds") }}
{{- end }}
