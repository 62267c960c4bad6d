"""The texts of Operator SDK's plug-in `ansible.sdk.operatorframework.io/v1`, v1.42, as far as somebody reads them here.

Keys and values are the scaffold's. Left out are comments, the registry in the Dockerfile, most targets of the Makefile,
the roles for people (admin, editor, viewer), network policy, service monitor and the test overlay in config/, and all
but two files of molecule/.
PROJECT, GROUP, KIND, PLURAL, LOWER and FIRST (of the group) stand for names.
"""

__all__ = [
    "BINDING", "BINDINGS", "CRD", "CRD_MARK", "INIT", "PLAYBOOK", "ROLE", "RULES", "RULES_MARK", "SAMPLE",
    "SAMPLE_MARK", "WATCH_MARK",
]  # fmt: skip

_VERBS = "[create, delete, get, list, patch, update, watch]"
WATCH_MARK = "# +kubebuilder:scaffold:watch"
RULES_MARK = "# +kubebuilder:scaffold:rules"
CRD_MARK = "# +kubebuilder:scaffold:crdkustomizeresource"
SAMPLE_MARK = "# +kubebuilder:scaffold:manifestskustomizesamples"
_LABELS = "{app.kubernetes.io/name: PROJECT, app.kubernetes.io/managed-by: kustomize}"
_CONTROL = "{control-plane: controller-manager, app.kubernetes.io/name: PROJECT}"

INIT = {
    ".gitignore": "bin\n*.swp\n",
    "Dockerfile": """\
        FROM operator-framework/ansible-operator:v1.42.3

        COPY requirements.yml ${HOME}/requirements.yml
        RUN ansible-galaxy collection install -r ${HOME}/requirements.yml \\
         && chmod -R ug+rwx ${HOME}/.ansible

        COPY watches.yaml ${HOME}/watches.yaml
        COPY roles/ ${HOME}/roles/
        COPY playbooks/ ${HOME}/playbooks/
        """,
    "Makefile": ".PHONY: run\nrun:\n\tansible-operator run\n",
    "PROJECT": """\
        domain: example.com
        layout:
        - ansible.sdk.operatorframework.io/v1
        projectName: PROJECT
        version: "3"
        """,
    "requirements.yml": """\
        ---
        collections:
          - name: operator_sdk.util
            version: "0.5.0"
          - name: kubernetes.core
            version: "3.2.0"
          - name: cloud.common
            version: "3.0.0"
          - name: community.docker
            version: "3.12.1"
        """,
    "watches.yaml": f"---\n# Use the 'create api' subcommand to add watches to this file.\n{WATCH_MARK}\n",
    "roles/.placeholder": "",
    "playbooks/.placeholder": "",
    "config/crd/kustomization.yaml": f"resources:\n{CRD_MARK}\n",
    "config/samples/kustomization.yaml": f"resources:\n{SAMPLE_MARK}\n",
    "config/default/kustomization.yaml": """\
        namespace: PROJECT-system
        namePrefix: PROJECT-
        resources:
        - ../crd
        - ../rbac
        - ../manager
        - metrics_service.yaml
        patches:
        - path: manager_metrics_patch.yaml
          target:
            kind: Deployment
        """,
    "config/default/manager_metrics_patch.yaml": """\
        - op: add
          path: /spec/template/spec/containers/0/args/0
          value: --metrics-bind-address=:8443
        - op: add
          path: /spec/template/spec/containers/0/args/0
          value: --metrics-secure
        - op: add
          path: /spec/template/spec/containers/0/args/0
          value: --metrics-require-rbac
        """,
    "config/default/metrics_service.yaml": f"""\
        apiVersion: v1
        kind: Service
        metadata:
          labels: {_CONTROL}
          name: controller-manager-metrics-service
          namespace: system
        spec:
          ports:
          - {{name: https, port: 8443, protocol: TCP, targetPort: 8443}}
          selector: {_CONTROL}
        """,
    "config/manager/kustomization.yaml": "resources:\n- manager.yaml\n",
    "config/manager/manager.yaml": f"""\
        apiVersion: v1
        kind: Namespace
        metadata:
          labels: {_CONTROL}
          name: system
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: controller-manager
          namespace: system
          labels: {_CONTROL}
        spec:
          selector:
            matchLabels: {_CONTROL}
          replicas: 1
          template:
            metadata:
              annotations:
                kubectl.kubernetes.io/default-container: manager
              labels: {_CONTROL}
            spec:
              securityContext:
                runAsNonRoot: true
                seccompProfile:
                  type: RuntimeDefault
              containers:
              - args:
                  - --leader-elect
                  - --leader-election-id=PROJECT
                  - --health-probe-bind-address=:6789
                image: controller:latest
                name: manager
                env:
                - name: ANSIBLE_GATHERING
                  value: explicit
                ports: []
                securityContext:
                  allowPrivilegeEscalation: false
                  capabilities:
                    drop:
                    - "ALL"
                livenessProbe:
                  httpGet: {{path: /healthz, port: 6789}}
                  initialDelaySeconds: 15
                  periodSeconds: 20
                readinessProbe:
                  httpGet: {{path: /readyz, port: 6789}}
                  initialDelaySeconds: 5
                  periodSeconds: 10
                resources:
                  limits: {{cpu: 500m, memory: 768Mi}}
                  requests: {{cpu: 10m, memory: 256Mi}}
                volumeMounts: []
              volumes: []
              serviceAccountName: controller-manager
              terminationGracePeriodSeconds: 10
        """,
    "config/rbac/kustomization.yaml": """\
        resources:
        - service_account.yaml
        - role.yaml
        - role_binding.yaml
        - leader_election_role.yaml
        - leader_election_role_binding.yaml
        - metrics_auth_role.yaml
        - metrics_auth_role_binding.yaml
        - metrics_reader_role.yaml
        """,
    "config/rbac/service_account.yaml": f"""\
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          labels: {_LABELS}
          name: controller-manager
          namespace: system
        """,
    "config/rbac/role.yaml": f"""\
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: manager-role
        rules:
          - apiGroups: [""]
            resources: [secrets, pods, pods/exec, pods/log]
            verbs: {_VERBS}
          - apiGroups: [apps]
            resources: [deployments, daemonsets, replicasets, statefulsets]
            verbs: {_VERBS}
        {RULES_MARK}
        """,
    "config/rbac/leader_election_role.yaml": f"""\
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          labels: {_LABELS}
          name: leader-election-role
        rules:
        - apiGroups: [""]
          resources: [configmaps]
          verbs: {_VERBS}
        - apiGroups: [coordination.k8s.io]
          resources: [leases]
          verbs: {_VERBS}
        - apiGroups: [""]
          resources: [events]
          verbs: [create, patch]
        """,
    "config/rbac/metrics_auth_role.yaml": """\
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: metrics-auth-role
        rules:
        - {apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}
        - {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
        """,
    "config/rbac/metrics_reader_role.yaml": """\
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: metrics-reader
        rules:
        - {nonResourceURLs: ["/metrics"], verbs: [get]}
        """,
    "molecule/default/molecule.yml": """\
        ---
        dependency: {name: galaxy}
        driver: {name: delegated}
        platforms:
          - {name: cluster, groups: [k8s]}
        provisioner: {name: ansible}
        verifier: {name: ansible}
        """,
    "molecule/default/converge.yml": """\
        ---
        - name: Converge
          hosts: localhost
          connection: local
          gather_facts: no
          collections:
            - kubernetes.core
          tasks: []
        """,
}
BINDING = """\
    apiVersion: rbac.authorization.k8s.io/v1
    kind: {kind}Binding
    metadata:
      name: {binding}
    roleRef:
      apiGroup: rbac.authorization.k8s.io
      kind: {kind}
      name: {role}
    subjects:
    - kind: ServiceAccount
      name: controller-manager
      namespace: system
    """
BINDINGS = (
    ("role_binding", "ClusterRole", "manager-rolebinding", "manager-role"),
    ("leader_election_role_binding", "Role", "leader-election-rolebinding", "leader-election-role"),
    ("metrics_auth_role_binding", "ClusterRole", "metrics-auth-rolebinding", "metrics-auth-role"),
)

ROLE = {
    "README.md": "Role Name\n=========\n",
    "defaults/main.yml": "---\n# defaults file for KIND\n",
    "files/.placeholder": "",
    "handlers/main.yml": "---\n# handlers file for KIND\n",
    "meta/main.yml": """\
        ---
        galaxy_info:
          author: your name
          description: your description
          company: your company (optional)
          license: license (GPLv2, CC-BY, etc)
          min_ansible_version: 2.9
          galaxy_tags: []
        dependencies: []
        collections:
        - operator_sdk.util
        - kubernetes.core
        """,
    "tasks/main.yml": "---\n# tasks file for KIND\n",
    "templates/.placeholder": "",
    "vars/main.yml": "---\n# vars file for KIND\n",
}
PLAYBOOK = """\
    ---
    - hosts: localhost
      gather_facts: no
      collections:
        - kubernetes.core
        - operator_sdk.util
      tasks:"""
CRD = """\
    ---
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata:
      name: PLURAL.GROUP
    spec:
      group: GROUP
      names: {kind: KIND, listKind: KINDList, plural: PLURAL, singular: LOWER}
      scope: Namespaced
      versions:
      - name: v1alpha1
        schema:
          openAPIV3Schema:
            description: KIND is the Schema for the PLURAL API
            properties:
              apiVersion: {type: string}
              kind: {type: string}
              metadata: {type: object}
              spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
              status: {type: object, x-kubernetes-preserve-unknown-fields: true}
            type: object
        served: true
        storage: true
        subresources:
          status: {}
    """
SAMPLE = f"""\
    apiVersion: GROUP/v1alpha1
    kind: KIND
    metadata:
      labels: {_LABELS}
      name: LOWER-sample
    spec:
      # TODO(user): Add fields here
    """
RULES = f"""\
  - apiGroups:
      - GROUP
    resources:
      - PLURAL
      - PLURAL/status
      - PLURAL/finalizers
    verbs: {_VERBS}
"""
