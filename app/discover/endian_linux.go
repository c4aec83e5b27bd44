package discover

import "encoding/binary"

// littleEndian is the byte order of the words in the kernel's tables.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
