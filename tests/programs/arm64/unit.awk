# Names a unit test's lines as of this suite; what emulator.skip lists is skipped with its reason.
# The first file is emulator.skip: a module, a test, and why, on each line. status: the program's
# exit status.
FNR == NR {
	if (!/^#/ && $1 == name) {
		test = $2
		sub(/^[^ ]+ +[^ ]+ +/, "")
		why[test] = $0
	}
	next
}
/^(ok|not ok|skip) / {
	what = $1 == "not" ? "not ok" : $1
	test = $1 == "not" ? $3 : $2
	sub(/:$/, "", test)
	tests++
	is_hidden = 0
	if (what == "not ok" && test in why) {
		print "skip arm64/unit/" name "/" test " " why[test]
		failed++
		is_hidden = 1
	} else if (what == "ok" && test in why) {
		print "not ok arm64/unit/" name "/" test ": it passes, against emulator.skip: " \
			why[test]
	} else {
		rest = $0
		sub(/^(ok|not ok|skip) +/, "", rest)
		print what " arm64/unit/" name "/" rest
		failed += what == "not ok"
	}
	next
}
!is_hidden && !/^(1\.\.|TAP)/ { print "    " $0 }
END {
	# What ends the program ends the tests that would have followed.
	if (status != 0 && status <= 128 && failed)
		exit
	if (status != 0)
		print "not ok arm64/unit/" name ": exit status " status
	else if (!tests)
		print "not ok arm64/unit/" name ": it ran no test"
}
