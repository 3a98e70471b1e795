# syntax=docker/dockerfile:1

FROM rust:1-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin dspyx \
    && cp target/release/dspyx /dspyx

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/dspyx --create-home dspyx
COPY --from=build /dspyx /usr/local/bin/dspyx
COPY examples/programs /etc/dspyx/programs
USER 10001
WORKDIR /var/lib/dspyx
ENV API_HOST=0.0.0.0 \
    API_PORT=8001 \
    PROGRAMS_DIR=/etc/dspyx/programs \
    DATABASE_PATH=/var/lib/dspyx/dspyx.db \
    LOG_FORMAT=json
VOLUME /var/lib/dspyx
EXPOSE 8001
# Of `serve` and `api`; compose.yaml gives workers another.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["dspyx", "status", "--health"]
ENTRYPOINT ["dspyx"]
CMD ["serve"]
