package account

// Holding is how much free memory blocks in use keep from going back, and those blocks.
type Holding struct {
	Bytes         int64 `json:"bytes"`
	StandardError int64 `json:"standard_error_bytes"`
	Blocks        int64 `json:"blocks"`
	BlockBytes    int64 `json:"block_bytes"`
}

// PinnedBy is what pins the C allocator's free memory, by stack.
type PinnedBy struct {
	Method string `json:"method"` // "samples" or "sizes"
	Holding
	Partial bool          `json:"partial"` // time ran out
	Stacks  []PinnedStack `json:"stacks"`  // those that pin most
}

// PinnedStack is a stack whose blocks pin free memory.
type PinnedStack struct {
	Holding
	Frames []string `json:"frames"` // leaf first
}
