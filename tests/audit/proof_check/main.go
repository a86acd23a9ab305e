// Checks the texts of `interlock audit proof` with Go's own packages (golang.org/x/mod/sumdb).
//
// Usage: main KEY inclusion ENTRY_FILE PROOF_FILE
//        main KEY consistency OLD_CHECKPOINT_FILE PROOF_FILE
//
// An inclusion proof is a C2SP tlog-proof: "c2sp.org/tlog-proof@v1", "index N", hashes, an empty line, the checkpoint.
// A consistency proof is the body of a C2SP tlog-witness request: "old N", hashes, an empty line, the checkpoint.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func head(text, key string) (tlog.Tree, error) {
	var tree tlog.Tree
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tree, fmt.Errorf("not the three lines of a checkpoint")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// The number of the line that begins with `label`, the hashes below it, and the checkpoint.
func parts(text, label string) (int64, []tlog.Hash, string, error) {
	top, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(top, "\n")
	if !found || !strings.HasPrefix(lines[0], label) {
		return 0, nil, "", fmt.Errorf("not a proof of this kind")
	}
	number, err := strconv.ParseInt(strings.TrimPrefix(lines[0], label), 10, 64)
	var hashes []tlog.Hash
	for _, line := range lines[1:] {
		raw, bad := base64.StdEncoding.DecodeString(line)
		if bad != nil || len(raw) != tlog.HashSize {
			return 0, nil, "", fmt.Errorf("not a hash: %q", line)
		}
		hashes = append(hashes, *(*tlog.Hash)(raw))
	}
	return number, hashes, checkpoint, err
}

func inclusion(key, entry, proof string) error {
	const first = "c2sp.org/tlog-proof@v1\n"
	if !strings.HasPrefix(proof, first) {
		return fmt.Errorf("the first line is not %q", first)
	}
	index, hashes, checkpoint, err := parts(strings.TrimPrefix(proof, first), "index ")
	if err != nil {
		return err
	}
	tree, err := head(checkpoint, key)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash([]byte(entry)))
}

func consistency(key, old, proof string) error {
	before, err := head(old, key)
	if err != nil {
		return err
	}
	size, hashes, checkpoint, err := parts(proof, "old ")
	if err != nil {
		return err
	}
	if size != before.N {
		return fmt.Errorf("it proves from %d on, not from %d", size, before.N)
	}
	after, err := head(checkpoint, key)
	if err != nil {
		return err
	}
	return tlog.CheckTree(hashes, after.N, after.Hash, before.N, before.Hash)
}

func check(key, kind, first, second string) error {
	one, err := os.ReadFile(first)
	if err != nil {
		return err
	}
	two, err := os.ReadFile(second)
	if err != nil {
		return err
	}
	if kind == "inclusion" {
		return inclusion(key, string(one), string(two))
	}
	return consistency(key, string(one), string(two))
}

func main() {
	if err := check(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(os.Args[2] + " holds")
}
