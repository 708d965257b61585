"""Tests that search the schedules of the code that they run."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(":cohort.bzl", "cohort_cc_test")
load(":simulated.bzl", "ONLY_SIMULATED", "SIMULATED_ENV", "simulated_test")

def cohort_sim_test(
        name,
        srcs,
        deps = [],
        args = [],
        data = [],
        env = {},
        shard_count = None,
        size = None,
        tags = [],
        target_compatible_with = [],
        timeout = None,
        visibility = None,
        **kwargs):
    """A test on GoogleTest and //sim, built with //sync:simulated.

    `bazel test` runs it like any other test; no flag is needed. //sim, its main
    and GoogleTest are added to its deps. It cannot be flaky: a schedule that
    fails once fails every time.

    Args:
      name: the name of the test. All arguments are as for cc_test.
      srcs: sources.
      deps: dependencies, which are built for simulation as well.
      args: the program's arguments; `$(location)` of data is replaced.
      data: files for the run.
      env: the program's environment.
      shard_count: a number of shards.
      size: a size.
      tags: further tags; "simulated" is one.
      target_compatible_with: constraints.
      timeout: a timeout.
      visibility: the packages that may depend on the test.
      **kwargs: passed on to cc_test.
    """
    if "flaky" in kwargs:
        fail("%s: a simulated test is deterministic, and so never flaky" % name)
    program = name + "_simulated_"

    # One program rather than many shared libraries: a simulation runs faster
    # without the indirection.
    kwargs.setdefault("linkstatic", True)
    cc_test(
        name = program,
        srcs = srcs,
        data = data,
        env = SIMULATED_ENV | env,
        tags = ["manual"],
        target_compatible_with = target_compatible_with + ONLY_SIMULATED,
        visibility = ["//visibility:private"],
        deps = deps + [
            Label("//sim"),
            Label("//sim:main"),
            Label("@googletest//:gtest"),
        ],
        **kwargs
    )
    simulated_test(
        name = name,
        size = size,
        actual = ":" + program,
        args = args,
        data = data,
        shard_count = shard_count,
        tags = tags + ["simulated"],
        target_compatible_with = target_compatible_with,
        timeout = timeout,
        visibility = visibility,
    )

def cohort_laws_test(name, srcs, deps, **kwargs):
    """The same test twice: NAME_test on real threads, NAME_sim_test on schedules.

    Args:
      name: both names begin with it.
      srcs: sources, on //sim:on_schedules.
      deps: dependencies.
      **kwargs: passed on to both.
    """
    cohort_cc_test(
        name = name + "_test",
        srcs = srcs,
        deps = deps,
        **kwargs
    )
    cohort_sim_test(
        name = name + "_sim_test",
        srcs = srcs,
        deps = deps,
        **kwargs
    )
