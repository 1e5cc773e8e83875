// Package recordlayout has the sizes and marks of a recording, as the library's headers
// define them.
package recordlayout

// Of the file and its stacks.
const (
	Magic   = 0x00706165686f6763
	Version = 4

	HeaderBytes  = 184
	StackBytes   = 40
	SiteBytes    = 64
	FixedBytes   = 584 // of struct recording, before its accounts
	ModuleBytes  = 368
	SecondBytes  = 272
	MaxFrames    = 4096
	Unknown      = ^uint64(0)
	IsCopied     = 1
	ModuleMain   = 1
	ModuleShim   = 2
	ModuleHasELF = 4
)

// Of sets of goroutine labels.
const (
	LabelSetBytes = 16
	MaxLabels     = 16
	TextCut       = 0x80
)

// Of accounts.
const (
	AccountBytes    = 4104
	Owners          = 20
	OwnerNameBytes  = 24
	Top             = 10
	TopFrames       = 64
	Warnings        = 8
	WarningBytes    = 192
	AccountCRCBytes = 4
	PageBytes       = 4096
)

// Places in the runtime's figures: enum cgoheap_bridge_figure.
const (
	GoFigures  = 24
	GoObjects  = 1
	GoUnused   = 4
	GoLive     = 14
	GoGoal     = 15
	GoRoutines = 18
	GoLastGC   = 19
)
