"""Fuzz targets over //sim, whose inputs choose the schedule too."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(
    ":simulated.bzl",
    "ONLY_FUZZING",
    "ONLY_SIMULATED",
    "SIMULATED_ENV",
    "simulated_binary",
    "simulated_test",
)

def cc_fuzz_test(
        name,
        srcs,
        corpus = None,
        dicts = None,
        deps = [],
        size = "small",
        tags = [],
        target_compatible_with = [],
        visibility = None,
        **kwargs):
    """A libFuzzer target, built with //sync:simulated.

    The attributes are those of rules_fuzzing's macro. This macro makes
      * <name>: a test, with any compiler, that replays the empty input and the
        corpus. `bazel run :<name> -- FILE` replays a file.
      * <name>_fuzzer: the search, for --config=fuzz, which needs clang:
        `bazel run --config=fuzz :<name>_fuzzer -- -max_total_time=60 FOLDER`.
      * <name>_lib: what both of them link.

    Args:
      name: the name of the test.
      srcs: sources; one defines LLVMFuzzerTestOneInput.
      corpus: inputs to replay, as a glob. None if there are none yet; an empty
        list is an error.
      dicts: dictionaries for the search, which gets them as one file.
      deps: dependencies, which are built for simulation as well.
      size: the size of the test.
      tags: further tags of the test.
      target_compatible_with: as for cc_library.
      visibility: the visibility of the test, the search and the library.
      **kwargs: passed on to the cc_library.
    """
    if corpus != None and not corpus:
        fail("%s: the corpus is empty" % name)

    cc_library(
        name = name + "_lib",
        testonly = True,
        srcs = srcs,
        # libFuzzer refers to its optional hooks weakly, so the linker would not
        # pull them in.
        alwayslink = True,
        tags = ["manual"],
        target_compatible_with = target_compatible_with + ONLY_SIMULATED,
        visibility = visibility,
        deps = deps,
        **kwargs
    )

    cc_test(
        name = name + "_replay_",
        env = SIMULATED_ENV,
        linkstatic = True,
        tags = ["manual"],
        target_compatible_with = target_compatible_with + ONLY_SIMULATED,
        visibility = ["//visibility:private"],
        deps = [
            ":%s_lib" % name,
            Label("//fuzz:replay_main"),
        ],
    )
    if corpus:
        native.filegroup(
            name = name + "_corpus",
            testonly = True,
            srcs = corpus,
            visibility = ["//visibility:private"],
        )
    simulated_test(
        name = name,
        size = size,
        actual = ":%s_replay_" % name,
        args = ["$(rootpaths :%s_corpus)" % name] if corpus else [],
        data = [":%s_corpus" % name] if corpus else [],
        tags = tags + [
            "fuzz-test",
            "simulated",
        ],
        target_compatible_with = target_compatible_with,
        visibility = visibility,
    )

    cc_binary(
        name = name + "_raw_",
        testonly = True,
        # For --config=tsan: libFuzzer records a crash in a signal handler, and
        # never ends if ThreadSanitizer reports that.
        env = SIMULATED_ENV | {
            "TSAN_OPTIONS": "halt_on_error=1:report_signal_unsafe=0",
        },
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        target_compatible_with = target_compatible_with + ONLY_SIMULATED,
        visibility = ["//visibility:private"],
        deps = [":%s_lib" % name],
    )
    if dicts:
        # libFuzzer accepts only one dictionary.
        native.genrule(
            name = name + "_dict",
            testonly = True,
            srcs = dicts,
            outs = [name + ".dict"],
            cmd = "cat $(SRCS) >$@",
            visibility = ["//visibility:private"],
        )
    simulated_binary(
        name = name + "_fuzzer",
        testonly = True,
        actual = ":%s_raw_" % name,
        args = ["-dict=$(rootpath :%s_dict)" % name] if dicts else [],
        data = [":%s_dict" % name] if dicts else [],
        # Without coverage it would search blindly.
        target_compatible_with = target_compatible_with + ONLY_FUZZING,
        visibility = visibility,
    )
