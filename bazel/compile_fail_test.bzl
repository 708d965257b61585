"""A test that passes if a file fails to compile for the expected reason."""

load("@rules_cc//cc:action_names.bzl", "CPP_COMPILE_ACTION_NAME")
load(
    "@rules_cc//cc:find_cc_toolchain.bzl",
    "find_cc_toolchain",
    "use_cc_toolchain",
)
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load(":simulated.bzl", "NOT_SIMULATED")

# The compiler's verdict is an ordinary output, so that the action succeeds
# whatever the verdict is; the test judges it.
_RECORD = """
out="$1"; shift
"$@" >"$out.diagnostics" 2>&1 && status=0 || status=$?
{ echo "exit status $status"; cat "$out.diagnostics"; } >"$out"
rm -f "$out.diagnostics" "$out.o"
"""

def _compile_fail_test_impl(ctx):
    toolchain = find_cc_toolchain(ctx)

    # Module maps exist only for cc_library's own actions.
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features + [
            "layering_check",
            "module_maps",
            "use_header_modules",
        ],
    )
    context = cc_common.merge_cc_infos(
        cc_infos = [dep[CcInfo] for dep in ctx.attr.deps],
    ).compilation_context
    log = ctx.actions.declare_file(ctx.label.name + ".log")
    variables = cc_common.create_compile_variables(
        feature_configuration = features,
        cc_toolchain = toolchain,
        source_file = ctx.file.src.path,
        # Compiles in full: templates are instantiated at the very end.
        output_file = log.path + ".o",
        include_directories = context.includes,
        quote_include_directories = context.quote_includes,
        system_include_directories = depset(transitive = [
            context.system_includes,
            context.external_includes,
        ]),
        preprocessor_defines = context.defines,
        user_compile_flags = ctx.fragments.cpp.copts +
                             ctx.fragments.cpp.cxxopts + ctx.attr.copts,
    )
    ctx.actions.run_shell(
        mnemonic = "CompileFail",
        progress_message = "Compiling %{label}, which should fail",
        command = _RECORD,
        arguments = [
            log.path,
            cc_common.get_tool_for_action(
                feature_configuration = features,
                action_name = CPP_COMPILE_ACTION_NAME,
            ),
        ] + cc_common.get_memory_inefficient_command_line(
            feature_configuration = features,
            action_name = CPP_COMPILE_ACTION_NAME,
            variables = variables,
        ) + ["-fdiagnostics-color=never"],
        env = dict(
            cc_common.get_environment_variables(
                feature_configuration = features,
                action_name = CPP_COMPILE_ACTION_NAME,
                variables = variables,
            ),
            # The test expects gcc's messages in English.
            LC_ALL = "C",
        ),
        inputs = depset(
            [ctx.file.src],
            transitive = [context.headers, toolchain.all_files],
        ),
        outputs = [log],
    )

    judge = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.expand_template(
        template = ctx.file._judge,
        output = judge,
        substitutions = {
            "{{EXPECT}}": ctx.attr.expect.replace("'", "'\\''"),
            "{{LOG}}": log.short_path,
        },
        is_executable = True,
    )
    return DefaultInfo(
        executable = judge,
        runfiles = ctx.runfiles(files = [log]),
    )

_compile_fail_test = rule(
    implementation = _compile_fail_test_impl,
    attrs = {
        "copts": attr.string_list(
            doc = "Flags for this file, beside those of the command line.",
        ),
        "deps": attr.label_list(providers = [CcInfo]),
        "expect": attr.string(
            mandatory = True,
            doc = "An extended regular expression that some line of the " +
                  "diagnostics must match, with every compiler. Excerpts of " +
                  "the file in them do not count.",
        ),
        "src": attr.label(
            allow_single_file = [".cc"],
            mandatory = True,
        ),
        "_judge": attr.label(
            default = "//bazel:compile_fail_judge.sh",
            allow_single_file = True,
        ),
    },
    fragments = ["cpp"],
    test = True,
    toolchains = use_cc_toolchain(),
    doc = """Compiles src with the C++ toolchain, the flags and the configuration of
a cc_library with these deps, and passes only if that fails and the diagnostics
match expect. The warnings of .bazelrc are not switched on: a file that fails
for one of them says so in copts.""",
)

def compile_fail_test(name, target_compatible_with = [], **kwargs):
    """The rule above, for builds where //sync is not simulated.

    Args:
      name: the name of the test.
      target_compatible_with: as for any rule.
      **kwargs: passed on to the rule.
    """
    _compile_fail_test(
        name = name,
        target_compatible_with = target_compatible_with + NOT_SIMULATED,
        **kwargs
    )

def compile_fail_tests(name, expect, deps):
    """A test for each file in compile_fail/, which says what fails in it.

    A result that is dropped is an error there, as it is for those who compile
    with -Werror.

    Args:
      name: a test_suite of all of them; each is <file>_compile_fail_test.
      expect: by the name of the file, without its ending, what the rule's
        attribute of this name says.
      deps: what the files include.
    """
    files = [
        file.removeprefix("compile_fail/").removesuffix(".cc")
        for file in native.glob(["compile_fail/*.cc"])
    ]
    if sorted(files) != sorted(expect):
        fail("%s: expect is for %s, and the files are %s" %
             (name, sorted(expect), sorted(files)))
    tests = [file + "_compile_fail_test" for file in files]
    for file, test in zip(files, tests):
        compile_fail_test(
            name = test,
            size = "small",
            src = "compile_fail/%s.cc" % file,
            copts = ["-Werror=unused-result"],
            expect = expect[file],
            deps = deps,
        )
    native.test_suite(
        name = name,
        tests = tests,
    )
