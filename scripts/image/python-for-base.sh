#!/bin/sh
# Give an image a `python3` that the operator runs on. Where there is one already, as in python:3.13-slim and in
# what base.py makes, nothing is changed. Red Hat's minimal images have none.
set -eu
fits() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; }
if fits; then exit 0; fi
if command -v microdnf >/dev/null; then
    microdnf install -y --nodocs --setopt=install_weak_deps=0 python3.12 python3.12-pip openssl ca-certificates
    microdnf clean all
    rm -rf /var/cache/yum /var/cache/dnf /var/log/dnf* /var/log/hawkey.log
    ln -sf /usr/bin/python3.12 /usr/local/bin/python3
fi
if fits; then exit 0; fi
echo "this base image has no Python >= 3.12 with venv, and none can be installed into it: choose another BASE_IMAGE" >&2
exit 1
