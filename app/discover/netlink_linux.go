package discover

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
)

// The kernel's socket diagnostics, https://man7.org/linux/man-pages/man7/sock_diag.7.html.
// They give what the tables below /proc do, but only of sockets that listen: for the
// tables, the kernel walks through all the room that it has for connections, which
// takes milliseconds on a machine with none.
const (
	netlinkSockDiag  = 4  // NETLINK_SOCK_DIAG
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	stateListen      = 10 // TCP_LISTEN

	diagRequestSize = 56 // struct inet_diag_req_v2
	diagMessageSize = 72 // struct inet_diag_msg
	headerSize      = syscall.NLMSG_HDRLEN
)

// maxDatagrams bounds an answer; one has some hundred sockets.
const maxDatagrams = 1000

// askSockets lists what listens, by netlink.
func askSockets() ([]socket, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	// The kernel answers at once, or something is wrong.
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 1}); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	var all []socket
	for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
		if err := syscall.Sendto(fd, diagRequest(family), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
			return nil, os.NewSyscallError("sendto", err)
		}
		if all, err = receiveSockets(fd, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func diagRequest(family byte) []byte {
	b := make([]byte, headerSize+diagRequestSize)
	order := binary.NativeEndian
	order.PutUint32(b[0:], uint32(len(b)))
	order.PutUint16(b[4:], sockDiagByFamily)
	order.PutUint16(b[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	b[headerSize] = family
	b[headerSize+1] = syscall.IPPROTO_TCP
	order.PutUint32(b[headerSize+4:], 1<<stateListen)
	return b
}

// receiveSockets appends what one request brings.
func receiveSockets(fd int, all []socket) ([]socket, error) {
	buffer := make([]byte, 64<<10)
	for range maxDatagrams {
		n, _, err := syscall.Recvfrom(fd, buffer, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, os.NewSyscallError("netlink", err)
		}
		for _, m := range messages {
			switch m.Header.Type {
			case syscall.NLMSG_DONE:
				return all, nil
			case syscall.NLMSG_ERROR:
				return nil, fmt.Errorf("netlink: %w", netlinkError(m.Data))
			case sockDiagByFamily:
				if s, ok := parseDiag(m.Data); ok {
					all = append(all, s)
				}
			}
		}
	}
	return nil, fmt.Errorf("netlink: the answer has no end")
}

func netlinkError(data []byte) error {
	if len(data) < 4 {
		return syscall.EINVAL
	}
	return syscall.Errno(-int32(binary.NativeEndian.Uint32(data)))
}

// parseDiag reads a struct inet_diag_msg. Addresses and ports are in the network's
// byte order, the rest in the machine's.
func parseDiag(b []byte) (socket, bool) {
	if len(b) < diagMessageSize || b[1] != stateListen {
		return socket{}, false
	}
	size := 4
	if b[0] == syscall.AF_INET6 {
		size = 16
	}
	addr, _ := netip.AddrFromSlice(b[8 : 8+size])
	s := socket{
		listener{addr: addr, port: int(binary.BigEndian.Uint16(b[4:]))},
		uint64(binary.NativeEndian.Uint32(b[68:])),
	}
	return s, s.inode != 0
}
