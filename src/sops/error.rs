//! Why a file of sops's cannot be opened, each with what to do. It never shows a value.

/// A file that cannot be opened. Reads as what follows the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    /// Sealed values without the section that belongs to them.
    #[error(
        "has values that sops encrypted and no `sops` section with their key: it is cut off or was \
         edited; restore it from git, or encrypt it anew"
    )]
    Torn,
    /// A form that is not read.
    #[error("is sops's INI form, which is not read; encrypt it with `--input-type binary`")]
    Ini,
    /// Neither what it looks like nor anything else.
    #[error("is no whole {form} file of sops's: {cause}; restore it from git, or encrypt it anew")]
    Malformed {
        /// `YAML`, `JSON` or `dotenv`.
        form: &'static str,
        /// What is wrong, without any value.
        cause: String,
    },
    /// Another version of the format.
    #[error("was encrypted by sops {0}, and files of sops 3 are read; encrypt it with sops 3")]
    Version(String),
    /// Nothing that age opens.
    #[error(
        "is encrypted for {0} alone, and only age keys open files here; add this host's recipient \
         with `sops rotate -i --add-age RECIPIENT FILE`"
    )]
    NoAge(String),
    /// A key in several parts.
    #[error(
        "has its key split among several key groups, which is not supported; encrypt it with one group"
    )]
    KeyGroups,
    /// A rule that is not read.
    #[error(
        "says by comments what is encrypted (`{0}`), which is not supported; say it by \
         `encrypted_regex` or a suffix of keys"
    )]
    CommentRule(&'static str),
    /// A rule that is no pattern.
    #[error("has an `{rule}` that cannot be read: {cause}")]
    Rule {
        /// The key in the `sops` section.
        rule: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// This host has no key at all.
    #[error("is encrypted with sops, and there is no key to open it: {0}")]
    NoKey(String),
    /// This host's keys are not among the recipients.
    #[error(
        "is encrypted for {recipients}, and this host's key is {ours} (from {from}); add it with \
         `sops rotate -i --add-age {ours} FILE`"
    )]
    NotForUs {
        /// The public keys that it is for.
        recipients: String,
        /// The public keys of this host.
        ours: String,
        /// Where they come from.
        from: String,
    },
    /// The wrapped key is damaged.
    #[error("has a damaged key for {recipient}: {cause}; restore it from git, or encrypt it anew")]
    DataKey {
        /// The public key that it is wrapped for.
        recipient: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A value that does not open.
    #[error("`{path}` {cause}; restore the file from git, or encrypt it anew")]
    Value {
        /// The keys that lead to it, dotted.
        path: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The values are not those that were encrypted.
    #[error(
        "was edited after it was encrypted, or is not whole: its MAC does not match; restore it from \
         git, or encrypt it anew; edit it with `sops edit`"
    )]
    Mac,
}
