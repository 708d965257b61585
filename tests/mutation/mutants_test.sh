#!/usr/bin/env bash
set -euo pipefail
exec tools/mutate.sh --check
