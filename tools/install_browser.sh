#!/bin/sh
# Install Debian's chromium and chromedriver for the report's browser test where that is allowed; else say how.
# Never fails: whether a missing browser is an error is for the tests to decide (UNVANISH_REQUIRE=browser).
set -u

have() { command -v "$1" >/dev/null 2>&1; }

if have chromium && have chromedriver; then
  exit 0
fi
if have apt-get && [ "$(id -u)" = 0 ]; then
  echo "Installing chromium and chromium-driver for the browser test: about 200 MB to download ..."
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -q update && apt-get -q install -y --no-install-recommends chromium chromium-driver; } ||
    echo "chromium could not be installed: the browser test will be skipped"
else
  echo "The browser test will be skipped. To run it: sudo apt-get install chromium chromium-driver"
fi
exit 0
