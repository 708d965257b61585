"""The macros that make this repository's libraries and tests."""

load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(":layers.bzl", "check_layers")
load(":simulated.bzl", "NOT_SIMULATED")

def cohort_cc_library(name, deps = [], testonly = False, **kwargs):
    """A cc_library whose headers are included as "cohort/<package>/<header>".

    Args:
      name: as for cc_library.
      deps: as for cc_library; only packages below in bazel/layers.bzl, unless
        testonly.
      testonly: as for cc_library.
      **kwargs: passed on to cc_library.
    """
    if not testonly:
        check_layers(name, deps)
    cc_library(
        name = name,
        testonly = testonly,
        include_prefix = "cohort/" + native.package_name(),
        deps = deps,
        **kwargs
    )

    # The files that //tests/layering and //tests/mutation read.
    if not native.existing_rule("package_files"):
        native.filegroup(
            name = "package_files",
            srcs = ["BUILD"] + native.glob(
                ["**/*.cc", "**/*.h"],
                exclude = [
                    "**/*_benchmark.cc",
                    "**/*_test.cc",
                    "**/*test_util.*",
                ],
            ),
            visibility = [
                "//tests/layering:__pkg__",
                "//tests/mutation:__pkg__",
            ],
        )

def cohort_cc_test(
        name,
        deps = [],
        needs_threads = True,
        target_compatible_with = [],
        **kwargs):
    """A cc_test on GoogleTest, with its main.

    Args:
      name: as for cc_test.
      deps: as for cc_test.
      needs_threads: False for a test that also passes with //sync:simulated,
        where no threads exist outside //sim.
      target_compatible_with: as for cc_test.
      **kwargs: passed on to cc_test.
    """
    cc_test(
        name = name,
        target_compatible_with = target_compatible_with +
                                 (NOT_SIMULATED if needs_threads else []),
        deps = deps + [
            "//bazel:asan_defaults",
            "@googletest//:gtest",
            "@googletest//:gtest_main",
        ],
        **kwargs
    )
