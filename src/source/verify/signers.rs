//! A file of allowed signers: text to [`Allowed`] (ssh-keygen(1), "ALLOWED SIGNERS"). No IO.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

/// A line of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Who may use the key, as it is written; anybody there is good for us.
    pub(super) principals: String,
    pub(super) options: Options,
    pub(super) key: KeyData,
}

/// What a key may sign.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// For what, as patterns; `None`: anything.
    namespaces: Option<String>,
    pub(super) after: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
}

/// Reads all lines; times without a `Z` are in `zone`. The error has the line.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Vec<Allowed>, String> {
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let read = |(text, number)| line(text, zone).map_err(|what| format!("line {number}: {what}"));
    let signers = lines.map(read).collect::<Result<Vec<_>, _>>()?;
    if signers.is_empty() { Err("it holds no key".to_owned()) } else { Ok(signers) }
}

impl Options {
    /// Whether the key may sign for `namespace`.
    pub(super) fn allows(&self, namespace: &str) -> bool {
        let Some(patterns) = &self.namespaces else { return true };
        let mut allows = false;
        for pattern in patterns.split(',').map(str::trim) {
            match pattern.strip_prefix('!') {
                Some(pattern) if fits(pattern.as_bytes(), namespace.as_bytes()) => return false,
                Some(_) => {}
                None => allows |= fits(pattern.as_bytes(), namespace.as_bytes()),
            }
        }
        allows
    }
}

/// `PRINCIPALS [OPTIONS] TYPE KEY [COMMENT]`.
fn line(text: &str, zone: &TimeZone) -> Result<Allowed, String> {
    let (principals, rest) = field(text)?;
    let (second, after) = field(rest)?;
    let (options, rest) = if is_type(second) { ("", rest) } else { (second, after) };
    let (kind, rest) = field(rest)?;
    let (base64, _) = field(rest)?;
    // A line that begins with the key has the form of other files of OpenSSH.
    if base64.is_empty() || is_type(principals) {
        return Err(
            "write PRINCIPALS [OPTIONS] TYPE KEY, such as `a@example.org ssh-ed25519 AAAA…`".into(),
        );
    }
    let options = read_options(options, zone)?;
    let key = PublicKey::from_openssh(&format!("{kind} {base64}"))
        .map_err(|error| format!("the key cannot be read: {error}"))?;
    let principals = principals.trim_matches('"').to_owned();
    Ok(Allowed { principals, options, key: key.key_data().clone() })
}

/// The first field, quotes in it included, and the rest.
fn field(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    });
    match end {
        Some(end) => Ok(text.split_at(end)),
        None if quoted => Err("a quote is not closed".into()),
        None => Ok((text, "")),
    }
}

fn is_type(field: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| field.starts_with(start))
}

/// `NAME="VALUE"` and more, with commas between.
fn read_options(text: &str, zone: &TimeZone) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let lower = name.to_ascii_lowercase();
        let value;
        (value, rest) = match after.strip_prefix('=') {
            Some(after) => {
                let after = after.strip_prefix('"').and_then(|after| after.split_once('"'));
                let (value, rest) = after.ok_or_else(|| format!("write {name}=\"…\""))?;
                (Some(value), rest)
            }
            None => (None, after),
        };
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return Err(format!("expected a comma after the option `{name}`")),
        };
        let twice = match (lower.as_str(), value) {
            ("namespaces", Some(value)) => options.namespaces.replace(value.to_owned()).is_some(),
            ("valid-after", Some(value)) => options.after.replace(time(value, zone)?).is_some(),
            ("valid-before", Some(value)) => options.before.replace(time(value, zone)?).is_some(),
            ("namespaces" | "valid-after" | "valid-before", None) => {
                return Err(format!("write {name}=\"…\""));
            }
            ("cert-authority", _) => {
                return Err("certificates are not supported; write the signers' own keys".into());
            }
            _ => return Err(format!("unknown option `{name}`")),
        };
        if twice {
            return Err(format!("the option `{name}` is there twice"));
        }
    }
    match (options.after, options.before) {
        (Some(after), Some(before)) if after >= before => {
            Err("`valid-before` is not after `valid-after`".into())
        }
        _ => Ok(options),
    }
}

/// `YYYYMMDD[HHMM[SS]][Z]`.
fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    let whole = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        _ => digits.to_owned(),
    };
    let is_time = whole.len() == 14 && whole.bytes().all(|byte| byte.is_ascii_digit());
    let read = || {
        let time = DateTime::strptime("%Y%m%d%H%M%S", &whole).ok()?;
        zone.to_timestamp(time).ok()
    };
    let read = is_time.then(read).flatten();
    read.ok_or_else(|| {
        format!(
            "`{text}` is no time; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z for UTC"
        )
    })
}

/// Whether `text` is what a pattern with `*` and `?` describes. Takes time in proportion to both.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
