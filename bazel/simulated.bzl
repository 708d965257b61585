"""Builds a target and its dependencies with //sync in its simulated mode."""

# For target_compatible_with.
ONLY_SIMULATED = select({
    Label("//sync:is_simulated"): [],
    "//conditions:default": [Label("@platforms//:incompatible")],
})
NOT_SIMULATED = select({
    Label("//sync:is_simulated"): [Label("@platforms//:incompatible")],
    "//conditions:default": [],
})
ONLY_FUZZING = select({
    Label("//bazel:is_fuzzing"): [],
    "//conditions:default": [Label("@platforms//:incompatible")],
})

# A simulation switches between stacks a hundred thousand times a second. With a
# fake stack for each frame, a switch costs ten times as much.
SIMULATED_ENV = {"ASAN_OPTIONS": "detect_stack_use_after_return=0"}

_COPT = "//command_line_option:copt"
_HEADERS = "//command_line_option:process_headers_in_dependencies"
_MODE = "//command_line_option:compilation_mode"
_SIMULATED = "//sync:simulated"

def _simulate_impl(settings, _attr):
    copts = settings[_COPT]

    # The more schedules a search runs, the more it is worth, so the build is
    # optimized. An explicit level, such as the sanitizers', is kept.
    # --config=sim sets the same flag, so that both are one configuration.
    if str(settings[_MODE]) == "fastbuild" and not any([
        copt.startswith("-O")
        for copt in copts
    ]):
        copts = copts + ["-O2"]
    return {
        _COPT: copts,
        # Each header need be compiled by itself only once; Abseil has hundreds.
        _HEADERS: False,
        _SIMULATED: True,
    }

_simulate = transition(
    implementation = _simulate_impl,
    inputs = [_COPT, _MODE],
    outputs = [_COPT, _HEADERS, _SIMULATED],
)

def _impl(ctx):
    # A transition turns a label into a list.
    actual = ctx.attr.actual[0]
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = executable,
        target_file = actual[DefaultInfo].files_to_run.executable,
        is_executable = True,
    )
    return [
        DefaultInfo(
            executable = executable,
            runfiles = ctx.runfiles(files = ctx.files.data).merge_all(
                [
                    target[DefaultInfo].default_runfiles
                    for target in [actual] + ctx.attr.data
                ],
            ),
        ),
        coverage_common.instrumented_files_info(
            ctx,
            dependency_attributes = ["actual"],
        ),
    ] + [
        actual[provider]
        for provider in [RunEnvironmentInfo, testing.ExecutionInfo]
        if provider in actual
    ]

_ATTRS = {
    "actual": attr.label(
        cfg = _simulate,
        executable = True,
        mandatory = True,
        doc = "What is run, together with its environment and its data.",
    ),
    "data": attr.label_list(
        allow_files = True,
        cfg = _simulate,
        doc = "What args may give the location of.",
    ),
    "_allowlist_function_transition": attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    ),
}

simulated_binary = rule(
    implementation = _impl,
    attrs = _ATTRS,
    executable = True,
    doc = "A program that is built with //sync:simulated.",
)

simulated_test = rule(
    implementation = _impl,
    attrs = _ATTRS | {
        # Bazel finds the tool that merges the coverage of a test by this name.
        "_lcov_merger": attr.label(
            cfg = "exec",
            default = configuration_field(
                fragment = "coverage",
                name = "output_generator",
            ),
        ),
    },
    fragments = ["coverage"],
    test = True,
    doc = "A test that is built with //sync:simulated.",
)
