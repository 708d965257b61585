#!/usr/bin/env bash
# The program itself, under the clock.
set -euo pipefail

[[ "$("$1")" == "10 loads for 1000 requests" ]]
