#!/usr/bin/env bash
# Show a notice or an alert on the page of a GitHub Actions run: tell-github.sh LEVEL TEXT
set -euo pipefail

case $1 in
  alert) kind=error ;;
  *) kind=warning ;;
esac
text=${2//'%'/%25}
text=${text//$'\n'/%0A}
echo "::$kind title=connector sync::$text"
