#!/bin/sh
# Compiles the object of the kernel tests: clang 19, the kernel's UAPI headers and bpf_helpers.h of libbpf (Debian: linux-libc-dev, libbpf-dev).
set -eu
cd "$(dirname "$0")"
clang-19 -target bpf -mcpu=v3 -O2 -g -Wall -Werror -ffile-compilation-dir=. "-I/usr/include/$(uname -m)-linux-gnu" -c kernel.bpf.c -o kernel.o
llvm-strip-19 -g kernel.o
