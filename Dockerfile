# The image: one static binary, no shell, not root, nothing to write but /data.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY . .
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/root/.cache/go-build --mount=type=cache,target=/go/pkg/mod \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w" -o /image/auditlogs . && \
    mkdir /image/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build --chown=nonroot:nonroot /image/data /data
COPY --from=build /image/auditlogs /auditlogs
ENV AUDITLOGS_ADDR=0.0.0.0:8080 AUDITLOGS_DATABASE=sqlite:/data/auditlogs.db
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/auditlogs"]
CMD ["serve"]
