package plain

// ContainsFold reports whether a needle in lower case occurs in text, blind to the case
// of ASCII. It does not allocate, as it runs over thousands of texts while a person
// types; most of them do not even have the first letter.
func ContainsFold[T string | []byte](text T, needle string) bool {
	if needle == "" {
		return true
	}
	first := needle[0]
	upper := first
	if 'a' <= first && first <= 'z' {
		upper -= 'a' - 'A'
	}
	for i := 0; i+len(needle) <= len(text); i++ {
		if c := text[i]; c != first && c != upper {
			continue
		}
		j := 1
		for j < len(needle) && lowerASCII(text[i+j]) == needle[j] {
			j++
		}
		if j == len(needle) {
			return true
		}
	}
	return false
}

// lowerASCII is c in lower case, if it is an ASCII letter.
func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
