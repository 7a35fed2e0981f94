#!/usr/bin/env bash
# The charts on kind, with LocalStack in a container beside it and the pod identity webhook in it: from install to uninstall
# (tests/chart/life), and the end-to-end tests against the chart's pods (tests/chart/e2e). Needs Linux, Docker, kind, kubectl,
# Go and Rust, and root or sudo for the tests' network. Not yet run: where this was written there is no Docker daemon.
# tests/node/run has run both of those scripts; only here are the image's build by Docker, the cluster, LocalStack in a
# container and the webhook.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=tests/lib.sh
source tests/lib.sh

readonly NAME=mlservicerole REPOSITORY=mlservicerole-operator TAG=kind
# The last release that runs without a licence.
readonly LOCALSTACK=docker.io/localstack/localstack:4.14.0
readonly WORKLOAD=localhost/workload:1
readonly WEBHOOK=pod-identity-webhook
STARTED=
STATUS=0

main() {
  local program node
  for program in cargo docker go kind kubectl nsenter openssl; do
    command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
  done
  if kind get clusters 2>/dev/null | grep -qx "$NAME"; then
    echo "there is a kind cluster $NAME already: kind delete cluster --name $NAME" >&2
    exit 1
  fi
  new_scratch
  # clean_up reports the status, so it must find it as it was.
  trap 'STATUS=$?; set +e; take_down; (exit "$STATUS"); clean_up' EXIT
  export KUBECONFIG="$SCRATCH/kubeconfig"
  phase "compile the end-to-end tests" cargo test --locked --test e2e --no-run
  phase "build the image" docker build --build-arg VERSION="$TAG" --tag "$REPOSITORY:$TAG" .
  STARTED=yes
  phase "make a cluster" kind create cluster --name "$NAME" --wait 2m
  phase "bring the image to its node" kind load docker-image --name "$NAME" "$REPOSITORY:$TAG"
  phase "bring a workload there, too" bring_workload
  phase "start LocalStack" docker run --detach --name "$NAME-aws" --network kind \
    --env SERVICES=iam,sts --env EAGER_SERVICE_LOADING=1 "$LOCALSTACK"
  # Addresses of Docker's network, which hold on this machine, in the node's network and in pods.
  AWS_ENDPOINT_URL="http://$(address "$NAME-aws"):4566"
  node="$(address "$NAME-control-plane")"
  export AWS_ENDPOINT_URL
  kubectl config set-cluster "kind-$NAME" --server "https://$node:6443"
  phase "LocalStack answers" answers
  docker logs --follow "$NAME-aws" >"$SCRATCH/localstack.log" 2>&1 &
  phase "start the pod identity webhook" start_webhook
  WORKLOAD_IMAGE="$WORKLOAD" AWS_LOG="$SCRATCH/localstack.log" \
    phase "the charts from install to uninstall" tests/chart/life "$REPOSITORY" "$TAG"
  POD_NETWORK="/proc/$(docker inspect --format '{{.State.Pid}}' "$NAME-control-plane")/ns/net" POD_ADDRESS="$node" \
    phase "the end-to-end tests against the chart's pods" tests/chart/e2e "$REPOSITORY" "$TAG"
}

# address CONTAINER: in the network of the cluster.
address() { docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$1"; }

# One static program, without a registry.
bring_workload() {
  (cd tests/testbed/workload && CGO_ENABLED=0 go build -trimpath -o "$SCRATCH/workload" .)
  tar -C "$SCRATCH" -c workload |
    docker import --change 'ENTRYPOINT ["/workload"]' --change 'USER 65535:65535' - "$WORKLOAD"
  kind load docker-image --name "$NAME" "$WORKLOAD"
}

answers() {
  for _ in $(seq 120); do
    if iam ListRoles >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  docker logs "$NAME-aws" >&2
  return 1
}

# Its own authority is its certificate.
start_webhook() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 1 -keyout "$SCRATCH/tls.key" -out "$SCRATCH/tls.crt" \
    -subj "/CN=$WEBHOOK.$WEBHOOK.svc" -addext "subjectAltName=DNS:$WEBHOOK.$WEBHOOK.svc" 2>/dev/null
  kubectl create namespace "$WEBHOOK"
  kubectl create secret tls "$WEBHOOK" -n "$WEBHOOK" --cert "$SCRATCH/tls.crt" --key "$SCRATCH/tls.key"
  sed "s|CA_BUNDLE|$(base64 -w 0 <"$SCRATCH/tls.crt")|" tests/kind/webhook.yaml | kubectl apply --server-side -f -
  kubectl rollout status "deployment/$WEBHOOK" -n "$WEBHOOK" --timeout=2m
}

# Only what this run made.
take_down() {
  stop_group
  [[ -n "$STARTED" ]] || return 0
  if [[ "$STATUS" -ne 0 ]]; then
    kubectl get pods -A -o wide >&2
    kubectl get events -A --sort-by=.lastTimestamp 2>/dev/null | tail -n 30 >&2
    docker logs --tail 30 "$NAME-aws" >&2
  fi
  docker rm --force "$NAME-aws" >/dev/null 2>&1
  kind delete cluster --name "$NAME"
}

main
