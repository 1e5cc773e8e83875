package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes the bill of materials: cgoheap, its two files with their hashes, and what is in
// each.
func writeBill(path, version string, products []product) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %w", err)
	}
	whole := cyclonedx.Component{BOMRef: "cgoheap@" + version,
		Type: cyclonedx.ComponentTypeApplication, Name: "cgoheap", Version: version,
		Licenses: expression("Apache-2.0")}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &whole,
		Timestamp: time.Unix(seconds, 0).UTC().Format(time.RFC3339)}
	var components []cyclonedx.Component
	var dependencies []cyclonedx.Dependency
	var files []string
	for _, p := range products {
		text, err := os.ReadFile(p.path)
		if err != nil {
			return err
		}
		file := cyclonedx.Component{BOMRef: "file:" + p.name, Type: cyclonedx.ComponentTypeFile,
			Name: p.name, Version: version, Licenses: expression("Apache-2.0"),
			Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256,
				Value: fmt.Sprintf("%x", sha256.Sum256(text))}}}
		components = append(components, file)
		files = append(files, file.BOMRef)
		var in []string
		for _, of := range p.parts {
			components = append(components, of.component())
			dependencies = append(dependencies, cyclonedx.Dependency{Ref: of.purl})
			in = append(in, of.purl)
		}
		dependencies = append(dependencies,
			cyclonedx.Dependency{Ref: file.BOMRef, Dependencies: &in})
	}
	dependencies = append(dependencies,
		cyclonedx.Dependency{Ref: whole.BOMRef, Dependencies: &files})
	bom.Components, bom.Dependencies = &components, &dependencies
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	encoder := cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	return encoder.EncodeVersion(bom, cyclonedx.SpecVersion1_5)
}

func (p part) component() cyclonedx.Component {
	return cyclonedx.Component{BOMRef: p.purl, Type: cyclonedx.ComponentTypeLibrary, Name: p.name,
		Version: p.version, PackageURL: p.purl, Licenses: expression(p.licence)}
}

func expression(licence string) *cyclonedx.Licenses {
	return &cyclonedx.Licenses{{Expression: licence}}
}
