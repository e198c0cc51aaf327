#!/bin/sh
# Compiles the programs of the kernel tests: clang 19, the UAPI headers of the kernel and bpf_helpers.h of libbpf (Debian:
# linux-libc-dev, libbpf-dev). Usage: sh build.sh [NAME...]
set -eu
cd "$(dirname "$0")"
arch=$(uname -m)
case $arch in x86_64) target=__TARGET_ARCH_x86 ;; aarch64) target=__TARGET_ARCH_arm64 ;; esac
for name in ${*:-$(ls ./*.bpf.c objects/*.bpf.c | sed 's|^\./||; s|\.bpf\.c$||')}; do
  case $name in arena | objects/v4) cpu=v4 ;; *) cpu=v3 ;; esac
  clang-19 -target bpf -mcpu=$cpu -O2 -g -Wall -Werror -D$target -ffile-compilation-dir=. "-I/usr/include/$arch-linux-gnu" \
    -c "$name.bpf.c" -o "$name.o"
  llvm-strip-19 -g "$name.o"
done
if [ "$#" -eq 0 ] && [ "$arch" = x86_64 ]; then
  gcc -O1 -nostdlib -static -fno-pie -no-pie -fno-stack-protector -fno-asynchronous-unwind-tables -Wl,--build-id=none \
    -z noseparate-code -o probed.x64 probed.c
fi
