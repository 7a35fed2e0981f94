#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" \
#     -t mlservicerole-operator:0.1.0 .
#
# For both architectures: docker buildx build --platform linux/amd64,linux/arm64 …
# Only the list of what is in it (CycloneDX): docker build --target sbom -o . .
#
# The two base images belong together: both are Debian 12, so the binary finds the glibc that it was
# linked against. Change them together.
#
# They are named by tag here, since a digest must be looked up in the registry when it is needed, by whoever
# builds. A release does that (.github/workflows/release.yaml): it resolves each tag once, builds for both
# architectures with TAG@sha256:…, and the image's provenance and the release's notes say which. To do the same:
#   docker buildx imagetools inspect gcr.io/distroless/cc-debian12:nonroot --format '{{json .Manifest}}'
# and --build-arg RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:…, likewise BUILD_IMAGE.
ARG BUILD_IMAGE=build-base
ARG RUNTIME_IMAGE=runtime-base
# In lines of their own, since Dependabot reads no ARG. A stage that nothing uses isn't pulled.
FROM docker.io/library/rust:1.95.0-bookworm AS build-base
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime-base

FROM ${BUILD_IMAGE} AS build
WORKDIR /build

# cargo auditable writes the versions of all dependencies into the binary, where scanners (trivy, grype,
# cargo audit bin) find them; cargo cyclonedx writes them into a file. --debug, since both only read lists.
RUN cargo install --locked --debug cargo-auditable@0.7.7 cargo-cyclonedx@0.5.9

# Dependencies first, on an empty crate: this layer stays cached until Cargo.toml or Cargo.lock
# changes. Cargo.toml names files in tests/, so they must exist for the manifest to be read.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src && touch src/lib.rs && echo 'fn main() {}' > src/main.rs \
    && sed -n 's|^path = "\(tests/.*\)"|\1|p' Cargo.toml > targets \
    && while read -r file; do mkdir -p "$(dirname "$file")" && echo 'fn main() {}' > "$file"; done < targets \
    && cargo auditable build --profile dist --locked --bin mlservicerole-operator \
    && rm -rf src

# The program says what it was built from (mlservicerole_build_info).
ARG REVISION=unknown
# `touch`: what was copied can be older than what was just built, and cargo goes by the time.
# Stripped of symbols only: strip keeps the section of cargo auditable.
COPY src ./src
RUN find src -name '*.rs' -exec touch {} + \
    && MLSERVICEROLE_REVISION="${REVISION}" \
       cargo auditable build --profile dist --locked --bin mlservicerole-operator \
    && strip target/dist/mlservicerole-operator \
    && cargo cyclonedx --format json --describe binaries --target-in-filename \
    && mv mlservicerole-operator_bin_*.cdx.json sbom.cdx.json

FROM scratch AS sbom
COPY --from=build /build/sbom.cdx.json /sbom.cdx.json

# glibc, libgcc and CA certificates; no shell, no package manager, user 65532.
FROM ${RUNTIME_IMAGE}
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mlservicerole-operator" \
      org.opencontainers.image.description="Gives ML workloads on EKS their AWS permissions: IAM roles for ServiceAccounts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /build/sbom.cdx.json /usr/share/sbom/mlservicerole-operator.cdx.json
COPY --from=build /build/target/dist/mlservicerole-operator /usr/local/bin/mlservicerole-operator
# What is larger is given back as soon as it is free (mallopt(3), M_MMAP_THRESHOLD). Without this line glibc raises the limit
# with each large block, and what was a page of a list for a moment is never given back: 4 MiB with 5,000 objects.
ENV MALLOC_MMAP_THRESHOLD_=131072
# By number, so that Kubernetes can see that it isn't root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/mlservicerole-operator"]
CMD ["run"]
