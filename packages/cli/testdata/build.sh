#!/bin/sh
# Compiles the objects of the tests: clang 19, the kernel's UAPI headers and bpf_helpers.h of libbpf (Debian: linux-libc-dev, libbpf-dev).
set -eu
cd "$(dirname "$0")"
for name in kernel port; do
  clang-19 -target bpf -mcpu=v3 -O2 -g -Wall -Werror -ffile-compilation-dir=. "-I/usr/include/$(uname -m)-linux-gnu" -c $name.bpf.c -o $name.o
  llvm-strip-19 -g $name.o
done
