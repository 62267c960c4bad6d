"""Documentation of the options by which a module finds the API server, and of nothing else."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file. Also E(K8S_AUTH_KUBECONFIG), then E(KUBECONFIG).
      - Without it and without O(host), the Pod's own service account is used, then C(~/.kube/config).
    type: path
  context:
    description: Name of a context in the kubeconfig. Also E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description: URL of the API server. Also E(K8S_AUTH_HOST).
    type: str
  api_key:
    description: Bearer token. Also E(K8S_AUTH_API_KEY).
    type: str
  username:
    description: User name for basic authentication. Also E(K8S_AUTH_USERNAME).
    type: str
  password:
    description: Password for basic authentication. Also E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description: Whether the server's certificate is verified. Also E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description: Path of the CA certificate. Also E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: Path of the client's certificate. Also E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: Path of the client's key. Also E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description: URL of an HTTP proxy. Also E(K8S_AUTH_PROXY).
    type: str
  persist_config:
    description: Whether refreshed credentials are written back to the kubeconfig. Also E(K8S_AUTH_PERSIST_CONFIG).
    type: bool
"""
