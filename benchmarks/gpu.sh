#!/usr/bin/env bash
# Measures the full-size network on one GPU, section by section, and writes a table.
#
#     bash benchmarks/gpu.sh [--output outputs/gpu] [--tiny] [--limit 470] [SECTION ...]
#
# It runs from the repository without an installation and takes under eight minutes. Each section is
# a process with a time limit of its own: one that fails or is late keeps what it has measured, and
# the others go on. Results are FOLDER/SECTION.json and FOLDER/gpu.md, written anew after each
# section. --tiny takes the smallest sizes, for a test of the script on a CPU. PYTHON names the
# interpreter; packages that it lacks may lie in any folder of PYTHONPATH.
set -u
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3} output=outputs/gpu limit=470 tiny=() chosen=()
while (($#)); do
  case $1 in
    --output) output=$2; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --tiny) tiny=(--tiny); shift ;;
    *) chosen+=("$1"); shift ;;
  esac
done
export PYTHONPATH="$PWD/src:$PWD/benchmarks:$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$output" || exit 2

# section NAME SECONDS: runs one section for at most so long, and never beyond the whole limit.
section() {
  local name=$1 seconds=$2 left=$((limit - SECONDS)) status
  ((${#chosen[@]})) && [[ " ${chosen[*]} " != *" $name "* ]] && return
  ((seconds > left)) && seconds=$left
  if ((seconds < 3)); then
    status="not run: no time was left"
  else
    echo "== $name, at most $seconds s"
    timeout --signal=INT --kill-after=10 "$seconds" "$python" benchmarks/bench_gpu.py "$name" \
      --output "$output" --seconds "$seconds" "${tiny[@]}"
    status=$?
    ((status == 124 || status == 137)) && status="stopped after $seconds s"
  fi
  "$python" benchmarks/gpu_table.py "$output" "$name" "$status"
}

section machine 20
section parity 70
section streaming 110
section steps 150
section tests 60
section training "$limit" # whatever is left
cat "$output/gpu.md"
