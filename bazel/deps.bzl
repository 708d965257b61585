"""cohort's dependencies, for a WORKSPACE; MODULE.bazel has the same list."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")

# Keyed by the name of the module. //tests/packaging checks the versions against
# MODULE.bazel, which cannot load this file.
DEPENDENCIES = {
    "abseil-cpp": struct(
        version = "20240722.0",
        integrity = "sha256-9Q5awxGoE4Laf6dblzEOS5AGR0+VYKxG9UqZZ/B9SuM=",
        strip_prefix = "abseil-cpp-20240722.0",
        url = "https://github.com/abseil/abseil-cpp/releases/download/20240722.0/abseil-cpp-20240722.0.tar.gz",
    ),
    "bazel_skylib": struct(
        version = "1.7.1",
        integrity = "sha256-vCg8381SalLDIBJ5zaS8KYZS76iYsQtNsIN9xRZSdW8=",
        strip_prefix = "",
        url = "https://github.com/bazelbuild/bazel-skylib/releases/download/1.7.1/bazel-skylib-1.7.1.tar.gz",
    ),
    "googletest": struct(
        version = "1.15.2",
        integrity = "sha256-e0K01u1IgQxTYsJloX+uvpDcI3PIheUhZDnTeSfwKSY=",
        strip_prefix = "googletest-1.15.2",
        url = "https://github.com/google/googletest/releases/download/v1.15.2/googletest-1.15.2.tar.gz",
    ),
    "platforms": struct(
        version = "0.0.10",
        integrity = "sha256-IY7+juc20mo1cmY7N0olPAErcW2K8MB+hC6C8jigp+4=",
        strip_prefix = "",
        url = "https://github.com/bazelbuild/platforms/releases/download/0.0.10/platforms-0.0.10.tar.gz",
    ),
    "rules_cc": struct(
        version = "0.0.11",
        integrity = "sha256-fiofbF3ZCObojXyAJXyZ0U4W+phbVjQih/3bajLENbU=",
        strip_prefix = "rules_cc-0.0.11",
        url = "https://github.com/bazelbuild/rules_cc/releases/download/0.0.11/rules_cc-0.0.11.tar.gz",
    ),
}

def cohort_dependencies(
        abseil = "com_google_absl",
        googletest = "com_google_googletest"):
    """Declares the dependencies that are not declared yet.

    Args:
      abseil: Abseil's name in this workspace. The default is the name that most
        projects use; cohort itself uses "abseil-cpp", so its repository
        rule needs repo_mapping = {"@abseil-cpp": "@com_google_absl"}.
      googletest: GoogleTest's name, likewise; cohort uses "googletest". It is
        fetched only if cohort's //sim is used.
    """
    names = {"abseil-cpp": abseil, "googletest": googletest}
    for module, source in DEPENDENCIES.items():
        name = names.get(module, module)
        if not native.existing_rule(name):
            http_archive(
                name = name,
                integrity = source.integrity,
                strip_prefix = source.strip_prefix,
                url = source.url,
            )
