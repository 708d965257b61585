"""Which package may depend on which. A new package is added here."""

_SEAM = ["kernel", "sync"]
_BELOW_TASKS = ["context", "executor"] + _SEAM
_BELOW_PRIMITIVES = ["task"] + _BELOW_TASKS
_BELOW_GROUPS = ["group"] + _BELOW_PRIMITIVES

# Downwards only, and no primitive on another one.
_FOUNDATION = {
    "kernel": [],
    "sync": ["kernel"],
    "sim": _SEAM,
    "executor": _SEAM,
    "context": ["executor"] + _SEAM,
    "task": _BELOW_TASKS,
    "group": _BELOW_PRIMITIVES,
}

# What users come for. //tests/packaging says what each of them has.
PRIMITIVES = {
    "errgroup": _BELOW_GROUPS,
    "sizedgroup": _BELOW_GROUPS,
    "callbacks": _BELOW_GROUPS,
    "hunch": _BELOW_GROUPS,
    "schedgroup": _BELOW_GROUPS,
    "semaphore": _BELOW_PRIMITIVES,
    "singleflight": _BELOW_PRIMITIVES,
    "cyclicbarrier": _BELOW_PRIMITIVES,
    "channel": _BELOW_PRIMITIVES,
}

LAYERS = _FOUNDATION | PRIMITIVES

# Of these, what is only for tests, and so may have GoogleTest.
TESTONLY = ["sim"]

# The outside repositories that a library may depend on.
EXTERNAL = [
    "abseil-cpp",
    "bazel_skylib",
    "platforms",
    "rules_cc",
]

# Folders without libraries: tests, tools and the code that runs them.
_FREE = ["bazel", "bench", "fuzz", "tests", "tools"]

def stack(package):
    """The main targets of a package and of the layers below it.

    They are what a test of the package, a benchmark of it and the like may
    include; only //sync and //sim may include //kernel.

    Args:
      package: a name in LAYERS.

    Returns:
      A list of labels.
    """
    if package not in LAYERS:
        fail("there is no package '%s' in bazel/layers.bzl" % package)
    return ["//" + package] + [
        "//" + below
        for below in LAYERS[package]
        if below != "kernel"
    ]

def check_layers(name, deps):
    """Fails on a dependency of a library that goes upwards or outside.

    //tests/layering checks the whole graph of the main targets, with every
    branch of a select; this checks every library, but only plain lists of deps.

    Args:
      name: the library, in the package that is being loaded.
      deps: its dependencies.
    """
    package = native.package_name().split("/")[0]
    if package in _FREE or type(deps) != "list":
        return
    if package not in LAYERS:
        fail("//%s has no place in bazel/layers.bzl" % package)
    for dep in deps:
        repository, _, path = dep.rpartition("//")
        if repository:
            if repository.strip("@") not in EXTERNAL:
                fail(("//%s:%s may not depend on %s: it is not in EXTERNAL " +
                      "of bazel/layers.bzl") % (package, name, dep))
        elif "//" in dep:
            target = path.split(":")[0].split("/")[0]
            if target not in [package] + LAYERS[package]:
                fail(("//%s:%s may not depend on %s: bazel/layers.bzl has " +
                      "it above or beside") % (package, name, dep))
