// Opens and loads an object with cilium/ebpf, and prints lines as loader.c does: what came of it, and the tags of the programs.
package main

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

func outcome(what string, err error) bool {
	if err == nil {
		fmt.Printf("%s\t0\n", what)
		return true
	}
	fmt.Printf("%s\t1\n", what)
	fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
	return false
}

func main() {
	spec, err := ebpf.LoadCollectionSpec(os.Args[1])
	if !outcome("open", err) {
		return
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	collection, err := ebpf.NewCollection(spec)
	if !outcome("load", err) {
		return
	}
	defer collection.Close()
	for name, program := range collection.Programs {
		info, err := program.Info()
		if err != nil {
			outcome("program\t"+name, err)
			continue
		}
		fmt.Printf("program\t%s\t%d\t%s\n", name, program.Type(), info.Tag)
	}
}
