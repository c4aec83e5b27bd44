package inspect

import "context"

// op is a run of lines that are the same, or of which one side has none.
type op struct {
	kind  Op
	count int
}

// maxEdits bounds the lines that differ: the time grows with them, and the memory
// with their square.
const maxEdits = 1500

// diff is the shortest way from a to b (E. W. Myers, "An O(ND) Difference Algorithm
// and Its Variations", 1986). If that is too long, exact is false, and the way is to
// remove all of a, but for a start and an end that are the same.
func diff(ctx context.Context, a, b []string) (ops []op, exact bool) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var s script
	s.add(Same, head)
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	exact = len(a) == 0 || len(b) == 0
	if !exact {
		ids := map[string]int32{}
		var middle []op
		middle, exact = shortest(ctx, numbered(ids, a), numbered(ids, b))
		for _, o := range middle {
			s.add(o.kind, o.count)
		}
	}
	if !exact || len(a) == 0 || len(b) == 0 {
		s.add(Removed, len(a))
		s.add(Added, len(b))
	}
	s.add(Same, tail)
	return s, exact
}

type script []op

func (s *script) add(kind Op, count int) {
	switch n := len(*s); {
	case count == 0:
	case n > 0 && (*s)[n-1].kind == kind:
		(*s)[n-1].count += count
	default:
		*s = append(*s, op{kind, count})
	}
}

// numbered gives the same number to the same lines.
func numbered(ids map[string]int32, lines []string) []int32 {
	numbers := make([]int32, len(lines))
	for i, line := range lines {
		id, ok := ids[line]
		if !ok {
			id = int32(len(ids))
			ids[line] = id
		}
		numbers[i] = id
	}
	return numbers
}

// shortest is false if there are more than maxEdits.
func shortest(ctx context.Context, a, b []int32) (ops []op, found bool) {
	most := min(len(a)+len(b), maxEdits)
	// reach[most+k] is how far of a the best way leads on diagonal k, which is at
	// x of a and x-k of b.
	reach := make([]int32, 2*most+2)
	var ways [][]int32 // reach before each number of edits, from -d to d
	for d := 0; d <= most; d++ {
		if ctx.Err() != nil {
			return nil, false
		}
		ways = append(ways, append([]int32(nil), reach[most-d:most+d+1]...))
		for k := -d; k <= d; k += 2 {
			x := next(reach, most, k, d)
			y := x - k
			for x < len(a) && y < len(b) && x >= 0 && y >= 0 && a[x] == b[y] {
				x++
				y++
			}
			reach[most+k] = int32(x)
			if x >= len(a) && y >= len(b) {
				return back(ways, len(a), len(b)), true
			}
		}
	}
	return nil, false
}

// next is where an edit on the best way leads on diagonal k.
func next(reach []int32, middle, k, d int) int {
	if k == -d || k != d && reach[middle+k-1] < reach[middle+k+1] {
		if d == 0 {
			return 0
		}
		return int(reach[middle+k+1])
	}
	return int(reach[middle+k-1]) + 1
}

// back walks the way from its end to its start.
func back(ways [][]int32, x, y int) []op {
	var reversed script
	for d := len(ways) - 1; d > 0; d-- {
		reach, k := ways[d], x-y
		down := k == -d || k != d && reach[d+k-1] < reach[d+k+1]
		from := k - 1
		if down {
			from = k + 1
		}
		startX := int(reach[d+from])
		startY := startX - from
		if down {
			reversed.add(Same, x-startX)
			reversed.add(Added, 1)
		} else {
			reversed.add(Same, x-startX-1)
			reversed.add(Removed, 1)
		}
		x, y = startX, startY
	}
	reversed.add(Same, x)
	ops := make([]op, 0, len(reversed))
	for i := len(reversed) - 1; i >= 0; i-- {
		ops = append(ops, reversed[i])
	}
	return ops
}
