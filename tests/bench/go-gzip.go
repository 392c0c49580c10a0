// Compresses stdin to stdout as Go's own library does.
package main

import (
	"compress/gzip"
	"io"
	"os"
)

func main() {
	out := gzip.NewWriter(os.Stdout)
	if _, err := io.Copy(out, os.Stdin); err != nil {
		panic(err)
	}
	if err := out.Close(); err != nil {
		panic(err)
	}
}
