package verdict

// What others say in the words of the verdict, with its thresholds.

// The part of a growing process's memory, and the bytes, from which growth is worth a sentence.
const (
	GrowthShare = liveGrowthShare
	GrowthBytes = liveGrowthBytes
	// LimitShare of a cgroup's limit is near it.
	LimitShare = limitShare
)

// Says is what one rule says of a situation; "" where it does not apply.
func Says(name string, s *Situation) string {
	for _, r := range rules {
		if r.name == name {
			return r.says(s)
		}
	}
	return ""
}

// WhereToLook is the next command for an owner that grows, in a sentence; "" where there is none.
func WhereToLook(s *Situation, owner string) string { return s.whereToLook(owner) }
