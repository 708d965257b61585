"""Compiles and runs the examples on a page of documentation."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(":simulated.bzl", "NOT_SIMULATED", "ONLY_SIMULATED", "SIMULATED_ENV", "simulated_test")

# Writes the n-th fenced block of C++ into the n-th output; fails unless the
# numbers of blocks and outputs are equal.
_EXTRACT = """
awk -v outs='$(OUTS)' '
  BEGIN { count = split(outs, out, " ") }
  /^```c[+][+]$$/ { block++; inside = 1; next }
  /^```/ { inside = 0 }
  inside && block <= count { print > out[block] }
  END { if (block != count) {
    printf "%s: %d examples, and %d are tested\\n", FILENAME, block, count
    exit 1
  } }' $(location {doc}) >&2
"""

def doc_examples(name, doc, count, deps, simulated = False):
    """Tests named <name>_1, …, one for each ```c++ block of a page.

    Every block is a program of its own: it has a main, and passes by returning
    0 from it.

    Args:
      name: the first part of the tests' names.
      doc: the label of the page.
      count: how many blocks it has. Bazel wants to know the tests before it
        reads the page; the build fails if the page has more or fewer.
      deps: what the programs include.
      simulated: whether they are built with //sync:simulated.
    """
    native.genrule(
        name = name + "_sources",
        srcs = [doc],
        outs = ["%s_%d.cc" % (name, n) for n in range(1, count + 1)],
        cmd = _EXTRACT.replace("{doc}", doc),
        testonly = True,
    )
    for n in range(1, count + 1):
        test = "%s_%d" % (name, n)
        if not simulated:
            cc_test(
                name = test,
                size = "small",
                srcs = [test + ".cc"],
                target_compatible_with = NOT_SIMULATED,
                deps = deps,
            )
            continue
        cc_test(
            name = test + "_simulated_",
            srcs = [test + ".cc"],
            env = SIMULATED_ENV,
            linkstatic = True,
            tags = ["manual"],
            target_compatible_with = ONLY_SIMULATED,
            deps = deps,
        )
        simulated_test(
            name = test,
            size = "small",
            actual = ":%s_simulated_" % test,
            tags = ["simulated"],
        )
