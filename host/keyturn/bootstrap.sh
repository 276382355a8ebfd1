#!/usr/bin/env bash
# Packs a release binary for AWS Lambda's runtime provided.al2023: bootstrap.sh BINARY FOLDER
# FOLDER then has bootstrap.zip. Says so if it is larger than what we aim at; fails if Lambda would not take it, or if it
# needs another C library than that runtime has.
set -euo pipefail
binary="$1" folder="$2"
zip_bytes_aim=15000000
# Lambda's own bound for an upload.
zip_bytes_max=50000000
glibc_of_runtime=2.34

glibc="$(readelf --wide --version-info "$binary" | grep -o 'GLIBC_2\.[0-9]*' | sed 's/GLIBC_//' | sort -Vu | tail -1)"
if [ "$(printf '%s\n' "$glibc" "$glibc_of_runtime" | sort -V | tail -1)" != "$glibc_of_runtime" ]; then
  echo "$binary needs glibc $glibc, and provided.al2023 has $glibc_of_runtime; build it where glibc is older" >&2
  exit 1
fi

mkdir -p "$folder"
rm -f "$folder/bootstrap" "$folder/bootstrap.zip"
install -m 755 "$binary" "$folder/bootstrap"
if command -v zip >/dev/null; then
  (cd "$folder" && zip -9 -q -X bootstrap.zip bootstrap)
else
  # Keeps the mode, without which Lambda cannot run it.
  (cd "$folder" && python3 -c 'import zipfile
with zipfile.ZipFile("bootstrap.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    archive.write("bootstrap")')
fi

bytes="$(wc -c <"$folder/bootstrap.zip")"
echo "$folder/bootstrap.zip: $bytes bytes, $(wc -c <"$folder/bootstrap") unpacked, glibc $glibc or newer"
if [ "$bytes" -gt "$zip_bytes_max" ]; then
  echo "Lambda takes no more than $zip_bytes_max bytes" >&2
  exit 1
fi
if [ "$bytes" -gt "$zip_bytes_aim" ]; then
  echo "that is more than the $zip_bytes_aim bytes that Keyturn aims at"
fi
