#!/usr/bin/env bash
# Installs the clients that applications use against Secrets Manager, and one for functions, from PyPI and npm:
# aws-clients.sh BOTO3 AWSCLI JAVASCRIPT CARGO_LAMBDA BIN
# BIN then has aws-python (Python with boto3 and the AWS CLI), aws-node (Node.js with the JavaScript SDK) and cargo-lambda,
# each of them only if its packages and its interpreter can be had.
set -uo pipefail
boto3="$1" awscli="$2" javascript="$3" cargo_lambda="$4" bin="$5"
mkdir -p "$bin"

# A program that appears only when what it needs is whole.
program() {
  cat >"$1.new" && chmod 755 "$1.new" && mv "$1.new" "$1"
}

if [ ! -x "$bin/aws-python" ]; then
  packages="$(realpath -m "$bin/../aws-python-$boto3-$awscli")"
  rm -rf "$packages"
  if python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$packages" \
    "boto3==$boto3" "awscli==$awscli"; then
    program "$bin/aws-python" <<PROGRAM
#!/bin/sh
PYTHONPATH="$packages" exec python3 "\$@"
PROGRAM
  else
    echo "boto3 $boto3 and awscli $awscli can't be had from PyPI here; their tests are skipped"
  fi
fi

if [ ! -x "$bin/aws-node" ]; then
  packages="$(realpath -m "$bin/../aws-node-$javascript")"
  rm -rf "$packages"
  if command -v node >/dev/null && npm install --silent --no-audit --no-fund --prefix "$packages" \
    "@aws-sdk/client-secrets-manager@$javascript" >/dev/null; then
    program "$bin/aws-node" <<PROGRAM
#!/bin/sh
NODE_PATH="$packages/node_modules" exec node "\$@"
PROGRAM
  else
    echo "Node.js or client-secrets-manager $javascript from npm can't be had here; its test is skipped"
  fi
fi

if [ ! -x "$bin/cargo-lambda" ]; then
  packages="$(realpath -m "$bin/../cargo-lambda-$cargo_lambda")"
  rm -rf "$packages"
  # Without the compiler that it would build functions with: ours is built already.
  if python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-deps --target "$packages" \
    "cargo-lambda==$cargo_lambda"; then
    ln -sf "$packages/bin/cargo-lambda" "$bin/cargo-lambda"
  else
    echo "cargo-lambda $cargo_lambda can't be had from PyPI here; its test is skipped"
  fi
fi
