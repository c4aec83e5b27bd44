package config

import (
	"fmt"
	"os"
)

// ReadTokenAgain is ReadToken for a file that was read before and may have been renewed
// since. Where the first look has used up what there was, as with a pipe, another one
// might wait for ever: then there is "".
func ReadTokenAgain(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", nil
	}
	return ReadToken(path)
}
