#!/usr/bin/env bash
# Installs localstripe, which checks requests as Stripe does, from PyPI: localstripe.sh VERSION TARGET
# TARGET then is a program that serves on a free port of 127.0.0.1 and says which.
set -euo pipefail
version="$1" target="$2"

packages="$(realpath -m "$(dirname "$target")/../localstripe-$version")"
rm -rf "$packages"
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$packages" \
  "localstripe==$version"
mkdir -p "$(dirname "$target")"
cat >"$target" <<PROGRAM
#!/usr/bin/env python3
import socket, sys
sys.path.insert(0, "$packages")
from aiohttp import web
from localstripe.server import app
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
web.run_app(app, sock=listener, access_log=None, print=None)
PROGRAM
chmod 755 "$target"
