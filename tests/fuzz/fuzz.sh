#!/usr/bin/env bash
# Fuzzes every target for so many seconds, two at a time:  tests/fuzz/fuzz.sh [SECONDS]
# KEYTURN_FUZZ_SEED repeats a run; left out, each run tries other inputs.
#
# libFuzzer follows coverage. Its instrumentation is an LLVM pass that a stable compiler runs too, so
# this needs no nightly toolchain; only address sanitising does, and `cargo +nightly fuzz run TARGET
# --fuzz-dir tests/fuzz/libfuzzer` adds it. Where libFuzzer cannot be built (it is C++), the same
# targets run under the seeded mutator instead, and this script says so.
set -euo pipefail
cd "$(dirname "$0")"
seconds="${1:-30}"
cargo="${CARGO:-cargo}"
out="$(cd ../.. && mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)/fuzz"
host="$(rustc --version --verbose | sed -n 's/^host: //p')"
targets=(secret_json postgres_wire redis_wire plugin_output endpoint_address configuration)

# The passes that cargo-fuzz asks for. With --target they do not reach build scripts.
flags="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares"

with_mutator() {
  echo "fuzz: $1; the seeded mutator runs instead, blind to coverage"
  KEYTURN_FUZZ_SECONDS="$seconds" KEYTURN_FUZZ_SEED="${KEYTURN_FUZZ_SEED:-$RANDOM}" \
    "$cargo" test --workspace --test replay -- --nocapture --test-threads=2 "${targets[@]}" | tee "$evidence"
}

# What `keyturn-evidence` reads afterwards.
evidence="$out/evidence.log"
mkdir -p "$out"
if ! command -v "${CXX:-c++}" >/dev/null; then
  with_mutator "there is no C++ compiler for libFuzzer (set CXX)"
  exit
fi
if ! RUSTFLAGS="$(echo $flags)" CARGO_TARGET_DIR="$out/build" \
    "$cargo" build --release --target "$host" --manifest-path libfuzzer/Cargo.toml >"$out/build.log" 2>&1; then
  tail -n 20 "$out/build.log"
  with_mutator "libFuzzer's build failed ($out/build.log)"
  exit
fi

# New inputs go into a corpus beside the build; the one in the repository is only read.
fuzz() {
  local target="$1" log="$out/$1.log"
  mkdir -p "$out/corpus/$target" "$out/failures"
  if "$out/build/$host/release/$target" "$out/corpus/$target" "corpus/$target" \
      -dict="dictionaries/$target.dict" -artifact_prefix="$out/failures/$target-" \
      -seed="${KEYTURN_FUZZ_SEED:-0}" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=64 \
      -print_final_stats=1 >"$log" 2>&1; then
    echo "evidence: fuzz $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions (libFuzzer, ${seconds} s each)"
  else
    tail -n 40 "$log"
    echo "fuzz: $target failed; if the input above is fixed, keep it in tests/fuzz/corpus/$target"
    return 1
  fi
}
export -f fuzz
export out host seconds
printf '%s\n' "${targets[@]}" | xargs -P 2 -I TARGET bash -euo pipefail -c 'fuzz TARGET' | tee "$evidence"
