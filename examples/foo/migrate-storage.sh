#!/bin/sh
# Writes every Foo anew in the version that is stored now, and has the definition forget the others. After that, they may
# be taken out of api.yaml. Does no harm where there is nothing to do. If somebody changes a Foo meanwhile, it ends with
# an error; then run it again.
#
#   sh migrate-storage.sh [definition]
set -eu
crd=${1:-foos.example.com}
version=$(kubectl get crd "$crd" --output=jsonpath='{.spec.versions[?(@.storage==true)].name}')
objects=$(kubectl get "$crd" --all-namespaces --output=json)
if [ -n "$(kubectl get "$crd" --all-namespaces --output=name)" ]; then
  printf '%s' "$objects" | kubectl replace --filename=-
fi
kubectl patch crd "$crd" --subresource=status --type=merge --patch "{\"status\":{\"storedVersions\":[\"$version\"]}}"
