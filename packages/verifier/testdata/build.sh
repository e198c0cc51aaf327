#!/bin/sh
# Compiles the fuzzer's seeds: clang 19, the UAPI headers of the kernel and bpf_helpers.h of libbpf (Debian: linux-libc-dev, libbpf-dev).
set -eu
cd "$(dirname "$0")"
for name in seeds arena refused; do
  case $name in arena) cpu=v4 ;; *) cpu=v3 ;; esac
  clang-19 -target bpf -mcpu=$cpu -O2 -g -Wall -Werror -D__TARGET_ARCH_x86 -ffile-compilation-dir=. "-I/usr/include/$(uname -m)-linux-gnu" \
    -c "$name.bpf.c" -o "$name.o"
  llvm-strip-19 -g "$name.o"
done
