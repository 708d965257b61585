"""The rules that this repository's packages are made of."""

load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(":layers.bzl", "check_layers")
load(":simulated.bzl", "NOT_SIMULATED")

def cohort_cc_library(name, deps = [], testonly = False, **kwargs):
    """A cc_library whose headers are included as "cohort/<package>/<header>".

    Args:
      name: as of cc_library.
      deps: as of cc_library; downwards in bazel/layers.bzl, unless testonly.
      testonly: as of cc_library.
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

    # What //tests/layering and //tests/mutation read.
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
      name: as of cc_test.
      deps: as of cc_test.
      needs_threads: False for a test that passes with //sync:simulated as well;
        there is no thread outside of //sim then.
      target_compatible_with: as of cc_test.
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
