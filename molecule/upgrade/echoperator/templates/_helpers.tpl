{{- define "old.fullname" -}}
{{ .Release.Name }}-echoperator
{{- end }}

{{- define "old.selector" -}}
app.kubernetes.io/name: echoperator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
