package manual

import (
	"fmt"
	"strings"
)

// what a word of a command line may be completed with
type word int

const (
	anything word = iota
	files
	processes
)

// of says it by what help texts call a value: FILE, DIR, PATH; PID, NAME.
func of(value string) word {
	upper := strings.ToUpper(value)
	for _, name := range []string{"FILE", "DIR", "PATH", "PROGRAM", "SOCKET", "CMD"} {
		if strings.Contains(upper, name) {
			return files
		}
	}
	if strings.Contains(upper, "PID") {
		return processes
	}
	return anything
}

// operands is what a verb takes besides flags: several for `doctor PROGRAM|PID`.
type operands struct {
	files, processes, command bool
	words                     []string // to be typed as they are: on, off
}

// operands reads the usage line. What is in lower case there is typed as it is.
func (v Verb) operands() operands {
	var o operands
	rest := strings.TrimPrefix(usage(v.Help), "cgoheap "+v.Name)
	o.command = strings.Contains(rest, "[--]")
	for _, group := range strings.Fields(rest) {
		group = strings.Trim(group, "[].")
		if strings.HasPrefix(group, "-") {
			continue
		}
		for _, part := range strings.Split(group, "|") {
			o.files = o.files || of(part) == files
			o.processes = o.processes || of(part) == processes
			if strings.Contains(group, "|") && part == strings.ToLower(part) {
				o.words = append(o.words, part)
			}
		}
	}
	o.files = o.files && !o.command
	return o
}

// Bash is a completion script for bash, without bash-completion's help.
func Bash(verbs []Verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion for cgoheap: source <(cgoheap completion bash)
_cgoheap() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]-}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W '%s' -- "$word")
		return
	fi
	local flags='' valued='' paths='' words='' what=''
	case $verb in
`, strings.Join(append(names(verbs), "help"), " "))
	fmt.Fprintf(&b, "\thelp) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\"); return ;;\n",
		strings.Join(names(verbs), " "))
	for _, v := range verbs {
		bashVerb(&b, v)
	}
	fmt.Fprint(&b, `	esac
	if [[ " $paths " == *" $before "* ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif [[ " $valued " == *" $before "* ]]; then
		return
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags --help" -- "$word")
	else
		[[ $what != *processes* ]] || words+=" $(cgoheap list 2>/dev/null |
			awk 'NR > 1 && $1 ~ /^[0-9]+$/ { print $1 }')"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		if [[ $what == *files* ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
		fi
		[[ $what != *commands* ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$word")
	fi
}
complete -F _cgoheap cgoheap
`)
	return b.String()
}

func bashVerb(b *strings.Builder, v Verb) {
	var all, valued, paths []string
	for _, f := range v.Flags() {
		all = append(all, f.Names...)
		switch {
		case f.Optional: // what follows is not its value
		case of(f.Value) == files:
			paths = append(paths, f.Names...)
		case f.Value != "":
			valued = append(valued, f.Names...)
		}
	}
	o := v.operands()
	what := ""
	if o.files {
		what += " files"
	}
	if o.processes {
		what += " processes"
	}
	if o.command {
		what += " commands"
	}
	fmt.Fprintf(b, "\t%s) flags='%s' valued='%s' paths='%s' words='%s' what='%s' ;;\n", v.Name,
		strings.Join(all, " "), strings.Join(valued, " "), strings.Join(paths, " "),
		strings.Join(o.words, " "), strings.TrimSpace(what))
}

func names(verbs []Verb) []string {
	var all []string
	for _, v := range verbs {
		all = append(all, v.Name)
	}
	return all
}

// Zsh is a completion script for zsh.
func Zsh(verbs []Verb) string {
	var b strings.Builder
	fmt.Fprint(&b, `#compdef cgoheap
# zsh completion for cgoheap: a file named _cgoheap in a directory of $fpath

_cgoheap_processes() {
	local -a found
	found=(${(f)"$(cgoheap list 2>/dev/null | awk 'NR > 1 && $1 ~ /^[0-9]+$/ { print $1 ":" $NF }')"})
	_describe process found
}

_cgoheap() {
	local -a verbs
	verbs=(
`)
	for _, v := range verbs {
		fmt.Fprintf(&b, "\t\t%s\n", single(v.Name+":"+v.Short))
	}
	fmt.Fprint(&b, `		'help:explain a verb'
	)
	if (( CURRENT == 2 )); then
		_describe verb verbs
		return
	fi
	local verb=$words[2]
	shift words
	(( CURRENT-- ))
	case $verb in
	help) (( CURRENT == 2 )) && _describe verb verbs ;;
`)
	for _, v := range verbs {
		zshVerb(&b, v)
	}
	fmt.Fprint(&b, "\tesac\n}\n\n_cgoheap \"$@\"\n")
	return b.String()
}

func zshVerb(b *strings.Builder, v Verb) {
	fmt.Fprintf(b, "\t%s)\n\t\t_arguments -s \\\n", v.Name)
	for _, f := range v.Flags() {
		for _, name := range f.Names {
			spec := name
			if f.Value != "" && strings.HasPrefix(name, "--") {
				spec += "="
			}
			if f.Optional {
				spec += "-"
			}
			spec += "[" + bracket(f.Text) + "]"
			if f.Optional {
				spec += ":"
			}
			if f.Value != "" {
				spec += ":" + bracket(f.Value) + ":"
				if of(f.Value) == files {
					spec += "_files"
				}
			}
			fmt.Fprintf(b, "\t\t\t%s \\\n", single(spec))
		}
	}
	fmt.Fprintf(b, "\t\t\t'--help[explain it]' \\\n\t\t\t%s ;;\n", single(v.operands().zsh()))
}

// zsh is the operands as _arguments takes them.
func (o operands) zsh() string {
	if o.command {
		return "*::program:_normal"
	}
	var ways []string
	if len(o.words) > 0 {
		ways = append(ways, `"words:word:(`+strings.Join(o.words, " ")+`)"`)
	}
	if o.files {
		ways = append(ways, `"files:file:_files"`)
	}
	if o.processes {
		ways = append(ways, `"processes:process:_cgoheap_processes"`)
	}
	if len(ways) == 0 {
		return "*:argument:"
	}
	return "*:argument:_alternative " + strings.Join(ways, " ")
}

// single quotes for a shell.
func single(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// bracket escapes what ends an explanation in _arguments.
func bracket(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}
