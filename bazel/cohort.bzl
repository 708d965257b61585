"""The rules that this repository's packages are made of."""

load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")

def cohort_cc_library(name, **kwargs):
    """A cc_library whose headers are included as "cohort/<package>/<header>"."""
    cc_library(
        name = name,
        include_prefix = "cohort/" + native.package_name(),
        **kwargs
    )

def cohort_cc_test(name, deps = [], **kwargs):
    """A cc_test on GoogleTest, with its main."""
    cc_test(
        name = name,
        deps = deps + [
            "@googletest//:gtest",
            "@googletest//:gtest_main",
        ],
        **kwargs
    )
