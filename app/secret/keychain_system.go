//go:build windows || darwin

package secret

import (
	"context"
	"errors"

	"github.com/zalando/go-keyring"
)

// maxEntry is what the keychains take, in bytes: Windows' less than 2,560
// (CRED_MAX_CREDENTIAL_BLOB_SIZE), and macOS' tool a command line of 4,096 in which
// the secret is base64.
const maxEntry = 2400

// systemKeychain is that of macOS or Windows. Nothing ends a call of it that hangs.
func systemKeychain() keychain { return builtIn{} }

type builtIn struct{}

func (builtIn) Get(_ context.Context, account string) (string, error) {
	secret, err := keyring.Get(service, account)
	return secret, known(err)
}

func (builtIn) Set(_ context.Context, account, _, secret string) error {
	if len(secret) > maxEntry {
		return errTooLarge
	}
	return known(keyring.Set(service, account, secret))
}

func (builtIn) Delete(_ context.Context, account string) error {
	return known(keyring.Delete(service, account))
}

// Present: every macOS and every Windows has one.
func (builtIn) Present(context.Context) error { return nil }

func known(err error) error {
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return errAbsent
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return errTooLarge
	}
	return err
}
