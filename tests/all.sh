#!/usr/bin/env bash
# Everything that CI checks: `pip install '.[test]' && tests/all.sh`, or only some stages: `tests/all.sh ruff pytest`.
set -uo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python}
scripts=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))') || exit 1
export PATH="$scripts:$PATH" # the tools of the interpreter that knas was installed for, activated or not
jobs=$(nproc)
summary=()
failed=0

stage() { # stage NAME COMMAND...: runs one named, timed stage; a failure doesn't keep the next ones from running
  local name=$1 start=$SECONDS verdict=passed
  shift
  if ((${#wanted[@]})) && [[ " ${wanted[*]} " != *" $name "* ]]; then return; fi
  printf '\n=== %s: %s\n' "$name" "$*"
  "$@" </dev/null || { verdict=FAILED failed=1; }
  summary+=("$(printf '%-26s %-7s %4d s' "$name" "$verdict" $((SECONDS - start)))")
}

native() { # native SANITIZERS: the torch-free half under CTest; the plain build also compiles every CUDA kernel
  local build="build/ctest-${1:-plain}"
  cmake -S . -B "$build" -G Ninja -DKNAS_SANITIZE="$1" &&
    cmake --build "$build" --parallel "$jobs" &&
    ctest --test-dir "$build" --parallel "$jobs" --output-on-failure
}

wanted=("$@")
stage ruff ruff check .
stage mypy mypy
stage pytest pytest --durations=15
stage ctest-plain native ""
stage ctest-address,undefined native address,undefined
stage ctest-thread native thread

printf '\n=== summary\n'
printf '%s\n' "${summary[@]}"
exit $failed
