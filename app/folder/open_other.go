//go:build !unix

package folder

// nonblock is nothing where opening does not wait.
const nonblock = 0
