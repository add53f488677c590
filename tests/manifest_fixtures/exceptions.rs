//! Where we know better than what Docker Compose 2.40.3 did, each with its reason.

/// Newer than 2.40.3.
const NEWER: &str = "the specification has the attribute, 2.40.3 has not";
/// `include` of what is there already.
const MERGES: &str = "newer versions merge what is included with what is there";
/// Printing keys of a build.
const CANNOT_PRINT: &str = "2.40.3 loads it and fails to print it";
/// Parsing env files.
const NO_NAME: &str = "2.40.3 makes a variable without a name of it";

/// Documents.
pub(crate) const DOCUMENTS: &[(&str, &str)] = &[
    (
        "compose-go-inline/loader/extends/TestExtendsNil.0.yaml.json",
        "an `extends` that is done is printed by 2.40.3 where its base is empty",
    ),
    ("compose-go-inline/loader/include/TestLoadWithMultipleInclude.0.yaml.json", MERGES),
    ("compose-go-inline/loader/include/TestLoadWithMultipleIncludeConflict.0.yaml.json", MERGES),
    (
        "compose-go-inline/loader/loader/TestLoadSSHWithKeyValueInBuildConfig.0.yaml.json",
        CANNOT_PRINT,
    ),
    (
        "compose-go-inline/loader/loader/TestLoadSSHWithKeysValuesInBuildConfig.0.yaml.json",
        CANNOT_PRINT,
    ),
    (
        "compose-go-inline/loader/loader/TestXService.0.yaml.json",
        "2.40.3 takes a network named `x-...` for an extension",
    ),
    (
        "compose-go-inline/loader/normalize/TestNormalizePreStartInheritsServiceImage.0.yaml.json",
        NEWER,
    ),
    (
        "compose-go-inline/loader/normalize/TestNormalizePreStartInheritsServiceImage.1.yaml.json",
        NEWER,
    ),
    (
        "compose-go-inline/loader/reset/TestResetCycle.4.yaml.json",
        "2.40.3 takes `a.b` for something within `a`, and sees a circle of anchors",
    ),
    ("compose-go-inline/loader/tests/build_extra/TestBuildNoCacheFilter.0.yaml.json", NEWER),
    (
        "compose-go-inline/loader/tests/service_hooks/TestPreStartInheritsServiceImage.0.yaml.json",
        NEWER,
    ),
    ("compose-go-inline/loader/tests/service_hooks/TestServiceHooks.0.yaml.json", NEWER),
    (
        "compose-go-inline/loader/tests/template_driver/TestSecretDriver.0.yaml.json",
        "newer versions take a secret of a driver without a file",
    ),
];

/// Merges that have what no schema knows in them: they are about merging alone.
pub(crate) const MERGES_OF_INVALID: &[(&str, &str)] = &[
    ("merge_build/Test_mergeYamlArgsMixed", "`build.platform` is no attribute"),
    ("merge_build/Test_mergeYamlBuildSequence", "`build.platform` is no attribute"),
    ("merge_ulimits/Test_mergeYamlUlimits", "a limit needs `hard`"),
];

/// Single attributes.
pub(crate) const SINGLE: &[(&str, &str)] = &[
    ("bytes_mem_limit.json \"-1\"", "newer versions take it, as they always took the number"),
    ("bytes_mem_limit.json 1.5", "2.40.3 sets no limit without a word"),
    ("bytes_mem_limit.json \"9223372036854775807\"", "2.40.3 makes a negative number of it"),
    ("project_name_in_file.json \"\"", "the directory's name, which is another one here"),
    ("env_file_default.json \"A\"", NO_NAME),
    ("env_file_default.json \"HOSTV\"", NO_NAME),
    ("env_file_default.json \"export A\"", NO_NAME),
    ("env_file_default.json \"A='x'y\"", NO_NAME),
    ("env_file_default.json \"A=\\\"x\\\"y\"", NO_NAME),
    ("env_file_default.json \"A=b \\\\\\nc\"", NO_NAME),
];
