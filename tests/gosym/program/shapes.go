package main

import (
	"fmt"
	"strings"
)

// Code of every shape that the compiler gives names, wrappers and inlining of their own.

type number interface{ ~int | ~float64 }

func sum[T number](list []T) (total T) {
	for _, v := range list {
		total = add(total, v)
	}
	return total
}

func add[T number](a, b T) T { return a + b }

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (p *pair[K, V]) String() string { return fmt.Sprint(p.key, p.value) }

type base struct{ n int }

func (b base) Describe() string { return strings.Repeat(level1(b.n), 2) }

// Embedding *base gives outer.Describe: a wrapper that inlines its target.
type outer struct{ *base }

type describer interface{ Describe() string }

func level1(n int) string { return level2(n + 1) }
func level2(n int) string { return level3(n + 1) }
func level3(n int) string { return fmt.Sprint(n) }

func shapes() string {
	done := make(chan string, 4)
	go send(done, "go statement") // gowrap since 1.22
	defer send(done, "deferred")  // deferwrap
	list := []describer{base{1}, outer{&base{2}}, &base{3}}
	func() {
		for _, d := range list {
			done <- d.Describe()
		}
	}()
	p := pair[string, float64]{"sum", sum([]float64{1, 2}) + float64(sum([]int{3, 4}))}
	return p.String() + <-done
}

func send(c chan<- string, s string) { c <- s }
