#!/usr/bin/env bash
# Runs the program itself, on the real clock.
set -euo pipefail

[[ "$("$1")" == "10 loads for 1000 requests" ]]
