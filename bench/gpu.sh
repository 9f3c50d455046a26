#!/usr/bin/env bash
# What only a GPU can answer, in one command, in at most ten minutes, without a network:
#
#   bench/gpu.sh [--dry-run] [STEP...]
#
# builds knas for the torch and the CUDA toolkit that are there (into a folder of its own: the machine is left as it
# was), runs the tests marked `cuda`, the benches, the ranking of all of NAS-Bench-201, and some tests under
# compute-sanitizer.
# Each step has a limit, a part of log.txt and an exit code; when one fails, the next ones still run.
# Without a GPU it is a dry run: what needs one skips itself with its reason. STEP... runs only those named.
#
# In $OUT (default: a new folder) it leaves
#   summary.json             each step's verdict, exit code and seconds
#   log.txt                  what the steps printed
#   bench.json, rank.json    pytest-benchmark's files: give them to `python -m bench.report` in a checkout to keep them
#   ranking.csv              all of NAS-Bench-201 in order
#   results/, performance.md the same results in short, and the page made of them
# The card is measured as it is found: nothing here changes its clocks or modes.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
seconds_in_all=${LIMIT:-590}

dry_run=0
wanted=()
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=1 ;;
    -*) echo "usage: bench/gpu.sh [--dry-run] [STEP...], got $argument" >&2 && exit 2 ;;
    *) wanted+=("$argument") ;;
  esac
done

OUT=${OUT:-$(mktemp -d -t knas-gpu-XXXXXX)}
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd) || exit 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
steps=$work/steps.tsv
: >"$steps"
: >"$OUT/log.txt"
echo "results: $OUT"
if ((!dry_run)) && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  dry_run=1
  echo "torch sees no GPU: a dry run"
fi

# The source tree's knas/ has no extension: it must not hide the one that is built. So no step runs in the tree.
cd "$work" || exit 2
export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
export PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1

summarize() { # after each step, so that it is there whenever the machine goes
  "$python" - "$steps" "$OUT/summary.json" "$dry_run" <<'PYTHON'
import csv, json, sys

steps, target, dry_run = sys.argv[1:]
names = ("step", "verdict", "exit_code", "seconds", "limit")
rows = [dict(zip(names, row)) for row in csv.reader(open(steps), delimiter="\t")]
for row in rows:
    row.update({key: int(row[key]) for key in names[2:]})
json.dump({"dry_run": dry_run == "1", "steps": rows}, open(target, "w"), indent=1)
PYTHON
}

step() { # step NAME LIMIT COMMAND...: exit code 77 means that the step does not apply here
  local name=$1 limit=$2 start=$SECONDS code verdict
  shift 2
  if ((${#wanted[@]})) && [[ " ${wanted[*]} " != *" $name "* ]]; then return; fi
  local left=$((seconds_in_all - SECONDS))
  if ((left < 10)); then
    code=0 verdict="no time left"
  else
    ((limit > left)) && limit=$left
    printf '\n=== %s (at most %d s): %s\n' "$name" "$limit" "$*" | tee -a "$OUT/log.txt"
    LIMIT=$limit timeout --kill-after=10 "$limit" "$@" </dev/null 2>&1 | tee -a "$OUT/log.txt"
    code=${PIPESTATUS[0]}
    case $code in
      0) verdict=passed ;;
      5 | 77) verdict="does not apply" ;; # 5 is pytest's "no tests"
      124 | 137) verdict="out of time" ;;
      *) verdict=FAILED ;;
    esac
  fi
  printf '%s\t%s\t%d\t%d\t%d\n' "$name" "$verdict" "$code" $((SECONDS - start)) "$limit" >>"$steps"
  summarize
}

pytest=("$python" -m pytest -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider -q)
tests=("${pytest[@]}" --continue-on-collection-errors)
sanitized=("${tests[@]}" "$root/tests/cuda/test_ops_cuda.py" -m cuda --timeout 0
  -k "float32 and (depthwise or groups or stride or 3d or test_linear or test_affine or test_gram)")

sanitizer() { # sanitizer NAME LIMIT: only knas's kernels, each tensor in an allocation of its own
  local name=$1 limit=$2
  if ((dry_run)) || ! command -v compute-sanitizer >/dev/null; then
    step "$name" "$limit" bash -c 'echo "needs a GPU and compute-sanitizer"; exit 77'
  else
    local filter # its name has changed with releases
    filter=$(compute-sanitizer --help | grep -oE -m 1 -- '--kernel-(regex|name)\b|--filter\b')
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 step "$name" "$limit" compute-sanitizer --tool "$name" --error-exitcode 9 \
      ${filter:+"$filter" kns=knas} "${sanitized[@]}"
  fi
}

step machine 20 "$python" "$root/bench/inventory.py"
if ((!dry_run)) || [[ " ${wanted[*]} " == *" build "* ]]; then
  step build 240 "$python" -m pip install --no-build-isolation --no-deps --no-index --target "$work/site" "$root"
fi
step installed 60 "$python" -c 'import knas; print(knas.__file__); print(knas.native.build_info())'
step cuda-tests 90 "${tests[@]}" "$root/tests" -m cuda
step bench 170 "${pytest[@]}" -m cuda --stop-after 140 \
  --benchmark-json "$OUT/bench.json" --benchmark-columns min,median,rounds \
  "$root"/bench/test_{ceilings,layer_operators,gram_operator,launches,breakdown,memory,sampled_mgm,full_gram,growth}.py
step rank 120 "${pytest[@]}" -m cuda --whole-space "$OUT/ranking.csv" \
  --benchmark-json "$OUT/rank.json" "$root/bench/test_whole_space.py"
sanitizer memcheck 50
sanitizer racecheck 50
step core-tests 45 "${tests[@]}" "$root"/tests/{gradients,proxies,spaces} "$root"/tests/test_native*.py \
  -m "not cuda and not slow"
mapfile -t files < <(find "$OUT" -maxdepth 1 \( -name bench.json -o -name rank.json \) -size +0)
step report 20 "$python" -c "import sys; sys.path.append('$root'); from bench.report import main; sys.exit(main())" \
  "${files[@]}" --results "$OUT/results" --page "$OUT/performance.md"

printf '\n%-12s %-15s %9s %8s\n' step verdict "exit code" seconds
while IFS=$'\t' read -r name verdict code seconds _; do
  printf '%-12s %-15s %9d %8d\n' "$name" "$verdict" "$code" "$seconds"
done <"$steps"
echo "results: $OUT"
! cut -f 2 "$steps" | grep -q -e FAILED -e 'out of time' -e 'no time left'
