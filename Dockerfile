# Two images: `operator` is the echo operator, `base` is what the Dockerfile of an operator project says FROM.
#
#   make image                  # builds `operator` with what the machine has; see docs/image.md
#   docker build --target base .
#
# Where things are, in both:
#   /opt/venv               Python packages, locked by hash, and kubernetes.core
#   /opt/ansible-operator   the runtime and its collection operator_sdk.util
#   /opt/ansible            HOME: watches.yaml, roles/ and playbooks/ of a project
#   /tini, /usr/local/bin/ansible-operator, /etc/ansible/   as in Operator SDK's image
#
# Each file that is made here is the same bytes in each build: bytecode without times, modes that don't depend on a
# checkout's umask, no caches, no logs. `scripts/image` sets the layers' times.

# Any image with Python >= 3.12, or one whose microdnf can install it (Red Hat's ubi9-minimal).
ARG BASE_IMAGE=docker.io/library/python:3.13-slim
# A Debian; nothing but a static tini is taken from it.
ARG INIT_IMAGE=${BASE_IMAGE}

FROM ${INIT_IMAGE} AS init
# hadolint ignore=DL3008
RUN [ -x /usr/bin/tini-static ] || { apt-get update && apt-get install --yes --no-install-recommends tini; } \
 && cp /usr/bin/tini-static /tini

FROM ${BASE_IMAGE} AS python
RUN --mount=type=bind,source=scripts/image/python-for-base.sh,target=/tmp/python-for-base.sh \
    sh /tmp/python-for-base.sh

# What both targets begin with. Bytecode of the standard library: python:3.13-slim has none.
FROM python AS runtime
ENV HOME=/opt/ansible \
    USER_NAME=ansible \
    USER_UID=1001 \
    PATH=/opt/venv/bin:${PATH}
COPY --from=init /tini /tini
RUN --mount=type=bind,source=scripts/image/bytecode.py,target=/tmp/bytecode.py \
    python3 /tmp/bytecode.py "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && echo "${USER_NAME}:x:${USER_UID}:0:${USER_NAME} user:${HOME}:/sbin/nologin" >> /etc/passwd \
 && mkdir -p "${HOME}/.ansible/tmp" /etc/ansible \
 && chown -R "${USER_UID}:0" "${HOME}" \
 && chmod -R ug+rwx "${HOME}" \
 && echo 'localhost ansible_connection=local' > /etc/ansible/hosts \
 && printf '[defaults]\nroles_path = %s/roles\n' "${HOME}" > /etc/ansible/ansible.cfg \
 && ln -s /opt/venv/bin/ansible-operator /usr/local/bin/ansible-operator
WORKDIR ${HOME}

FROM python AS dependencies
WORKDIR /build
COPY requirements.txt requirements-collections.txt ./
COPY scripts/unpack_collection.py scripts/image/bytecode.py scripts/image/entry.py ./
# pip comes from a venv beside, so that the one that is kept has none. The secret is for machines behind a proxy that
# signs with a CA of its own.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/var/cache/pip \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
 && export PIP_CACHE_DIR=/var/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore \
 && python3 -m venv /build/pip \
 && python3 -m venv --without-pip /opt/venv \
 && /build/pip/bin/pip --python /opt/venv/bin/python3 install --quiet --require-hashes --only-binary=:all: \
      -r requirements.txt \
 && /build/pip/bin/pip download --quiet --require-hashes --no-deps --only-binary=:all: \
      -d wheels -r requirements-collections.txt \
 && /opt/venv/bin/python3 unpack_collection.py wheels kubernetes.core \
 && /opt/venv/bin/python3 bytecode.py /opt/venv \
 && echo /opt/ansible-operator/python > /opt/venv/ansible-operator.pth \
 && mv /opt/venv/ansible-operator.pth /opt/venv/lib/python3*/site-packages/ \
 && cp entry.py /opt/venv/bin/ansible-operator \
 && chmod -R u=rwX,go=rX /opt/venv \
 && chmod 755 /opt/venv/bin/ansible-operator

# Ansible's own test suite, and the asyncio half of the client library: nothing here imports either.
FROM dependencies AS operator-dependencies
RUN rm -rf /opt/venv/lib/python3*/site-packages/ansible_test /opt/venv/lib/python3*/site-packages/kubernetes/aio

# With pip, and open to what pip installs into a user's home, which is what it does for one who is not root.
FROM dependencies AS base-dependencies
RUN PIP_NO_COMPILE=1 /opt/venv/bin/python3 -m ensurepip --upgrade \
 && ln -sf pip3 /opt/venv/bin/pip \
 && sed -i 's/^include-system-site-packages = .*/include-system-site-packages = true/' /opt/venv/pyvenv.cfg \
 && /opt/venv/bin/python3 bytecode.py /opt/venv \
 && chmod -R u=rwX,go=rX /opt/venv

FROM python AS code
COPY LICENSE /opt/ansible-operator/
COPY plugins /opt/ansible-operator/plugins
COPY collections /opt/ansible-operator/collections
COPY python/runner /opt/ansible-operator/python/runner
COPY watches.yaml /project/
COPY roles /project/roles
RUN --mount=type=bind,source=scripts/image/bytecode.py,target=/tmp/bytecode.py \
    python3 /tmp/bytecode.py /opt/ansible-operator/python \
 && chmod -R u=rwX,go=rX /opt/ansible-operator /project

FROM runtime AS base
COPY --from=base-dependencies /opt/venv /opt/venv
COPY --from=code /opt/ansible-operator /opt/ansible-operator
USER 1001
EXPOSE 6789 8443
ENTRYPOINT ["/tini", "--", "/usr/local/bin/ansible-operator", "run", "--watches-file=./watches.yaml"]
ARG BASE_IMAGE
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ansible-operator" \
      org.opencontainers.image.description="Runs Ansible roles and playbooks as a Kubernetes operator: the image that a project builds on" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS operator
# What can install something has no place beside a service account that may write to a cluster.
RUN rm -rf "$(python3 -c 'import ensurepip, os; print(os.path.dirname(ensurepip.__file__))')" /usr/share/python-wheels \
      /usr/local/lib/python3*/site-packages/pip* /usr/lib/python3*/site-packages/pip* \
      /usr/local/bin/pip* /usr/bin/pip* /usr/local/bin/idle* /usr/local/bin/pydoc*
COPY --from=operator-dependencies /opt/venv /opt/venv
COPY --from=code /opt/ansible-operator /opt/ansible-operator
COPY --from=code /project/ ./
# Roles here ask the machine nothing, and it is a container that would answer.
ENV ANSIBLE_GATHERING=explicit
USER 1001
EXPOSE 6789 8443
ENTRYPOINT ["/tini", "--", "/usr/local/bin/ansible-operator", "run", "--watches-file=./watches.yaml", "--strict"]
ARG BASE_IMAGE
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="echo-operator" \
      org.opencontainers.image.description="An Echo becomes a Job that prints its message, a ScheduledEcho a CronJob" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
