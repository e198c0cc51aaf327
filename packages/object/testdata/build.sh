#!/bin/sh
# Compiles the golden objects: clang 19, the UAPI headers of the kernel and bpf_helpers.h of libbpf (Debian: linux-libc-dev, libbpf-dev);
# those of GCC: bpf-gcc 12 with binutils 2.40 (gcc-bpf, binutils-bpf).
# Usage: sh build.sh [NAME...]
set -eu
cd "$(dirname "$0")"
headers="-I/usr/include/$(uname -m)-linux-gnu"
common="-O2 -g -Wall -Werror -ffile-compilation-dir=. $headers"

compile() { # TARGET CPU SOURCE OUTPUT
  clang-19 -target "$1" -mcpu="$2" $common -c "$3" -o "$4"
}

# From standard input and the root: GCC writes both paths into the types. Without scheduling, which leaves CO-RE relocations where they were.
gcc() { # SOURCE OUTPUT OPTION...
  source=$PWD/$1 output=$PWD/$2
  shift 2
  (cd / && bpf-gcc -O2 -mcpu=v3 -Wall -Werror -fno-schedule-insns -fno-schedule-insns2 -idirafter "/usr/include/$(uname -m)-linux-gnu" \
    -idirafter /usr/include -iquote "${source%/*}" "$@" -c -x c -o "$output" - <"$source")
}

for name in ${*:-$(ls ./*.c | sed 's|^\./||; s|\.c$||')}; do
  case $name in
    plain) clang-19 -target bpf -O2 $headers -c plain.c -o plain.o ;;
    cpu-v4) compile bpf v4 cpu-v4.c cpu-v4.o ;;
    gcc-plain) gcc gcc-plain.c gcc-plain.o ;;
    gcc-*) gcc "$name.c" "$name.o" -gbtf -mco-re ;;
    arena) compile bpf v3 arena.c arena.o ;;
    global-data | core-fields | core-bitfields | subprograms | tail-calls)
      compile bpf v3 "$name.c" "$name.o"
      compile bpfeb v3 "$name.c" "$name.eb.o"
      ;;
    *) compile bpf v3 "$name.c" "$name.o" ;;
  esac
done
# Without DWARF, which nothing here reads; one file keeps it.
for object in ./*.o; do
  case $object in
    ./dwarf.o | ./linked*.o | ./gcc-*.o) ;;
    *) llvm-strip-19 -g "$object" ;;
  esac
done
# What bpftool links of two objects.
bpftool gen object linked.o link-a.o link-b.o
# Once more, as the kernel's selftests do: a map that the second object defines and the first declares has the declaration's offset before.
bpftool gen object linked-again.tmp link-c.o link-d.o
bpftool gen object linked-maps.o linked-again.tmp
rm linked-again.tmp
