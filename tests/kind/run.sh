#!/usr/bin/env bash
# The charts on kind, with LocalStack in a container beside it: from install to uninstall (tests/chart/life). Needs Docker,
# kind and kubectl. Not yet run: where this was written there is no Docker. Everything but the cluster's creation is what
# tests/node/run does, too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=tests/lib.sh
source tests/lib.sh

readonly NAME=mlservicerole REPOSITORY=mlservicerole-operator TAG=kind
# The last release that runs without a licence.
readonly LOCALSTACK=docker.io/localstack/localstack:4.14.0

main() {
  new_scratch
  trap 'take_down; clean_up' EXIT
  export KUBECONFIG="$SCRATCH/kubeconfig"
  phase "build the image" docker build --build-arg VERSION="$TAG" --tag "$REPOSITORY:$TAG" .
  phase "make a cluster" kind create cluster --name "$NAME" --wait 2m
  phase "bring the image to its node" kind load docker-image --name "$NAME" "$REPOSITORY:$TAG"
  # On the network of the cluster, so that pods reach it; and on a port of this machine, so that we do.
  phase "start LocalStack" docker run --detach --name "$NAME-aws" --network kind --publish 127.0.0.1:4566:4566 \
    --env SERVICES=iam,sts --env EAGER_SERVICE_LOADING=1 "$LOCALSTACK"
  phase "LocalStack answers" answers
  local address
  address="$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$NAME-aws")"
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 POD_AWS_ENDPOINT_URL="http://$address:4566" \
    phase "the charts from install to uninstall" tests/chart/life "$REPOSITORY" "$TAG"
}

answers() {
  for _ in $(seq 120); do
    if AWS_ENDPOINT_URL=http://127.0.0.1:4566 iam ListRoles >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  docker logs "$NAME-aws" >&2
  return 1
}

take_down() {
  docker rm --force "$NAME-aws" >/dev/null 2>&1 || true
  kind delete cluster --name "$NAME" || true
}

main
